/** Restored disks on real machines: one that is written beside, put in place, booted on its own, looked at and checked. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type Machines, openMachines } from '../../../../test/machines.ts'
import { waitFor } from '../../../lib/wait.ts'
import { CloudError, type ErrorCode } from '../../../model/errors.ts'
import type { ComputeDriver, InstanceSpec } from '../compute.ts'

const { signal } = new AbortController()
const BOOT_MS = 120_000

describe('disks of restored machines', () => {
  let machines: Machines
  let driver: ComputeDriver
  let spec: InstanceSpec

  before(async () => {
    machines = await openMachines()
    driver = machines.create()
    await driver.open()
    spec = machines.spec({ isIsolated: true, ipv4: null, ipv6: null, sshPort: null, imageDigest: null })
  })
  after(async () => {
    await driver.close()
    await machines.close()
  })

  const refuses = (work: Promise<unknown>, code: ErrorCode) =>
    assert.rejects(work, (error: unknown) => error instanceof CloudError && error.code === code)
  const folder = () => join(machines.paths.instances, spec.id)
  const disk = () => join(folder(), 'disk-g1.qcow2')
  const log = async () => (await driver.readLog(spec.id, 1 << 16)).toString()
  /** The micro image as a disk that stands alone. */
  function write(file: string): void {
    const image = join(machines.paths.images, 'micro.qcow2')
    execFileSync('qemu-img', ['convert', '-f', 'qcow2', '-O', 'qcow2', image, file])
  }

  test('what is no whole disk of its own is refused, and the old one stays', async () => {
    await refuses(driver.replaceDisk(spec, signal), 'conflict')
    const { file, format } = await driver.prepareDisk(spec)
    assert.equal(format, 'qcow2')
    write(file)
    await driver.replaceDisk(spec, signal)
    const old = statSync(disk()).ino
    const image = join(machines.paths.images, 'micro.qcow2')
    const bad: [string, (to: string) => void][] = [
      ['raw bytes', (to) => writeFileSync(to, 'nothing like it')],
      ['an overlay', (to) => execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', image, to])],
      [
        'half a disk',
        (to) => {
          write(to)
          truncateSync(to, 300_000)
        },
      ],
    ]
    for (const [what, make] of bad) {
      const prepared = await driver.prepareDisk(spec)
      make(prepared.file)
      await refuses(driver.replaceDisk(spec, signal), 'invalid')
      assert.equal(statSync(disk()).ino, old, what)
    }
    await driver.discardPreparedDisk(spec)
    await driver.discardPreparedDisk(spec)
    assert.deepEqual(readdirSync(folder()).sort(), ['disk-g1.qcow2', 'instance.json'])
    await driver.replaceDisk(spec, signal) // done already
  })

  test('a new one takes its place, as the user that QEMU runs as', async () => {
    const { file } = await driver.prepareDisk(spec)
    write(file)
    const { ino } = statSync(file)
    await driver.replaceDisk(spec, signal)
    const found = statSync(disk())
    assert.equal(found.ino, ino)
    assert.equal(found.mode & 0o777, 0o600)
    if (process.getuid!() === 0) assert.equal(found.uid, Number(execFileSync('id', ['-u', 'nobody'])))
    assert.equal(existsSync(file), false)
  })

  test('it boots with a network card that nothing is plugged into', { timeout: BOOT_MS * 2 }, async () => {
    await driver.ensureDisk(spec, signal) // there already, though it has no image
    await driver.ensureRunning(spec, signal)
    const pid = (await driver.resources()).find(({ kind }) => kind === 'process')!.name.replace('pid ', '')
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
    const nets = words.filter((_, i) => words[i - 1] === '-netdev')
    assert.deepEqual(nets, ['hubport,id=n0,hubid=0'])
    assert.deepEqual(
      (await driver.resources()).filter(({ kind }) => kind === 'interface' || kind === 'rule'),
      [],
    )
    await waitFor(async () => /micro: ready/.test(await log()), { timeoutMs: BOOT_MS, everyMs: 500 })
    assert.match(await log(), /micro: ready/)
    assert.equal(await driver.waitForSsh(spec, 100, signal), false)
    await refuses(driver.replaceDisk(await prepared(), signal), 'conflict')
    await driver.discardPreparedDisk(spec)
    await refuses(driver.checkFilesystems(spec, signal), 'conflict')
  })
  async function prepared(): Promise<InstanceSpec> {
    write((await driver.prepareDisk(spec)).file)
    return spec
  }

  test('its screen and its agent are looked at', async () => {
    const picture = await driver.screenshot(spec.id)
    assert.ok(picture)
    assert.equal(picture.toString('latin1', 1, 4), 'PNG')
    assert.ok(picture.readUInt32BE(16) >= 640, 'as wide as a screen')
    assert.equal(existsSync(join(folder(), 'screen.png')), false)
    const seen = await waitFor(
      async () => {
        const report = await driver.inspectGuest(spec.id)
        return report.answers ? report : null
      },
      { timeoutMs: 30_000, everyMs: 500 },
    )
    assert.ok(seen, 'the agent answers')
    assert.ok(seen.uptimeSeconds !== null && seen.uptimeSeconds >= 0 && seen.uptimeSeconds < 1_000)
  })

  test('its file system is checked once it is off, without writing to the disk', { timeout: 300_000 }, async () => {
    await driver.requestShutdown(spec.id)
    await waitFor(async () => (await driver.observe(spec.id)).power !== 'running', { timeoutMs: 60_000, everyMs: 300 })
    await driver.ensureStopped(spec.id, signal)
    assert.equal(await driver.screenshot(spec.id), null)
    assert.equal((await driver.inspectGuest(spec.id)).answers, false)
    const before = statSync(disk())
    const [root, ...others] = await driver.checkFilesystems(spec, signal)
    assert.deepEqual(others, [])
    assert.equal(root?.type, 'ext4')
    assert.equal(root?.outcome, 'clean', root?.detail)
    assert.deepEqual([statSync(disk()).mtimeMs, statSync(disk()).size], [before.mtimeMs, before.size])
    assert.ok(!readdirSync(folder()).includes('disk-check.raw'))
  })

  test('a file system with errors is told apart, and a disk without one', { timeout: 300_000 }, async () => {
    // The inode table, from the group descriptors on: what a host that writes astray leaves.
    execFileSync('qemu-io', ['-f', 'qcow2', '-c', `write -P 0xff ${(1 << 20) + 4096} 262144`, disk()])
    const [root] = await driver.checkFilesystems(spec, signal)
    assert.equal(root?.outcome, 'errors', root?.detail)
    const { file } = await driver.prepareDisk(spec)
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', file, '64M'])
    await driver.replaceDisk(spec, signal)
    const [nothing] = await driver.checkFilesystems(spec, signal)
    assert.equal(nothing?.outcome, 'unknown')
    assert.equal(nothing?.partition, 'disk')
  })

  test('nothing is left of it', async () => {
    await driver.prepareDisk(spec)
    await driver.ensureAbsent(spec.id, signal)
    assert.deepEqual(
      (await driver.resources()).filter(({ instanceId }) => instanceId === spec.id),
      [],
    )
    assert.equal((await driver.observe(spec.id)).power, 'absent')
  })
})
