/**
 * QEMU processes as things that outlive us. A pid alone proves nothing: it is reused. What identifies one is pid, start
 * time, boot id and the machine's uuid on its command line, kept in a file and compared before every signal. The window
 * between spawning and writing that file is closed by looking through /proc for the uuid.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

export interface ProcessIdentity {
  pid: number
  /** Field 22 of /proc/PID/stat: clock ticks since boot. */
  startTime: string
  bootId: string
  uuid: string
}

/** Whom QEMU runs as; null = as ourselves, when we are not root. */
export interface Owner {
  uid: number
  gid: number
}

export interface ProcessStat {
  state: string
  startTime: string
  /** User and system time, in clock ticks of 10 ms. */
  cpuTicks: number
}

/** proc(5): the command in parentheses may hold spaces and parentheses itself, so fields count from the last `)`. */
export function parseStat(text: string): ProcessStat {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return { state: fields[0] ?? '', startTime: fields[19] ?? '', cpuTicks: Number(fields[11]) + Number(fields[12]) }
}

export async function readStat(pid: number): Promise<ProcessStat | null> {
  try {
    return parseStat(await readFile(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return null
  }
}

let cachedBootId: string | undefined
export async function readBootId(): Promise<string> {
  cachedBootId ??= (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()
  return cachedBootId
}

/** When a process started, from its ticks (100 a second, USER_HZ) since boot. */
export async function startedAt({ startTime }: ProcessIdentity): Promise<Date> {
  const uptimeSeconds = Number((await readFile('/proc/uptime', 'utf8')).split(' ')[0])
  return new Date(Date.now() - uptimeSeconds * 1000 + Number(startTime) * MS_PER_TICK)
}
export const MS_PER_TICK = 10

/** A zombie is dead: where PID 1 does not reap, it stays so for ever. */
const isDead = (process: ProcessStat | null): process is null => process === null || /^[ZXx]/.test(process.state)

/** Whether exactly this process runs; its command line must still name the machine's uuid. */
export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  if (identity.bootId !== (await readBootId())) return false
  const now = await readStat(identity.pid)
  if (isDead(now) || now.startTime !== identity.startTime) return false
  const argv = await readArgv(identity.pid)
  // An exiting process has lost its command line but may still hold the disk's lock.
  return argv.join('') === '' || uuidOf(argv) === identity.uuid
}

/** The identity of a process we just started or found; null when it is gone already. */
export async function identify(pid: number, uuid: string): Promise<ProcessIdentity | null> {
  const now = await readStat(pid)
  return isDead(now) ? null : { pid, startTime: now.startTime, bootId: await readBootId(), uuid }
}

/**
 * The machines on this host by uuid whose sockets lie under `runFolder`, whoever started them. They must run as `uid`:
 * nobody else can pose as one of ours, nor is a machine of another Havn taken for one.
 */
export async function findMachines(uid: number, runFolder: string): Promise<Map<string, ProcessIdentity[]>> {
  const found = new Map<string, ProcessIdentity[]>()
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const pid = Number(name)
    const argv = await readArgv(pid)
    const uuid = uuidOf(argv)
    if (!uuid || !argv.some((word) => word.startsWith(`unix:${runFolder}/`))) continue
    if ((await ownerOf(pid)) !== uid) continue
    const identity = await identify(pid, uuid)
    if (identity) found.set(uuid, [...(found.get(uuid) ?? []), identity])
  }
  return found
}

/** SIGKILL and wait until it is gone. Does nothing to a process that is not exactly this one. */
export async function kill(identity: ProcessIdentity, waitMs = 10_000): Promise<void> {
  if (!(await isAlive(identity))) return
  try {
    process.kill(identity.pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
  if (!(await waitForExit(identity, waitMs)))
    throw new Error(`process ${identity.pid} survived SIGKILL for ${waitMs} ms`)
}

/** True once it is gone. */
export async function waitForExit(identity: ProcessIdentity, waitMs: number): Promise<boolean> {
  const until = performance.now() + waitMs
  while (await isAlive(identity)) {
    if (performance.now() > until) return false
    await sleep(5)
  }
  return true
}

/** Starts it in its own session, so that no signal to us or our terminal reaches it; standard error goes to `logFile`. */
export function spawnQemu(binary: string, args: readonly string[], owner: Owner | null, logFile: string): ChildProcess {
  const log = openSync(logFile, 'a', 0o600)
  try {
    const child = spawn(binary, args, {
      detached: true,
      cwd: '/',
      stdio: ['ignore', log, log],
      env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' }, // none of our secrets
      ...(owner ?? {}),
    })
    child.unref()
    return child
  } finally {
    closeSync(log)
  }
}

async function readArgv(pid: number): Promise<string[]> {
  try {
    return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0')
  } catch {
    return []
  }
}

function uuidOf(argv: string[]): string | null {
  if (!/(^|\/)(qemu-system-[^/]+|qemu-kvm)$/.test(argv[0] ?? '')) return null
  const at = argv.indexOf('-uuid')
  return at < 0 ? null : (argv[at + 1] ?? null)
}

async function ownerOf(pid: number): Promise<number | null> {
  try {
    return (await stat(`/proc/${pid}`)).uid
  } catch {
    return null
  }
}
