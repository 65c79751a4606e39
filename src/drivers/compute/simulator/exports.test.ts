import assert from 'node:assert/strict'
import { closeSync, mkdtempSync, openSync, readSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { CloudError } from '../../../model/errors.ts'
import { newIdentity } from '../../../model/ids.ts'
import type { DiskExport, InstanceSpec } from '../compute.ts'
import { createSimulator, type Simulator } from '../simulator.ts'

const { signal } = new AbortController()
const NOTHING = { changedSince: null }

async function open(t: TestContext, folder = mkdtempSync(join(tmpdir(), 'havn-simulator-'))) {
  const simulator = createSimulator({ folder })
  await simulator.open()
  t.after(async () => {
    await simulator.close()
    rmSync(folder, { recursive: true, force: true })
  })
  return { simulator, folder }
}

async function start(simulator: Simulator): Promise<InstanceSpec> {
  const spec: InstanceSpec = {
    ...newIdentity('instance'),
    number: 10_001,
    generation: 1,
    hostname: 'vm',
    vcpus: 1,
    memoryMib: 512,
    diskGib: 2,
    imageDigest: null,
    mac: '52:54:00:00:00:01',
    ipv4: '10.91.0.17',
    ipv6: null,
    sshKeys: [],
    passwordHash: null,
    sshPort: null,
  }
  await simulator.ensureDisk(spec, signal)
  await simulator.ensureRunning(spec, signal)
  return spec
}

/** What the file holds; an export of another kind fails the test. */
function read({ source, diskBytes }: DiskExport): string {
  assert.ok(source.kind === 'file')
  assert.equal(statSync(source.path).size, diskBytes)
  const bytes = Buffer.alloc(source.extents[0]?.length ?? 0)
  const file = openSync(source.path, 'r')
  assert.equal(readSync(file, bytes), bytes.length)
  closeSync(file)
  return bytes.toString().replaceAll('\0', '')
}
const filesOf = async (simulator: Simulator) =>
  (await simulator.resources()).filter(({ kind }) => kind === 'file').map(({ name, instanceId }) => [name, instanceId])

test('an export is the disk of one moment, also for the next control plane', async (t) => {
  const { simulator, folder } = await open(t)
  const spec = await start(simulator)
  simulator.write(spec.id, 'as it was')
  const first = await simulator.openExport(spec, 'bkp_one', NOTHING, signal)
  simulator.write(spec.id, 'as it became')
  assert.equal(first.diskBytes, 2 * 2 ** 30)
  assert.equal(first.consistency, 'crash')
  assert.ok(first.consistencyReason)
  assert.equal(first.frozenMs, null)
  assert.equal(read(first), 'as it was')
  assert.deepEqual(await simulator.openExport(spec, 'bkp_one', { changedSince: 'bkp_zero' }, signal), first)
  await simulator.close()
  const { simulator: next } = await open(t, folder)
  assert.deepEqual(await next.openExport(spec, 'bkp_one', NOTHING, signal), first)
  assert.deepEqual(await filesOf(next), [[`exports/${spec.id}-bkp_one.raw`, spec.id]])
  await next.closeExport(spec.id, 'bkp_one', { keep: true }, signal)
  const second = await next.openExport(spec, 'bkp_two', NOTHING, signal)
  assert.equal(read(second), 'as it became')
  await next.closeExport(spec.id, 'bkp_one', { keep: true }, signal)
  await next.closeExport(spec.id, 'bkp_one', { keep: true }, signal)
  assert.equal(read(second), 'as it became')
  await next.closeExport(spec.id, 'bkp_two', { keep: false }, signal)
  assert.deepEqual(await filesOf(next), [])
})

test('power ends it, and it is opened anew at another moment', async (t) => {
  const { simulator } = await open(t)
  const spec = await start(simulator)
  const running = await simulator.openExport(spec, 'bkp_one', NOTHING, signal)
  await simulator.ensureRunning(spec, signal)
  assert.deepEqual(await simulator.openExport(spec, 'bkp_one', NOTHING, signal), running)
  await simulator.ensureStopped(spec.id, signal)
  assert.deepEqual(await filesOf(simulator), [])
  const stopped = await simulator.openExport(spec, 'bkp_one', NOTHING, signal)
  assert.equal(stopped.consistency, 'off')
  assert.equal(stopped.consistencyReason, null)
  await simulator.ensureRunning(spec, signal)
  assert.deepEqual(await filesOf(simulator), [])
  await simulator.openExport(spec, 'bkp_one', NOTHING, signal)
  simulator.crash(spec.id)
  assert.deepEqual(await filesOf(simulator), [])
  await simulator.openExport(spec, 'bkp_one', NOTHING, signal)
  await simulator.ensureAbsent(spec.id, signal)
  assert.deepEqual(await simulator.resources(), [])
})

test('without a disk there is nothing to export, a name is only a name, and faults strike', async (t) => {
  const { simulator } = await open(t)
  const spec = await start(simulator)
  await assert.rejects(simulator.openExport({ ...spec, generation: 2 }, 'bkp_one', NOTHING, signal), {
    code: 'conflict',
  })
  await assert.rejects(simulator.openExport(spec, '../one', NOTHING, signal), { code: 'invalid' })
  simulator.fault({ verb: 'openExport', when: 'after', error: new CloudError('unavailable', 'lost the answer') })
  await assert.rejects(simulator.openExport(spec, 'bkp_one', NOTHING, signal), { message: 'lost the answer' })
  assert.equal((await filesOf(simulator)).length, 1)
  await simulator.closeExport(newIdentity('instance').id, 'bkp_one', { keep: false }, signal)
  assert.equal((await filesOf(simulator)).length, 1)
})
