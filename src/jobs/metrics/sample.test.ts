import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'kysely'
import { testDatabase } from '../../../test/database.ts'
import { make, UNMEASURED } from '../../../test/make.ts'
import type { InstanceStats } from '../../drivers/compute/compute.ts'
import { type HostId, type InstanceId, newIdentity } from '../../model/ids.ts'
import * as hosts from '../../store/hosts.ts'
import * as stats from '../../store/stats.ts'
import type { ReconcilerTools } from '../tools.ts'
import { recordLast, sampleStats } from './sample.ts'

const NOTHING = { ...UNMEASURED, run: 'a', memoryTotalBytes: 2 ** 30 }

/** `count` running instances on one host, whose driver answers as told. */
async function start(t: Parameters<typeof testDatabase>[0], count: number) {
  const { db } = await testDatabase(t)
  const maker = await make(db)
  const host = newIdentity('host').id as HostId
  await hosts.report(db, {
    id: host,
    name: 'here',
    regionId: 'here',
    driver: 'simulator',
    vcpus: null,
    memoryMib: null,
    diskBytes: null,
    diskFreeBytes: null,
    diskHighWater: 0.9,
    bootSlots: null,
    facts: {},
  })
  const ids: InstanceId[] = []
  while (ids.length < count) ids.push(await maker.instance())
  await sql`UPDATE instance SET host_id = ${host}, state = 'running'`.execute(db)
  const asked: InstanceId[] = []
  let answer: (id: InstanceId) => Promise<Partial<InstanceStats> | null> = async () => ({ networkInBytes: 7 })
  let underWay = 0
  let mostUnderWay = 0
  const compute = {
    async stats(id: InstanceId): Promise<InstanceStats | null> {
      asked.push(id)
      mostUnderWay = Math.max(mostUnderWay, ++underWay)
      try {
        const some = await answer(id)
        return some && { measuredAt: new Date(), ...NOTHING, ...some }
      } finally {
        underWay--
      }
    },
  }
  const tools = { db, compute, hosts: [host], slowSamples: new Map() } as unknown as ReconcilerTools
  return {
    db,
    ids,
    asked,
    compute,
    most: () => mostUnderWay,
    answers: (how: typeof answer) => {
      answer = how
    },
    sweep: () => sampleStats.run(tools, new AbortController().signal),
    counted: async () =>
      (await sql<{ id: string }>`SELECT instance_id AS id FROM instance_stats`.execute(db)).rows.length,
  }
}

test('one that does not answer and one that fails hold up nobody; the silent one is not asked again meanwhile', async (t) => {
  const it = await start(t, 40)
  const [silent, failing] = it.ids
  let speak = (_: null): void => {}
  it.answers((id) => {
    if (id === failing) return Promise.reject(new Error('no such monitor'))
    return id === silent ? new Promise((resolve) => (speak = resolve)) : Promise.resolve({ networkInBytes: 7 })
  })
  await it.sweep()
  assert.equal(await it.counted(), 38)
  await it.sweep()
  await it.sweep()
  assert.equal(it.asked.filter((id) => id === silent).length, 1)
  assert.equal(it.asked.filter((id) => id === failing).length, 3)
  assert.ok(it.most() > 1 && it.most() <= 17, `${it.most()} at once`)
  speak(null)
})

test('what nothing measures writes no row; who is off is not asked', async (t) => {
  const it = await start(t, 3)
  await sql`UPDATE instance SET state = 'stopped' WHERE id = ${it.ids[0]!}`.execute(it.db)
  await sql`UPDATE instance SET state = 'starting' WHERE id = ${it.ids[1]!}`.execute(it.db)
  it.answers(async (id) => (id === it.ids[2] ? {} : { cpuPercent: 3 }))
  await it.sweep()
  assert.deepEqual(new Set(it.asked), new Set(it.ids.slice(1)))
  assert.equal(await it.counted(), 1)
})

test('a sweep over restarts of the worker counts what was counted once', async (t) => {
  const it = await start(t, 1)
  let total = 0
  for (const [run, bytes] of [
    ['a', 10],
    ['a', 10],
    ['a', 25],
    ['b', 30],
  ] as const) {
    it.answers(async () => ({ run, networkInBytes: bytes }))
    await it.sweep()
    total = (await stats.find(it.db, it.ids[0]!))!.networkInBytes!
  }
  assert.equal(total, 55)
})

test('the last look before an end is counted, and its failure fails nobody', async (t) => {
  const it = await start(t, 1)
  const id = it.ids[0]!
  it.answers(async () => ({ diskWriteBytes: 4_096 }))
  await recordLast(it.db, it.compute, id)
  assert.equal((await stats.find(it.db, id))?.diskWriteBytes, 4_096)
  it.answers(() => Promise.reject(new Error('gone')))
  await recordLast(it.db, it.compute, id)
})
