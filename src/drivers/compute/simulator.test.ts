import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import { readDisk } from '../../../test/disk-reading.ts'
import { createVirtualClock } from '../../lib/clock.ts'
import { CloudError } from '../../model/errors.ts'
import { type InstanceId, newIdentity } from '../../model/ids.ts'
import type { InstanceSpec } from './compute.ts'
import { computeContract } from './contract.ts'
import { exportContract } from './contract-exports.ts'
import { snapshotContract } from './contract-snapshots.ts'
import { createSimulator, type Simulator, type SimulatorOptions } from './simulator.ts'

const { signal } = new AbortController()
const folders: string[] = []
const opened: Simulator[] = []

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'havn-simulator-'))
  folders.push(folder)
  return folder
}
async function openSimulator(options: Partial<SimulatorOptions> = {}): Promise<Simulator> {
  const simulator = createSimulator({ folder: options.folder ?? newFolder(), ...options })
  await simulator.open()
  opened.push(simulator)
  return simulator
}
afterEach(async () => {
  for (const simulator of opened.splice(0)) await simulator.close()
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

let counter = 0
function spec(overrides: Partial<InstanceSpec> = {}): InstanceSpec {
  counter += 1
  return {
    ...newIdentity('instance'),
    number: 10_000 + counter,
    generation: 1,
    hostname: `vm-${counter}`,
    vcpus: 1,
    memoryMib: 512,
    diskGib: 10,
    imageDigest: null,
    mac: '52:54:00:00:00:01',
    ipv4: '10.91.0.17',
    ipv6: null,
    sshKeys: [],
    passwordHash: null,
    sshPort: null,
    ...overrides,
  }
}
async function start(simulator: Simulator, of = spec()): Promise<InstanceSpec> {
  await simulator.ensureDisk(of, signal)
  await simulator.ensureRunning(of, signal)
  return of
}
const powerOf = async (simulator: Simulator, id: InstanceId) => (await simulator.observe(id)).power

computeContract('simulator', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'havn-simulator-'))
  const all: Simulator[] = []
  const openOne = () => {
    const simulator = createSimulator({ folder, bootMs: 50, shutdownMs: 30 })
    all.push(simulator)
    return simulator
  }
  return {
    driver: openOne(),
    spec,
    reopen: async () => openOne(),
    powerOffFromInside: async (id) => all.at(-1)!.powerOffFromInside(id),
    kill: async (id) => all.at(-1)!.crash(id),
    async close() {
      for (const simulator of all) await simulator.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
})

exportContract('simulator', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'havn-simulator-'))
  let simulator = createSimulator({ folder, bootMs: 5 })
  return {
    driver: simulator,
    spec: () => spec({ diskGib: 1 }),
    write: async ({ id }, text) => simulator.write(id, simulator.read(id) + text),
    read: readDisk,
    kill: async (id) => simulator.crash(id),
    async reopen() {
      simulator = createSimulator({ folder, bootMs: 5 })
      return simulator
    },
    async close() {
      await simulator.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
})

snapshotContract('simulator', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'havn-simulator-'))
  let simulator = createSimulator({ folder, bootMs: 5 })
  return {
    driver: simulator,
    spec,
    write: async ({ id }, text) => simulator.write(id, text),
    read: async ({ id }) => simulator.read(id),
    async reopen() {
      simulator = createSimulator({ folder, bootMs: 5 })
      return simulator
    },
    async close() {
      await simulator.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
})

test('boot and shutdown take their time on the clock that was given', async () => {
  const clock = createVirtualClock()
  const simulator = await openSimulator({ clock, bootMs: 20_000, shutdownMs: 5_000 })
  const told: InstanceId[] = []
  simulator.onChange((id) => told.push(id))
  const one = await start(simulator)
  const ready = simulator.waitForSsh(one, 60_000, signal)
  const early = simulator.waitForSsh(one, 10_000, signal)
  await clock.advance(10_000)
  assert.equal(await early, false)
  await clock.advance(10_000)
  assert.equal(await ready, true)

  await simulator.requestShutdown(one.id)
  await clock.advance(4_999)
  assert.equal(await powerOf(simulator, one.id), 'running')
  assert.deepEqual(told, [])
  await clock.advance(1)
  assert.equal(await powerOf(simulator, one.id), 'off')
  await clock.advance(0)
  assert.deepEqual(told, [one.id])
})

test('a shutdown goes on while no control plane is there, and the next one is told', async () => {
  const clock = createVirtualClock()
  const folder = newFolder()
  const first = await openSimulator({ folder, clock, shutdownMs: 5_000 })
  const one = await start(first)
  const other = await start(first)
  await first.requestShutdown(one.id)
  await clock.advance(4_000)
  await first.requestShutdown(other.id)
  await first.close()
  await clock.advance(2_000)
  const second = await openSimulator({ folder, clock })
  const told: InstanceId[] = []
  second.onChange((id) => told.push(id))
  assert.equal(await powerOf(second, one.id), 'off')
  assert.equal(await powerOf(second, other.id), 'running')
  await clock.advance(3_000)
  await clock.advance(0)
  assert.deepEqual(told, [other.id])
})

test('a hung guest ignores the button until its next start', async () => {
  const simulator = await openSimulator({ shutdownMs: 0 })
  const one = await start(simulator)
  simulator.hang(one.id)
  await simulator.requestShutdown(one.id)
  assert.equal(await powerOf(simulator, one.id), 'running')
  await simulator.ensureStopped(one.id, signal)
  await simulator.ensureRunning(one, signal)
  await simulator.requestShutdown(one.id)
  assert.equal(await powerOf(simulator, one.id), 'off')
})

test('a guest can be said to be never ready before it is made', async () => {
  const simulator = await openSimulator({ bootMs: 0 })
  const one = spec()
  simulator.neverReady(one.id)
  assert.equal(await powerOf(simulator, one.id), 'absent')
  assert.equal((await simulator.list()).size, 0)
  await start(simulator, one)
  assert.equal(await simulator.waitForSsh(one, 20, signal), false)
  await simulator.ensureAbsent(one.id, signal)
  await start(simulator, one)
  assert.equal(await simulator.waitForSsh(one, 20, signal), true)
})

test('whoever waits for a banner hears at once that the machine died', async () => {
  const simulator = await openSimulator({ bootMs: 3_600_000 })
  const one = await start(simulator)
  const waiting = simulator.waitForSsh(one, 3_600_000, signal)
  simulator.crash(one.id)
  assert.equal(await waiting, false)
})

test('statistics are unknown unless a script sets them', async () => {
  const simulator = await openSimulator()
  const one = await start(simulator)
  const { measuredAt, ...values } = (await simulator.stats(one.id))!
  assert.ok(measuredAt instanceof Date)
  assert.deepEqual([...new Set(Object.values(values))], [null])
  simulator.setStats(one.id, { cpuPercent: 12.5, networkInBytes: 7 })
  const scripted = await simulator.stats(one.id)
  assert.equal(scripted?.cpuPercent, 12.5)
  assert.equal(scripted?.networkInBytes, 7)
  assert.equal(scripted?.memoryUsedBytes, null)
})

test('a scripted fault strikes its verb, its instance and its number of times', async () => {
  const simulator = await openSimulator()
  const one = spec()
  const other = spec()
  const error = new CloudError('unavailable', 'the disk array does not answer')
  simulator.fault({ verb: 'ensureDisk', instanceId: one.id, when: 'before', error, times: 2 })
  await simulator.ensureDisk(other, signal)
  await assert.rejects(simulator.ensureDisk(one, signal), error)
  assert.equal(await powerOf(simulator, one.id), 'absent')
  await assert.rejects(simulator.ensureDisk(one, signal), error)
  await simulator.ensureDisk(one, signal)

  simulator.fault({ verb: 'ensureRunning', when: 'after', error })
  await assert.rejects(simulator.ensureRunning(one, signal), error)
  assert.equal(await powerOf(simulator, one.id), 'running')

  simulator.fault({ verb: 'ensureStopped', when: 'before', error, times: Number.POSITIVE_INFINITY })
  await assert.rejects(simulator.ensureStopped(one.id, signal), error)
  await assert.rejects(simulator.ensureStopped(one.id, signal), error)
  simulator.clearFaults()
  await simulator.ensureStopped(one.id, signal)
})

test('a verb that is made slow can be aborted', async () => {
  const simulator = await openSimulator()
  simulator.fault({ verb: 'ensureDisk', when: 'before', delayMs: 3_600_000 })
  const abort = new AbortController()
  const slow = simulator.ensureDisk(spec(), abort.signal)
  abort.abort(new Error('pre-empted'))
  await assert.rejects(slow, /pre-empted/)
})

test('a torn line is dropped and does no harm to the next', async () => {
  const folder = newFolder()
  const first = await openSimulator({ folder })
  const one = await start(first)
  const file = join(folder, 'machines.jsonl')
  appendFileSync(file, '{"id":"inst_torn","hostn')
  const second = await openSimulator({ folder })
  const other = await start(second)
  const third = await openSimulator({ folder })
  assert.deepEqual([...(await third.list()).keys()].sort(), [one.id, other.id].sort())
})

test('two drivers on one folder do not damage each other', async () => {
  const folder = newFolder()
  const old = await openSimulator({ folder })
  const young = await openSimulator({ folder })
  const made: InstanceId[] = []
  for (let i = 0; i < 50; i++) made.push((await start(i % 2 ? old : young)).id)
  const third = await openSimulator({ folder })
  assert.deepEqual([...(await third.list()).keys()].sort(), made.sort())
  const log = await old.readLog(made[0]!, 4096)
  assert.match(log.toString(), /the vCPUs run/, 'what the other driver wrote is read')
})

test('a process that never opened the driver reads the logs of another', async () => {
  const folder = newFolder()
  const one = await start(await openSimulator({ folder }))
  const reader = createSimulator({ folder })
  opened.push(reader)
  assert.match((await reader.readLog(one.id, 4096)).toString(), /the vCPUs run/)
})

test('a file of mostly dead lines is compacted, and a driver that had it open follows', async () => {
  const folder = newFolder()
  const file = join(folder, 'machines.jsonl')
  const first = await openSimulator({ folder })
  const one = await start(first)
  const dead = Array.from({ length: 12_000 }, () => `{"id":"${spec().id}","gone":true}\n`).join('')
  appendFileSync(file, dead)
  const second = await openSimulator({ folder })
  assert.equal(readFileSync(file, 'utf8').split('\n').length, 2)
  const other = await start(first)
  const third = await openSimulator({ folder })
  assert.deepEqual([...(await third.list()).keys()].sort(), [one.id, other.id].sort())
  assert.equal(await powerOf(second, one.id), 'running')
})

test('one machine that is switched on and off for ever does not fill the disk', async () => {
  const folder = newFolder()
  const simulator = await openSimulator({ folder })
  const one = await start(simulator)
  for (let i = 0; i < 12_000; i++) {
    await simulator.ensureStopped(one.id, signal)
    await simulator.ensureRunning(one, signal)
  }
  assert.ok(readFileSync(join(folder, 'machines.jsonl'), 'utf8').split('\n').length < 20_000)
  assert.equal(await powerOf(await openSimulator({ folder }), one.id), 'running')
})

test('ten thousand machines are found again, and listed', async () => {
  const folder = newFolder()
  const first = await openSimulator({ folder })
  await start(first)
  const line = readFileSync(join(folder, 'machines.jsonl'), 'utf8').split('\n').at(-2)!
  const machines = Array.from({ length: 10_000 }, () =>
    JSON.stringify({ ...JSON.parse(line), id: newIdentity('instance').id }),
  )
  writeFileSync(join(folder, 'machines.jsonl'), `${machines.join('\n')}\n`)
  const began = performance.now()
  const second = await openSimulator({ folder })
  const seen = await second.list()
  const tookMs = performance.now() - began
  assert.equal(seen.size, 10_000)
  assert.equal((await second.resources()).length, 20_000)
  assert.ok(tookMs < 5_000, `took ${tookMs} ms`) // 0.1 s here; the limit is for a busy machine
})
