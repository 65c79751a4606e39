/**
 * The note of what the supervisor runs, `processes.json`: for `status`, for `down`, and for the next `up`, which ends
 * what a killed supervisor left. Each entry is a process identity, so a stale note harms nobody.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Paths } from '../lib/paths.ts'
import { isAlive, type ProcessIdentity, signalProcess } from '../lib/process-identity.ts'
import { waitFor } from '../lib/wait.ts'

export interface ProcessEntry extends ProcessIdentity {
  name: string
  /** ISO 8601. */
  since: string
  /** How often it was started again since the supervisor began. */
  restarts: number
}

export interface ProcessTable {
  set(name: string, identity: ProcessIdentity): void
  clear(): void
}

const fileOf = (paths: Paths) => join(paths.home, 'processes.json')

export function createProcessTable(paths: Paths): ProcessTable {
  const entries = new Map<string, ProcessEntry>()
  function write(): void {
    writeFileSync(`${fileOf(paths)}.new`, `${JSON.stringify([...entries.values()], null, 2)}\n`, { mode: 0o600 })
    renameSync(`${fileOf(paths)}.new`, fileOf(paths))
  }
  return {
    set(name, { pid, startTime, bootId }) {
      const before = entries.get(name)
      const restarts = before === undefined ? 0 : before.restarts + 1
      entries.set(name, { name, pid, startTime, bootId, since: new Date().toISOString(), restarts })
      write()
    },
    clear() {
      entries.clear()
      write()
    },
  }
}

/** Those of the note that live. */
export function livingProcesses(paths: Paths): ProcessEntry[] {
  try {
    const entries = JSON.parse(readFileSync(fileOf(paths), 'utf8')) as ProcessEntry[]
    return entries.filter(isAlive)
  } catch {
    return []
  }
}

const GRACE_MS = 1_500

/**
 * Ends api and worker processes whose supervisor is gone. They end by themselves when its channel closes; one that is
 * stuck does not, and two workers must never be. PostgreSQL stays: it is taken over.
 */
export async function endStrays(paths: Paths, say: (line: string) => void): Promise<void> {
  const strays = livingProcesses(paths).filter(({ name }) => name !== 'postgres' && name !== 'havn')
  for (const stray of strays) {
    say(`ending ${stray.name} (process ${stray.pid}), left by a supervisor that is gone`)
    signalProcess(stray, 'SIGTERM')
  }
  if (await allGone(strays, GRACE_MS)) return
  for (const stray of strays) signalProcess(stray, 'SIGKILL')
  await allGone(strays, GRACE_MS)
}

const allGone = async (processes: readonly ProcessIdentity[], timeoutMs: number): Promise<boolean> =>
  (await waitFor(() => !processes.some(isAlive), { timeoutMs })) === true
