/**
 * QEMU processes as things that outlive us. A pid alone proves nothing: it is reused. What identifies one is pid, start
 * time, boot id and the machine's uuid on its command line, kept in a file and compared before every signal. The window
 * between spawning and writing that file is closed by looking through /proc for the uuid.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, statSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type ProcessIdentity as BareIdentity,
  identityOf,
  isAlive as isSame,
  signalProcess,
} from '../../../../lib/process-identity.ts'

/** Which process, and the machine it runs. */
export interface ProcessIdentity extends BareIdentity {
  uuid: string
}

/** Whom QEMU runs as; null = as ourselves, when we are not root. */
export interface Owner {
  uid: number
  gid: number
}

/** User and system time in clock ticks; null when it is gone. */
export async function cpuTicks(pid: number): Promise<number | null> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null)
  return text === null ? null : parseCpuTicks(text)
}

/** proc(5), fields 14 and 15; the command in parentheses may hold blanks and parentheses, so count from the last `)`. */
export function parseCpuTicks(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return Number(fields[11]) + Number(fields[12])
}

/** When a process started, from its ticks (100 a second, USER_HZ) since boot. */
export async function startedAt({ startTime }: ProcessIdentity): Promise<Date> {
  const uptimeSeconds = Number((await readFile('/proc/uptime', 'utf8')).split(' ')[0])
  return new Date(Date.now() - uptimeSeconds * 1000 + Number(startTime) * MS_PER_TICK)
}
export const MS_PER_TICK = 10

/** Whether exactly this process runs and, as far as it says, still that machine. */
export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  if (!isSame(identity)) return false
  const argv = readArgv(identity.pid)
  // An exiting process has lost its command line but may still hold the disk's lock.
  return argv.join('') === '' || uuidOf(argv) === identity.uuid
}

/** The identity of a process we just started or found; null when it is gone already. */
export function identify(pid: number, uuid: string): ProcessIdentity | null {
  const identity = identityOf(pid)
  return identity && { ...identity, uuid }
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
    const argv = readArgv(pid)
    const uuid = uuidOf(argv)
    if (!uuid || !argv.some((word) => word.startsWith(`unix:${runFolder}/`))) continue
    if (ownerOf(pid) !== uid) continue
    const identity = identify(pid, uuid)
    if (identity) found.set(uuid, [...(found.get(uuid) ?? []), identity])
  }
  return found
}

/** SIGKILL, and wait until it is gone. Does nothing to a process that is not exactly this one. */
export async function kill(identity: ProcessIdentity, waitMs = 10_000): Promise<void> {
  if (await isAlive(identity)) signalProcess(identity, 'SIGKILL')
  if (!(await waitForExit(identity, waitMs)))
    throw new Error(`process ${identity.pid} survived SIGKILL for ${waitMs} ms`)
}

/** True once it is gone with all its threads, and with them its locks, its tap and its place in a cgroup. */
export async function waitForExit(identity: ProcessIdentity, waitMs: number): Promise<boolean> {
  const until = performance.now() + waitMs
  while ((await isAlive(identity)) || (await hasThreads(identity))) {
    if (performance.now() > until) return false
    await sleep(5)
  }
  return true
}

/** The first thread can be a zombie while others still end. */
async function hasThreads({ pid }: ProcessIdentity): Promise<boolean> {
  if (identityOf(pid)) return false // alive means it is somebody else by now
  const threads = await readdir(`/proc/${pid}/task`).catch(() => [])
  return threads.length > 1
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

// Synchronous on purpose: /proc is memory, and a look at every process is ten times faster so.
function readArgv(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  } catch {
    return []
  }
}

function uuidOf(argv: string[]): string | null {
  if (!/(^|\/)(qemu-system-[^/]+|qemu-kvm)$/.test(argv[0] ?? '')) return null
  const at = argv.indexOf('-uuid')
  return at < 0 ? null : (argv[at + 1] ?? null)
}

function ownerOf(pid: number): number | null {
  return statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid ?? null
}
