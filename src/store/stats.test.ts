import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'kysely'
import { testDatabase } from '../../test/database.ts'
import { make, UNMEASURED } from '../../test/make.ts'
import type { InstanceId } from '../model/ids.ts'
import type { Db } from './db.ts'
import * as stats from './stats.ts'

const sample = (instanceId: InstanceId, values: Partial<stats.Measured>): stats.Measured => ({
  ...UNMEASURED,
  instanceId,
  measuredAt: new Date(),
  ...values,
})
const samplesOf = async (db: Db) =>
  (
    await sql<{ ended: boolean; networkInBytes: number | null }>`
      SELECT ended, network_in_bytes AS "networkInBytes" FROM metric_sample ORDER BY measured_at`.execute(db)
  ).rows

test('without a run traffic only grows: a reset is bridged, silence keeps the total', async (t) => {
  const { db } = await testDatabase(t)
  const instanceId = await (await make(db)).instance()
  let at = Date.now() - 60_000
  for (const [raw, total] of [
    [100, 100],
    [150, 150],
    [150, 150],
    [20, 170],
    [null, 170],
    [25, 175],
  ] as const) {
    at += 1_000
    await stats.record(db, [sample(instanceId, { measuredAt: new Date(at), cpuPercent: 1, networkInBytes: raw })])
    const row = await stats.find(db, instanceId)
    assert.equal(row?.networkInBytes, total, `after ${raw}`)
    assert.equal(row?.networkOutBytes, null)
  }
  assert.equal((await samplesOf(db)).length, 6)
})

test('all of a new run is added, also when it counted more than the last; of the same run only what grew', async (t) => {
  const { db } = await testDatabase(t)
  const instanceId = await (await make(db)).instance()
  let at = Date.now() - 60_000
  for (const [run, read, total] of [
    ['a', 100, 100],
    ['a', 130, 130],
    ['b', 1_000, 1_130],
    ['b', 990, 1_130],
    ['b', 1_001, 1_131],
    ['c', null, 1_131],
    ['c', 5, 1_136],
  ] as const) {
    at += 1_000
    await stats.record(db, [
      sample(instanceId, { measuredAt: new Date(at), run, diskReadBytes: read, diskWriteOps: 1 }),
    ])
    assert.equal((await stats.find(db, instanceId))?.diskReadBytes, total, `after ${run} ${read}`)
  }
  assert.equal((await stats.find(db, instanceId))?.diskWriteOps, 3)
})

test('a sample that is not newer than the last changes nothing', async (t) => {
  const { db } = await testDatabase(t)
  const instanceId = await (await make(db)).instance()
  const [first, second] = [new Date(Date.now() - 20_000), new Date(Date.now() - 10_000)]
  const newest = sample(instanceId, { measuredAt: second, run: 'b', networkInBytes: 70 })
  await stats.record(db, [sample(instanceId, { measuredAt: first, run: 'a', networkInBytes: 50 })])
  await stats.record(db, [newest])
  const before = [await stats.find(db, instanceId), await samplesOf(db)]
  await stats.record(db, [newest])
  await stats.record(db, [{ ...newest, networkInBytes: 90 }])
  await stats.record(db, [sample(instanceId, { measuredAt: first, run: 'a', networkInBytes: 50 })])
  await stats.record(db, [
    sample(instanceId, { measuredAt: new Date(first.getTime() + 1), run: 'a', networkInBytes: 60 }),
  ])
  assert.deepEqual([await stats.find(db, instanceId), await samplesOf(db)], before)
  assert.equal(before[0] && (await stats.find(db, instanceId))?.networkInBytes, 120)
})

test('many are recorded at once, and of what is not there nothing', async (t) => {
  const { db } = await testDatabase(t)
  const maker = await make(db)
  const ids = [await maker.instance(), await maker.instance(), 'inst_00000000000000000000000000' as InstanceId]
  await stats.record(db, [])
  await stats.record(
    db,
    ids.map((id, index) => sample(id, { networkInBytes: index })),
  )
  assert.equal((await samplesOf(db)).length, 2)
  assert.equal((await stats.find(db, ids[1]!))?.networkInBytes, 1)
  assert.equal(await stats.find(db, ids[2]!), undefined)
})

test('what is far too late counts into the totals and is no sample of that time', async (t) => {
  const { db } = await testDatabase(t)
  const instanceId = await (await make(db)).instance()
  await stats.record(db, [sample(instanceId, { measuredAt: new Date(Date.now() - 7_200_000), networkInBytes: 5 })])
  assert.equal((await stats.find(db, instanceId))?.networkInBytes, 5)
  assert.deepEqual(await samplesOf(db), [])
})

test('a clock that runs ahead does not silence an instance', async (t) => {
  const { db } = await testDatabase(t)
  const instanceId = await (await make(db)).instance()
  await stats.record(db, [sample(instanceId, { measuredAt: new Date(Date.now() + 3_600_000), networkInBytes: 5 })])
  await stats.record(db, [sample(instanceId, { measuredAt: new Date(Date.now() + 1_000), networkInBytes: 9 })])
  assert.equal((await stats.find(db, instanceId))?.networkInBytes, 9)
})

test('the end of a run is written down once, and taken back by the next sample', async (t) => {
  const { db } = await testDatabase(t)
  const instanceId = await (await make(db)).instance()
  await stats.record(db, [
    sample(instanceId, { measuredAt: new Date(Date.now() - 1_000), run: 'a', networkInBytes: 5 }),
  ])
  await stats.endRuns(db)
  assert.equal((await samplesOf(db)).length, 1, 'it runs')
  await sql`UPDATE instance SET state = 'stopped', state_changed_at = cloud_now()`.execute(db)
  await stats.endRuns(db)
  await stats.endRuns(db)
  assert.deepEqual(await samplesOf(db), [
    { ended: false, networkInBytes: 5 },
    { ended: true, networkInBytes: 5 },
  ])
  await sql`UPDATE instance SET state = 'running', state_changed_at = cloud_now()`.execute(db)
  await stats.record(db, [sample(instanceId, { measuredAt: new Date(Date.now() + 1), run: 'b', networkInBytes: 3 })])
  await stats.endRuns(db)
  assert.deepEqual((await samplesOf(db)).at(-1), { ended: false, networkInBytes: 8 })
})

test('many who record at once make the room for it once', async (t) => {
  const { db } = await testDatabase(t)
  const maker = await make(db)
  const ids = await Promise.all(Array.from({ length: 8 }, () => maker.instance()))
  await Promise.all(ids.map((id) => stats.record(db, [sample(id, { cpuPercent: 1 })])))
  assert.equal((await samplesOf(db)).length, 8)
})
