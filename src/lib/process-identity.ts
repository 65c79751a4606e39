/**
 * Which process it is, for good. A pid is given again to somebody else, so a note that says "pid 4711" proves nothing
 * after a crash; a pid with its start time, within one boot, is never given twice. Linux only (proc(5)).
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

export interface ProcessIdentity {
  pid: number
  /** Field 22 of /proc/PID/stat: clock ticks between boot and the start of the process. */
  startTime: string
  bootId: string
}

export const bootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()

/** The identity of a living process, or null when there is none with that pid. */
export function identityOf(pid: number): ProcessIdentity | null {
  const fields = statFields(pid)
  // A zombie (`Z`) has ended; it only waits for a parent that may never ask.
  if (!fields || fields[0] === 'Z' || fields[0] === 'X') return null
  return { pid, startTime: fields[19] as string, bootId: bootId() }
}

export function isAlive(identity: ProcessIdentity): boolean {
  const now = identityOf(identity.pid)
  return now !== null && now.startTime === identity.startTime && now.bootId === identity.bootId
}

/** Sends the signal only if the process is still the same one. Returns whether it was. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false
  try {
    process.kill(identity.pid, signal)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw error
  }
}

/** The living processes of a session, the processes that its leader started included. */
export function sessionMembers(session: number): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.map(Number).filter((pid) => {
    const fields = statFields(pid)
    return fields?.[3] === String(session) && fields[0] !== 'Z' && fields[0] !== 'X'
  })
}

/** Where a link in /proc/PID points (`exe`, `cwd`), or null when it is gone or not ours to see. */
export function processLink(pid: number, name: 'exe' | 'cwd'): string | null {
  try {
    return readlinkSync(`/proc/${pid}/${name}`)
  } catch {
    return null
  }
}

/** The fields from the third one (state) on: the second, the command's name, may hold blanks and parentheses. */
function statFields(pid: number): string[] | null {
  if (!Number.isSafeInteger(pid) || pid <= 0) return null
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return null
  }
}
