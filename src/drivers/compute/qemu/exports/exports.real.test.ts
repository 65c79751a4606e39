/** Exports of real machines: the contract, and what only QEMU has - bitmaps, freezes, a copy with bounds. */
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, openSync, readFileSync, readSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { changedRanges, copyDisk, readDisk } from '../../../../../test/disk-reading.ts'
import { eventually } from '../../../../../test/eventually.ts'
import { type Machines, openMachines } from '../../../../../test/machines.ts'
import { connectNbd, NbdError } from '../../../../lib/nbd.ts'
import { isAlive } from '../../../../lib/process-identity.ts'
import { type InstanceId, newId } from '../../../../model/ids.ts'
import type { ComputeDriver, DiskExport, InstanceSpec } from '../../compute.ts'
import { exportContract } from '../../contract-exports.ts'
import { SOCKETS } from '../args.ts'
import { createContext } from '../context.ts'
import { createQemuDriver } from '../driver.ts'
import { askAgent } from '../guest/agent.ts'
import { connectQmp, type Qmp } from '../qmp.ts'
import { filesOf, type InstanceFiles, readRecord } from '../record.ts'
import { closeLive, openLive } from './live.ts'
import { readLiveDisk } from './marks.ts'
import { exportFilesOf, writeExportNote } from './notes.ts'
import { openStopped } from './stopped.ts'

const { signal } = new AbortController()
const BOOT_MS = 120_000

async function killQemu(driver: ComputeDriver, id: InstanceId): Promise<void> {
  for (const one of await driver.resources()) {
    const pid = one.kind === 'process' && one.instanceId === id && /^pid (\d+)$/.exec(one.name)?.[1]
    if (pid) process.kill(Number(pid), 'SIGKILL')
  }
  await eventually('it has crashed', async () => (await driver.observe(id)).power === 'crashed')
}

exportContract(
  'qemu',
  async () => {
    const machines = await openMachines()
    let driver = machines.create()
    let count = 0
    return {
      driver,
      spec: () => machines.spec(),
      async write(spec, text) {
        await machines.ssh(spec, `echo ${text} > /root/text-${++count} && sync`)
      },
      read: readDisk,
      kill: (id) => killQemu(driver, id),
      async reopen() {
        await driver.close() // what the kernel does to the sockets of a dead process
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

describe('a machine whose disk is exported again and again', () => {
  let machines: Machines
  let driver: ComputeDriver
  let spec: InstanceSpec
  let files: InstanceFiles

  const openOne = (name: string, changedSince: string | null = null) =>
    driver.openExport(spec, name, { changedSince }, signal)
  const close = (name: string, keep: boolean) => driver.closeExport(spec.id, name, { keep }, signal)
  const resources = async () => (await driver.resources()).map(({ kind, name }) => `${kind} ${name}`).sort()
  const isReady = async () => assert.equal(await driver.waitForSsh(spec, BOOT_MS, signal), true)
  const agent = (command: string) => askAgent(join(files.run, SOCKETS.agent), command, {}, 5_000)
  const freezeStatus = () => agent('guest-fsfreeze-status').catch(() => null)
  const isThawed = () => eventually('the guest is thawed', async () => (await freezeStatus()) === 'thawed')
  const freezeNote = () => join(files.folder, 'freeze.json')
  async function withQmp<T>(act: (qmp: Qmp) => Promise<T>): Promise<T> {
    const qmp = await connectQmp(join(files.run, SOCKETS.tools))
    return act(qmp).finally(() => qmp.close())
  }
  async function reopen(): Promise<void> {
    await driver.close()
    driver = machines.create()
    await driver.open()
  }

  before(async () => {
    machines = await openMachines()
    driver = machines.create()
    await driver.open()
    spec = machines.spec()
    files = filesOf(machines.paths, spec.id)
    await driver.ensureDisk(spec, signal)
    await driver.ensureRunning(spec, signal)
    await isReady()
  })
  after(async () => {
    await driver.close()
    await machines.close()
  })

  test('is frozen for a moment when its agent answers', async () => {
    const before = await resources()
    const name = newId('backup')
    const disk = await eventually('the agent runs', async () => {
      const opened = await openOne(name)
      if (opened.consistency === 'filesystem') return opened
      assert.match(opened.consistencyReason ?? '', /agent/)
      await close(name, false)
      return null
    })
    assert.equal(disk.consistencyReason, null)
    assert.ok(disk.frozenMs !== null && disk.frozenMs > 0 && disk.frozenMs < 5_000, `${disk.frozenMs} ms`)
    assert.equal(await freezeStatus(), 'thawed')
    assert.equal(existsSync(freezeNote()), false)
    assert.equal(
      (await resources()).some((one) => one.includes('watchdog')),
      false,
    )
    await close(name, false)
    assert.deepEqual(await resources(), before)
  })

  test('tells what changed since an earlier moment, running and stopped, and nothing after a crash', async () => {
    const [a, b, c, d, e] = Array.from({ length: 5 }, () => newId('backup')) as [string, string, string, string, string]
    const folder = machines.paths.home
    const [older, newer] = [join(folder, 'older.raw'), join(folder, 'newer.raw')]
    const first = await openOne(a)
    assert.equal(await changedRanges(first), null)
    await copyDisk(first, older)
    await close(a, true)

    await machines.ssh(spec, 'dd if=/dev/urandom of=/root/changed bs=1M count=5 2>/dev/null; sync')
    const second = await openOne(b, a)
    await copyDisk(second, newer)
    const changed = await changesOf(second)
    assert.ok(changed.bytes >= 5 << 20 && changed.bytes <= 9 << 20, `${changed.bytes} bytes of 5 MiB`)
    assertDiffersOnlyIn(changed.ranges, older, newer)
    await close(b, true)

    await driver.ensureStopped(spec.id, signal)
    const third = await openOne(c, b)
    await copyDisk(third, older)
    assertDiffersOnlyIn((await changesOf(third)).ranges, newer, older)
    await close(c, true)
    assert.deepEqual(marksIn(files.disk(1)), [c])

    await driver.ensureRunning(spec, signal)
    await isReady()
    const fourth = await openOne(d, c)
    assert.ok((await changesOf(fourth)).bytes > 0, 'a boot writes something')
    assert.equal((await openOne(d, c)).source.kind, 'nbd')
    assert.equal(await changedRanges(await openOne(e, a)), null, 'a mark that is not there tells nothing')
    await close(d, true)
    await close(e, true)

    await killQemu(driver, spec.id)
    await driver.ensureRunning(spec, signal)
    const afterCrash = await openOne(d, e)
    assert.equal(await changedRanges(afterCrash), null)
    await close(d, false)
    assert.deepEqual(await withQmp(async (qmp) => [...(await readLiveDisk(qmp)).bitmaps]), [])
    for (const file of [older, newer]) rmSync(file)
  })

  test('grows although a crash left marks that are worth nothing', async () => {
    await close(newId('backup'), true)
    const name = newId('backup')
    await openOne(name)
    await close(name, true)
    await killQemu(driver, spec.id)
    spec = { ...spec, diskGib: 2 }
    await driver.ensureRunning(spec, signal)
    const next = newId('backup')
    const disk = await openOne(next, name)
    assert.equal(disk.diskBytes, 2 * 2 ** 30)
    assert.equal(await changedRanges(disk), null)
    await close(next, false)
    await isReady()
  })

  test('is left whole by a control plane that was killed between any two commands', async () => {
    const name = newId('backup')
    const context = createContext(machines.options)
    const nothing = await resources()
    const bare = await withQmp(async (qmp) =>
      [...(await readLiveDisk(qmp)).nodes].filter((node) => !node.startsWith('#')),
    )
    const { process } = (await readRecord(files))!
    const input = { spec, name, changedSince: null, process: process!, signal }
    const died = (error: unknown) => {
      if (!(error instanceof Died)) throw error
      return true
    }
    const isClean = async () => {
      await reopen()
      const seen = await withQmp(readLiveDisk)
      assert.deepEqual(
        [...seen.nodes].filter((node) => !node.startsWith('#')),
        bare,
      )
      assert.deepEqual(
        [...seen.bitmaps].filter((bitmap) => bitmap !== name),
        [],
      )
      assert.deepEqual(await withQmp((qmp) => qmp.execute('query-block-exports')), [])
      assert.deepEqual(await resources(), nothing)
    }
    let points = 0
    for (let hasDied = true; hasDied; points++) {
      await writeExportNote(files, { name, kind: 'live', generation: 1, opened: null })
      hasDied = await withQmp((qmp) => openLive(context, dyingAfter(qmp, points), input)).then(() => false, died)
      await isClean()
    }
    assert.ok(points > 10, `${points} commands`)
    for (let hasDied = true, point = 0; hasDied; point++) {
      await openOne(name)
      hasDied = await withQmp((qmp) => closeLive(dyingAfter(qmp, point))).then(() => false, died)
      await reopen() // what is still whole stays, until it is closed again
      await close(name, false)
      await isClean()
    }
    assert.deepEqual([...(await withQmp(readLiveDisk)).bitmaps], [])
    assert.equal(await machines.ssh(spec, 'echo on && sync'), 'on')
  })

  test('is thawed when whoever froze it is killed', async () => {
    const plane = await freezeIn(machines, spec)
    assert.equal(await freezeStatus(), 'frozen')
    assert.ok((await resources()).some((one) => one.includes('watchdog')))
    await end(plane)
    await isThawed()
    await eventually('nothing is left of it', async () => !existsSync(freezeNote()))
  })

  test('is thawed when whoever froze it hangs, and that is not called consistent', async () => {
    const plane = await freezeIn(machines, spec)
    plane.kill('SIGSTOP')
    assert.equal(await freezeStatus(), 'frozen')
    await isThawed()
    plane.kill('SIGCONT')
    const result = says(plane, 'result ')
    writeFileSync(join(machines.paths.home, 'go-on'), '')
    const { consistency, reason } = JSON.parse((await result).split('result ')[1]!) as Record<string, string>
    assert.equal(consistency, 'crash')
    assert.match(reason ?? '', /thawed before/)
    await end(plane)
    rmSync(join(machines.paths.home, 'go-on'))
  })

  test('is thawed by the next control plane when the watchdog was killed too', async () => {
    const plane = await freezeIn(machines, spec)
    const { watchdog } = JSON.parse(readFileSync(freezeNote(), 'utf8')) as { watchdog: { pid: number } }
    process.kill(watchdog.pid, 'SIGKILL')
    await end(plane)
    assert.equal(await freezeStatus(), 'frozen')
    await reopen()
    assert.equal(await freezeStatus(), 'thawed')
    assert.equal(existsSync(freezeNote()), false)
  })

  test('with an agent that hangs the moment is as after a power cut, and says so', async () => {
    await machines.ssh(spec, 'killall -STOP qemu-ga')
    const name = newId('backup')
    const disk = await openOne(name)
    assert.equal(disk.consistency, 'crash')
    assert.match(disk.consistencyReason ?? '', /agent/)
    assert.equal(disk.frozenMs, null)
    await close(name, false)
    await driver.ensureAbsent(spec.id, signal)
    assert.deepEqual(
      (await driver.resources()).filter(({ instanceId }) => instanceId === spec.id),
      [],
    )
  })

  async function changesOf(disk: DiskExport) {
    const ranges = (await changedRanges(disk)) ?? assert.fail('the export tells no changes')
    return { ranges, bytes: ranges.reduce((sum, { length }) => sum + length, 0) }
  }
})

test('a stopped disk that a killed control plane was just opening is let go, by its name', async () => {
  const machines = await openMachines()
  const driver = machines.create()
  try {
    await driver.open()
    const spec = machines.spec()
    const files = filesOf(machines.paths, spec.id)
    await driver.ensureDisk(spec, signal)
    const before = await driver.resources()
    const name = newId('backup')
    await writeExportNote(files, { name, kind: 'stopped', generation: 1, opened: null })
    const input = { id: spec.id, generation: 1, name, changedSince: null, hasCrashed: false, signal }
    const { server } = await openStopped(createContext(machines.options), input)
    assert.ok((await driver.resources()).some((one) => one.name === `qemu-nbd pid ${server.pid}`))
    await driver.open()
    assert.deepEqual(await driver.resources(), before)
    assert.equal(isAlive(server), false)

    const held = await driver.openExport(spec, name, { changedSince: null }, signal)
    assert.ok(held.source.kind === 'nbd')
    const client = await connectNbd({ socket: held.source.socket, exportName: name })
    await driver.ensureRunning(spec, signal)
    assert.equal((await driver.observe(spec.id)).power, 'running', 'a reader does not keep the disk')
    await assert.rejects(client.read(0, Buffer.alloc(512)), NbdError)
    await client.close()
    await driver.ensureStopped(spec.id, signal)
    await driver.closeExport(spec.id, name, { keep: false }, signal)
    assert.deepEqual(marksIn(files.disk(1)), [])
  } finally {
    await driver.close()
    await machines.close()
  }
})

test('a guest that writes more than there is room to keep writes on, and its export is opened anew', async () => {
  const machines = await openMachines()
  const driver = createQemuDriver({ ...machines.options, exportBytesMax: 16 << 20 })
  try {
    await driver.open()
    const spec = machines.spec()
    await driver.ensureDisk(spec, signal)
    await driver.ensureRunning(spec, signal)
    assert.equal(await driver.waitForSsh(spec, BOOT_MS, signal), true)
    const command = 'dd if=/dev/urandom of=/root/big bs=1M count=40 conv=notrunc 2>/dev/null && sync && echo fine'
    assert.equal(await machines.ssh(spec, command), 'fine')
    const { startedAt } = await driver.observe(spec.id)
    const name = newId('backup')
    const seen = await driver.openExport(spec, name, { changedSince: null }, signal)
    assert.equal(await machines.ssh(spec, command), 'fine')
    assert.deepEqual(await driver.observe(spec.id), { power: 'running', startedAt })
    const { copy } = exportFilesOf(filesOf(machines.paths, spec.id))
    assert.ok(statSync(copy).blocks * 512 <= 16 << 20)
    await assert.rejects(readDisk(seen, []))
    const now = await driver.openExport(spec, name, { changedSince: null }, signal)
    assert.notDeepEqual(now.pointAt, seen.pointAt)
    assert.ok((await readDisk(now, [])).digest)
  } finally {
    await driver.close()
    await machines.close()
  }
})

class Died extends Error {}

/** Commands come to nothing from one point on, as for a process that was killed there. */
function dyingAfter(qmp: Qmp, commands: number): Qmp {
  let left = commands
  return {
    isOpen: true,
    close: () => {},
    async execute(...args) {
      if (left-- <= 0) throw new Died()
      return qmp.execute(...args)
    },
  }
}

function marksIn(disk: string): string[] {
  const info = execFileSync('qemu-img', ['info', '-f', 'qcow2', '--output=json', disk]).toString()
  const { bitmaps = [] } = JSON.parse(info)['format-specific'].data as { bitmaps?: { name: string }[] }
  return bitmaps.map(({ name }) => name)
}

const STEP = 64 << 10

function assertDiffersOnlyIn(ranges: readonly { offset: number; length: number }[], before: string, now: string): void {
  const [a, b] = [openSync(before, 'r'), openSync(now, 'r')]
  const [one, two] = [Buffer.alloc(STEP), Buffer.alloc(STEP)]
  let different = 0
  for (let at = 0; ; at += STEP) {
    const bytes = readSync(a, one, 0, STEP, at)
    assert.equal(readSync(b, two, 0, STEP, at), bytes)
    if (bytes === 0) break
    if (one.equals(two)) continue
    different += 1
    assert.ok(
      ranges.some(({ offset, length }) => offset <= at && at < offset + length),
      `the block at ${at} changed, and nobody says so`,
    )
  }
  assert.ok(different > 0 || ranges.length === 0)
}

/** A control plane of its own that freezes the guest, says so, and goes on when there is a file `go-on`. */
const FREEZER = `
  let text = ''
  for await (const chunk of process.stdin) text += chunk
  const { options, spec, folder } = JSON.parse(text)
  const { createContext } = await import(folder + '/context.ts')
  const { whileFrozen } = await import(folder + '/exports/freeze.ts')
  const { filesOf, readRecord } = await import(folder + '/record.ts')
  const { existsSync } = await import('node:fs')
  const { setTimeout } = await import('node:timers/promises')
  const context = createContext(options)
  const record = await readRecord(filesOf(options.paths, spec.id))
  const stillness = await context.monitors.use(spec.id, (qmp) =>
    whileFrozen(context, spec.id, record.process, qmp, async () => {
      console.log('frozen')
      while (!existsSync(options.paths.home + '/go-on')) await setTimeout(20)
    }))
  console.log('result ' + JSON.stringify(stillness))
  setInterval(() => {}, 1000)
`

async function freezeIn({ options }: Machines, spec: InstanceSpec): Promise<ChildProcess> {
  const plane = spawn(process.execPath, ['--input-type=module', '-e', FREEZER], { stdio: ['pipe', 'pipe', 'inherit'] })
  plane.stdin.end(JSON.stringify({ options, spec, folder: dirname(import.meta.dirname) }))
  const said = await Promise.race([says(plane, 'frozen'), says(plane, 'result ')])
  assert.match(said, /^frozen/)
  return plane
}

async function says(plane: ChildProcess, word: string): Promise<string> {
  let text = ''
  const ended = once(plane, 'exit').then(() => assert.fail(`the control plane ended and said ${text}`))
  ended.catch(() => {})
  while (!text.includes(word) || !text.endsWith('\n')) {
    const [chunk] = (await Promise.race([once(plane.stdout!, 'data'), ended])) as [Buffer]
    text += chunk
  }
  return text
}

async function end(plane: ChildProcess): Promise<void> {
  const gone = once(plane, 'exit')
  plane.kill('SIGKILL')
  await gone
}
