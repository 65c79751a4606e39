/** Snapshots of real machines: what the contract says, and what only a guest can tell of its memory and its clock. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { eventually } from '../../../../../test/eventually.ts'
import { type Machines, openMachines } from '../../../../../test/machines.ts'
import { CloudError } from '../../../../model/errors.ts'
import { newId } from '../../../../model/ids.ts'
import type { ComputeDriver, InstanceSpec } from '../../compute.ts'
import { snapshotContract } from '../../contract-snapshots.ts'
import { filesOf } from '../record.ts'

const { signal } = new AbortController()
const BOOT_MS = 120_000

snapshotContract(
  'qemu',
  async () => {
    const machines = await openMachines()
    let driver = machines.create()
    return {
      driver,
      spec: () => machines.spec(),
      write: async (spec, text) => void (await machines.ssh(spec, `echo ${text} > /root/text && sync`)),
      read: (spec) => machines.ssh(spec, 'cat /root/text'),
      async reopen() {
        await driver.close()
        driver = machines.create()
        return driver
      },
      async close() {
        await driver.close()
        await machines.close()
      },
    }
  },
  { bootMs: BOOT_MS },
)

describe('a guest that goes back in time', () => {
  let machines: Machines
  let driver: ComputeDriver
  let spec: InstanceSpec
  const tag = newId('snapshot')
  const withMemory = { withMemory: true }

  before(async () => {
    machines = await openMachines()
    driver = machines.create()
    await driver.open()
    spec = machines.spec()
    await driver.ensureDisk(spec, signal)
    await driver.ensureRunning(spec, signal)
    assert.equal(await driver.waitForSsh(spec, BOOT_MS, signal), true)
  })
  after(async () => {
    await driver.close()
    await machines.close()
  })

  const guest = (command: string) => machines.ssh(spec, command)
  const disk = () => filesOf(machines.paths, spec.id).disk(spec.generation)
  const listed = () => execFileSync('qemu-img', ['snapshot', '-l', disk()], { encoding: 'utf8' })
  const marks = (): { name: string }[] => {
    const info = execFileSync('qemu-img', ['info', '-f', 'qcow2', '--output=json', disk()], { encoding: 'utf8' })
    return JSON.parse(info)['format-specific'].data.bitmaps ?? []
  }
  const isSound = () => execFileSync('qemu-img', ['check', '-q', '-f', 'qcow2', disk()])
  const said = async () => {
    await guest('rm -f /tmp/said; kill -USR1 $(cat /root/pid)')
    return eventually(
      'the process says what it knows',
      async () => (await guest('cat /tmp/said 2>/dev/null || true')) || null,
    )
  }
  async function isClockRight(): Promise<void> {
    await eventually('the guest says the right time', async () => {
      const seconds = Number(await guest('date +%s'))
      return Math.abs(seconds - Date.now() / 1000) < 5
    })
  }

  test('its processes, its memory and its disk are those of then, its clock is that of now', async () => {
    // A process that knows a number in its memory alone, and says it when it gets a signal.
    const wait = 'while :; do sleep 1; done'
    await guest(
      `sh -c 'n=4711; trap "echo \\$n > /tmp/said" USR1; ${wait}' >/dev/null 2>&1 </dev/null & echo $! > /tmp/pid`,
    )
    await guest('cp /tmp/pid /root/pid')
    await guest('dd if=/dev/urandom of=/root/data bs=64k count=32 2>/dev/null; sync')
    const sum = await guest('sha256sum /root/data')
    const facts = await driver.ensureSnapshot(spec, tag, withMemory, signal)
    assert.ok(facts.memoryBytes > 10_000_000, `${facts.memoryBytes} bytes of memory`)
    assert.ok(facts.grownBytes! > facts.memoryBytes / 2, `the file grew by ${facts.grownBytes}`)
    await guest(
      'dd if=/dev/urandom of=/root/data bs=64k count=32 conv=notrunc 2>/dev/null; kill $(cat /root/pid); touch /root/later; sync',
    )
    await sleep(6_000) // the clock must have something to be wrong by

    await driver.rollbackToSnapshot(spec, tag, withMemory, signal)
    assert.equal(await said(), '4711')
    assert.equal(await guest('sha256sum /root/data'), sum)
    assert.equal(await guest('ls /root/later 2>/dev/null || echo none'), 'none')
    await isClockRight()
  })

  test('QEMU killed while it saves: the machine is gone, the disk is sound, and the next snapshot succeeds', async () => {
    const other = newId('snapshot')
    const saving = driver.ensureSnapshot(spec, other, withMemory, signal)
    saving.catch(() => {})
    await sleep(40)
    for (const one of await driver.resources()) {
      if (one.kind === 'process' && one.instanceId === spec.id) process.kill(Number(one.name.slice(4)), 'SIGKILL')
    }
    await saving.catch(() => {})
    await eventually('it is seen as crashed', async () => (await driver.observe(spec.id)).power === 'crashed')
    execFileSync('qemu-img', ['check', '-q', '-r', 'leaks', '-f', 'qcow2', disk()])
    assert.match(listed(), new RegExp(tag))

    // In a new process, made to fit the old memory.
    await driver.rollbackToSnapshot(spec, tag, withMemory, signal)
    assert.equal((await driver.observe(spec.id)).power, 'running')
    await isClockRight()
    await driver.ensureSnapshot(spec, other, withMemory, signal)
    assert.equal(await said(), '4711')
    await driver.ensureSnapshotAbsent(spec, other, signal)
  })

  test('a job that a killed control plane left is finished before the next begins', async () => {
    const left = newId('snapshot')
    const abort = new AbortController()
    const saving = driver.ensureSnapshot(spec, left, withMemory, abort.signal)
    saving.catch(() => {})
    await eventually('the job is there', async () => {
      const plane = machines.create()
      const seen = await plane.listSnapshots(spec.id)
      await plane.close()
      abort.abort(new Error('killed'))
      return seen
    })
    await saving.catch(() => {})
    await driver.close()
    driver = machines.create()
    await driver.open()
    const facts = await driver.ensureSnapshot(spec, left, withMemory, signal)
    assert.equal(facts.hasMemory, true)
    assert.equal((await driver.listSnapshots(spec.id)).filter((one) => one.tag === left).length, 1)
    await driver.ensureSnapshotAbsent(spec, left, signal)
  })

  test('taken while a backup reads the disk: that opens it anew; going back drops its mark', async () => {
    const [backup, disk, both] = [newId('backup'), newId('snapshot'), newId('snapshot')]
    const open = () => driver.openExport(spec, backup, { changedSince: null }, signal)
    const { pointAt } = await open()
    await driver.ensureSnapshot(spec, disk, { withMemory: false }, signal)
    const { pointAt: second } = await open()
    assert.notDeepEqual(second, pointAt)
    await driver.ensureSnapshot(spec, both, withMemory, signal)
    const { pointAt: third } = await open()
    await driver.rollbackToSnapshot(spec, both, withMemory, signal)
    assert.notDeepEqual((await open()).pointAt, third)
    await driver.closeExport(spec.id, backup, { keep: true }, signal)
    await driver.ensureStopped(spec.id, signal)
    assert.deepEqual(
      marks().map(({ name }) => name),
      [backup],
    )
    await driver.rollbackToSnapshot(spec, disk, { withMemory: false }, signal)
    assert.deepEqual(marks(), [])
    await driver.ensureSnapshotAbsent(spec, disk, signal)
    await driver.ensureSnapshotAbsent(spec, both, signal)
    isSound()
  })

  test('a memory that does not fit is refused, and nothing changes', async () => {
    await driver.ensureStopped(spec.id, signal)
    const larger = { ...spec, memoryMib: spec.memoryMib + 64 }
    await assert.rejects(driver.rollbackToSnapshot(larger, tag, withMemory, signal), (error: unknown) => {
      return error instanceof CloudError && error.code === 'conflict' && /memory in MiB was/.test(error.message)
    })
    assert.equal((await driver.observe(spec.id)).power, 'stopped')
    await driver.rollbackToSnapshot(larger, tag, { withMemory: false }, signal)
    isSound()
    await driver.ensureSnapshotAbsent(spec, tag, signal)
    assert.equal(listed(), '')
    isSound()
  })
})
