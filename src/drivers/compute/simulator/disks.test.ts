import assert from 'node:assert/strict'
import { truncateSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { newIdentity } from '../../../model/ids.ts'
import type { InstanceSpec } from '../compute.ts'
import { createSimulator, type Simulator } from '../simulator.ts'

const { signal } = new AbortController()

function spec(): InstanceSpec {
  return {
    ...newIdentity('instance'),
    number: 10_001,
    generation: 1,
    hostname: 'vm',
    vcpus: 1,
    memoryMib: 512,
    diskGib: 1,
    imageDigest: null,
    mac: '52:54:00:00:00:01',
    ipv4: null,
    ipv6: null,
    sshKeys: [],
    passwordHash: null,
    sshPort: null,
  }
}

async function open(t: { after(fn: () => Promise<void>): void }): Promise<{ simulator: Simulator; folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'havn-disks-'))
  const simulator = createSimulator({ folder, bootMs: 0, shutdownMs: 0 })
  await simulator.open()
  t.after(async () => {
    await simulator.close()
    await rm(folder, { recursive: true, force: true })
  })
  return { simulator, folder }
}

async function write(simulator: Simulator, to: InstanceSpec, text: string): Promise<void> {
  const { file } = await simulator.prepareDisk(to)
  writeFileSync(file, text)
  truncateSync(file, to.diskGib * 2 ** 30)
}
const disksOf = async (simulator: Simulator) =>
  (await simulator.resources()).filter(({ kind }) => kind === 'disk').map(({ name }) => name)

test('a prepared disk replaces the old one at once, with its snapshots, and only of a stopped machine', async (t) => {
  const { simulator } = await open(t)
  const one = spec()
  await simulator.ensureDisk(one, signal)
  simulator.write(one.id, 'old')
  await simulator.ensureSnapshot(one, 'snap', { withMemory: false }, signal)
  await simulator.ensureRunning(one, signal)
  await write(simulator, one, 'new, naïve')
  assert.equal(simulator.read(one.id), 'old')
  await assert.rejects(simulator.replaceDisk(one, signal), { code: 'conflict' })
  await simulator.ensureStopped(one.id, signal)
  await simulator.replaceDisk(one, signal)
  await simulator.replaceDisk(one, signal)
  assert.equal(simulator.read(one.id), 'new, naïve')
  assert.deepEqual(await simulator.listSnapshots(one.id), [])
  assert.deepEqual(await disksOf(simulator), [`${one.id}/disk-1`])
})

test('a machine can begin with a prepared disk, and what is discarded or deleted leaves nothing', async (t) => {
  const { simulator } = await open(t)
  const one = spec()
  await assert.rejects(simulator.replaceDisk(one, signal), { code: 'conflict' })
  await write(simulator, one, 'half')
  assert.equal((await disksOf(simulator)).length, 1)
  await simulator.discardPreparedDisk(one)
  assert.deepEqual(await simulator.resources(), [])
  await write(simulator, one, 'whole')
  await simulator.replaceDisk(one, signal)
  await simulator.ensureRunning(one, signal)
  assert.equal(simulator.read(one.id), 'whole')
  await write(simulator, one, 'half again')
  await simulator.ensureAbsent(one.id, signal)
  assert.deepEqual(await simulator.resources(), [])
})

test('words on the disk script the guest', async (t) => {
  const { simulator } = await open(t)
  const boot = async (text: string) => {
    const one = spec()
    await write(simulator, one, text)
    await simulator.replaceDisk(one, signal)
    await simulator.ensureRunning(one, signal)
    const log = (await simulator.readLog(one.id, 4096)).toString()
    const screen = await simulator.screenshot(one.id)
    const guest = await simulator.inspectGuest(one.id)
    await assert.rejects(simulator.checkFilesystems(one, signal), { code: 'conflict' })
    await simulator.ensureStopped(one.id, signal)
    assert.equal(await simulator.screenshot(one.id), null)
    const [filesystem] = await simulator.checkFilesystems(one, signal)
    return { log, screen, answers: guest.answers, outcome: filesystem?.outcome }
  }
  const usual = await boot('some data')
  assert.match(usual.log, /vm login:/)
  assert.equal(usual.screen?.toString('latin1', 1, 4), 'PNG')
  assert.deepEqual([usual.answers, usual.outcome], [false, 'clean'])
  const panicking = await boot('data\n!panic\n')
  assert.match(panicking.log, /Kernel panic/)
  assert.doesNotMatch(panicking.log, /login:/)
  assert.doesNotMatch((await boot('!silent')).log, /login:/)
  assert.equal((await boot('!agent')).answers, true)
  assert.equal((await boot('!damaged')).outcome, 'errors')
  assert.equal((await boot('!unknown-filesystem')).outcome, 'unknown')
})
