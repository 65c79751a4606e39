/**
 * What every compute driver promises of snapshots; the other half of contract.ts. One machine, in order, with a small
 * text on its disk that shows which moment it is at.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { CloudError, type ErrorCode } from '../../model/errors.ts'
import { newId } from '../../model/ids.ts'
import type { ComputeDriver, InstanceSpec } from './compute.ts'

export interface SnapshotHost {
  driver: ComputeDriver
  spec(): InstanceSpec
  /** The guest, which runs, changes what its disk holds, and it is on the disk when this returns. */
  write(spec: InstanceSpec, text: string): Promise<void>
  read(spec: InstanceSpec): Promise<string>
  /** The driver as a new process finds it after kill -9 of the control plane. */
  reopen(): Promise<ComputeDriver>
  close(): Promise<void>
}

export function snapshotContract(name: string, open: () => Promise<SnapshotHost>, { bootMs = 60_000 } = {}): void {
  describe(`snapshots of compute driver ${name}`, () => {
    let host: SnapshotHost
    let driver: ComputeDriver
    let spec: InstanceSpec
    const { signal } = new AbortController()
    const [off, disk, memory] = [newId('snapshot'), newId('snapshot'), newId('snapshot')]

    const tags = async () => (await driver.listSnapshots(spec.id)).map(({ tag }) => tag).sort()
    const power = async () => (await driver.observe(spec.id)).power
    const isReady = async () => assert.equal(await driver.waitForSsh(spec, bootMs, signal), true, 'the guest answers')
    const holds = async (text: string) => assert.equal(await host.read(spec), text)
    const refuses = (work: Promise<unknown>, code: ErrorCode) =>
      assert.rejects(work, (error: unknown) => error instanceof CloudError && error.code === code)
    const onlyDisk = { withMemory: false }
    const withMemory = { withMemory: true }

    before(async () => {
      host = await open()
      driver = host.driver
      await driver.open()
      spec = host.spec()
      await driver.ensureDisk(spec, signal)
    })
    after(async () => {
      await driver.ensureAbsent(spec.id, signal)
      await host.close()
    })

    test('of a machine that is off: its disk, once', async () => {
      assert.deepEqual(await tags(), [])
      const facts = await driver.ensureSnapshot(spec, off, onlyDisk, signal)
      assert.equal(facts.hasMemory, false)
      assert.equal(facts.memoryBytes, 0)
      assert.ok(facts.grownBytes !== null && facts.grownBytes >= 0)
      assert.equal((await driver.ensureSnapshot(spec, off, onlyDisk, signal)).tag, off)
      assert.deepEqual(await tags(), [off])
      await refuses(driver.ensureSnapshot(spec, memory, withMemory, signal), 'conflict')
    })

    test('of a machine that runs: its disk, or its memory too', async () => {
      await driver.ensureRunning(spec, signal)
      await isReady()
      const { startedAt } = await driver.observe(spec.id)
      await host.write(spec, 'one')
      assert.equal((await driver.ensureSnapshot(spec, disk, onlyDisk, signal)).hasMemory, false)
      await host.write(spec, 'two')
      const facts = await driver.ensureSnapshot(spec, memory, withMemory, signal)
      assert.equal(facts.hasMemory, true)
      assert.equal((await driver.ensureSnapshot(spec, memory, withMemory, signal)).memoryBytes, facts.memoryBytes)
      await host.write(spec, 'three')
      assert.deepEqual(await tags(), [off, disk, memory].sort())
      assert.equal(await power(), 'running')
      assert.deepEqual((await driver.observe(spec.id)).startedAt, startedAt)
    })

    test('with memory the guest goes back while it runs', async () => {
      const { startedAt } = await driver.observe(spec.id)
      await driver.rollbackToSnapshot(spec, memory, withMemory, signal)
      assert.equal(await power(), 'running')
      assert.deepEqual((await driver.observe(spec.id)).startedAt, startedAt)
      await isReady()
      await holds('two')
      await host.write(spec, 'four')
    })

    test('without, it must not run', async () => {
      await refuses(driver.rollbackToSnapshot(spec, disk, onlyDisk, signal), 'conflict')
      await refuses(driver.rollbackToSnapshot(spec, newId('snapshot'), withMemory, signal), 'not_found')
      await holds('four')
      await driver.ensureStopped(spec.id, signal)
      await refuses(driver.rollbackToSnapshot(spec, newId('snapshot'), onlyDisk, signal), 'not_found')
      driver = await host.reopen()
      await driver.open()
      await driver.rollbackToSnapshot(spec, disk, onlyDisk, signal)
      await driver.rollbackToSnapshot(spec, disk, onlyDisk, signal)
      assert.equal(await power(), 'stopped')
      await driver.ensureRunning(spec, signal)
      await isReady()
      await holds('one')
    })

    test('with memory a stopped machine runs on from there', async () => {
      await driver.ensureStopped(spec.id, signal)
      await driver.rollbackToSnapshot(spec, memory, withMemory, signal)
      assert.equal(await power(), 'running')
      await isReady()
      await holds('two')
    })

    test('deleted while it runs or not, once', async () => {
      await driver.ensureSnapshotAbsent(spec, disk, signal)
      await driver.ensureSnapshotAbsent(spec, disk, signal)
      assert.deepEqual(await tags(), [off, memory].sort())
      await driver.ensureStopped(spec.id, signal)
      await driver.ensureSnapshotAbsent(spec, memory, signal)
      await driver.ensureSnapshotAbsent(spec, memory, signal)
      assert.deepEqual(await tags(), [off])
      await driver.rollbackToSnapshot(spec, off, onlyDisk, signal)
      await driver.ensureSnapshotAbsent(spec, off, signal)
      assert.deepEqual(await tags(), [])
    })
  })
}
