/**
 * What every compute driver promises of exports; one more part of contract.ts. One machine, in order, with small texts
 * on its disk that show which moment is read.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import type { InstanceId } from '../../model/ids.ts'
import { newId, newIdentity } from '../../model/ids.ts'
import type { ComputeDriver, DiskExport, InstanceSpec } from './compute.ts'

/** All bytes of an export, looked through once. */
export interface DiskReading {
  digest: string
  /** Which of the texts are somewhere on it. */
  found: string[]
}

export interface ExportHost {
  driver: ComputeDriver
  spec(): InstanceSpec
  /** The guest, which runs, writes it somewhere on its disk, and it is there when this returns. */
  write(spec: InstanceSpec, text: string): Promise<void>
  read(disk: DiskExport, texts: readonly string[]): Promise<DiskReading>
  /** The machine dies, as after SIGKILL of its process. */
  kill(id: InstanceId): Promise<void>
  /** The driver as a new process finds it after kill -9 of the control plane. */
  reopen(): Promise<ComputeDriver>
  close(): Promise<void>
}

export function exportContract(name: string, open: () => Promise<ExportHost>, { bootMs = 60_000 } = {}): void {
  describe(`exports of compute driver ${name}`, () => {
    let host: ExportHost
    let driver: ComputeDriver
    let spec: InstanceSpec
    let seen: DiskExport
    const { signal } = new AbortController()
    const [first, second, third] = [newId('backup'), newId('backup'), newId('backup')]
    const texts = ['one', 'two', 'three'].map((word) => `${word}-${randomBytes(12).toString('hex')}`)
    const [one = '', two = '', three = ''] = texts

    const openOne = (backup: string, changedSince: string | null = null) =>
      driver.openExport(spec, backup, { changedSince }, signal)
    const close = (backup: string, keep: boolean) => driver.closeExport(spec.id, backup, { keep }, signal)
    const holds = async (disk: DiskExport) => (await host.read(disk, texts)).found
    const resources = async () =>
      (await driver.resources())
        .filter(({ instanceId }) => instanceId === spec.id)
        .map((one) => `${one.kind} ${one.name}`)
    const isReady = async () => assert.equal(await driver.waitForSsh(spec, bootMs, signal), true, 'the guest answers')
    async function reopen(): Promise<void> {
      driver = await host.reopen()
      await driver.open()
    }

    before(async () => {
      host = await open()
      driver = host.driver
      await driver.open()
      spec = host.spec()
    })
    after(async () => {
      await driver.ensureAbsent(spec.id, signal)
      await host.close()
    })

    test('without a disk there is none, and closing what is not there is no error', async () => {
      await assert.rejects(openOne(first), { code: 'conflict' })
      await assert.rejects(openOne('../etc'), { code: 'invalid' })
      await close(first, true)
      await close(first, false)
      await driver.closeExport(newIdentity('instance').id, first, { keep: true }, signal)
    })

    test('of a machine that is off', async () => {
      await driver.ensureDisk(spec, signal)
      const before = await resources()
      const disk = await openOne(first)
      assert.equal(disk.diskBytes, spec.diskGib * 2 ** 30)
      assert.deepEqual([disk.consistency, disk.consistencyReason, disk.frozenMs], ['off', null, null])
      assert.ok(Math.abs(disk.pointAt.getTime() - Date.now()) < 60_000)
      assert.deepEqual(await openOne(first), disk, 'again is the same one')
      await reopen()
      assert.deepEqual(await openOne(first), disk, 'also for the next control plane')
      const { digest } = await host.read(disk, [])
      assert.equal((await host.read(disk, [])).digest, digest)
      assert.ok((await resources()).length > before.length, 'what it needs is listed')
      await close(first, true)
      await close(first, true)
      assert.deepEqual(await resources(), before)
    })

    test('a start takes the disk away from it', async () => {
      const before = await openOne(second)
      await driver.ensureRunning(spec, signal)
      const now = await openOne(second)
      assert.notDeepEqual(now.pointAt, before.pointAt)
      assert.notEqual(now.consistency, 'off')
      await close(second, false)
    })

    test('of a machine that runs: it stays as it was while the guest goes on', async () => {
      await isReady()
      const { startedAt } = await driver.observe(spec.id)
      const before = await resources()
      await host.write(spec, one)
      seen = await openOne(first)
      assert.equal(seen.diskBytes, spec.diskGib * 2 ** 30)
      assert.equal(seen.frozenMs === null, seen.consistency === 'crash')
      assert.equal(seen.consistencyReason === null, seen.consistency === 'filesystem')
      const { digest, found } = await host.read(seen, texts)
      assert.deepEqual(found, [one])
      await host.write(spec, two)
      assert.deepEqual(await openOne(first), seen, 'again is the same one')
      await reopen()
      assert.deepEqual(await openOne(first), seen, 'also for the next control plane')
      assert.deepEqual(await host.read(seen, texts), { digest, found })
      await close(first, true)
      assert.deepEqual(await resources(), before)
      const observed = await driver.observe(spec.id)
      assert.deepEqual([observed.power, observed.startedAt], ['running', startedAt])
    })

    test('another one ends it, and an end that comes late leaves the other alone', async () => {
      await openOne(first)
      seen = await openOne(second, first)
      await close(first, true)
      assert.deepEqual(await openOne(second, first), seen)
      assert.deepEqual(await holds(seen), [one, two])
    })

    test('power does not wait for it', async () => {
      await driver.ensureStopped(spec.id, signal)
      assert.equal((await driver.observe(spec.id)).power, 'stopped')
      const now = await openOne(second, first)
      assert.equal(now.consistency, 'off')
      assert.notDeepEqual(now.pointAt, seen.pointAt)
      assert.deepEqual(await holds(now), [one, two])
      await close(second, false)
    })

    test('it ends with the machine, and what a crashed one left is crash-consistent', async () => {
      await driver.ensureRunning(spec, signal)
      await isReady()
      await host.write(spec, three)
      seen = await openOne(third)
      await host.kill(spec.id)
      const now = await openOne(third)
      assert.notDeepEqual(now.pointAt, seen.pointAt)
      assert.equal(now.consistency, 'crash')
      assert.ok(now.consistencyReason)
      assert.deepEqual(await holds(now), texts)
    })

    test('nothing of it outlives the machine', async () => {
      await driver.ensureAbsent(spec.id, signal)
      assert.deepEqual(await resources(), [])
      await close(third, false)
    })
  })
}
