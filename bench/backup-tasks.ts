/** Backups as a strand runs them, detached tasks on an object store in a throw-away home, and what each run costs. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readChunkList } from '../src/drivers/backups/chunk-list.ts'
import { newSealedKey, openSealedKey } from '../src/drivers/backups/keys.ts'
import { writeKnownChunks } from '../src/drivers/backups/known-chunks.ts'
import type { UploadOutcome } from '../src/drivers/backups/work.ts'
import { lastClaim } from '../src/drivers/tasks/child.ts'
import { createTasks, type TaskProgramName } from '../src/drivers/tasks/tasks.ts'
import { pathsOf } from '../src/lib/paths.ts'
import { waitFor } from '../src/lib/wait.ts'
import { ensureInstallationKeys } from '../src/main/keys.ts'
import { cpuSeconds, peakMemoryMib, round, type Scope } from './tools.ts'

export const MIB = 1024 * 1024
const TASK_MS = 3_600_000

/** CPU is that of all processes that work for it, the one that reads the disk for us included. */
export interface Measured<T> {
  ms: number
  cpuMs: number
  /** The most memory that a task's process ever held (resident), in MiB; null for what is no task. */
  peakMib: number | null
  value: T
}

export async function measured<T>(work: () => Promise<T>): Promise<Measured<T>> {
  const [start, cpu, own] = [performance.now(), cpuSeconds(process.pid), process.cpuUsage()]
  const value = await work()
  const ms = performance.now() - start
  const { user, system } = process.cpuUsage(own)
  return { ms, cpuMs: (cpuSeconds(process.pid) - cpu) * 1000 - (user + system) / 1000, peakMib: null, value }
}

export const best = <T>(runs: readonly Measured<T>[]): Measured<T> => runs.reduce((a, b) => (b.ms < a.ms ? b : a))

export async function openBackupTasks(scope: Scope) {
  const folder = await mkdtemp(join(tmpdir(), 'havn-bench-backup-'))
  scope.after(() => rm(folder, { recursive: true, force: true }))
  const paths = pathsOf(join(folder, 'home'))
  for (const path of [paths.home, paths.tasks, paths.objects]) await mkdir(path)
  const { masterKey } = await ensureInstallationKeys(paths)
  const sealedKey = newSealedKey(masterKey)
  // The launcher gives every process a cache of compiled files as well.
  const env = { ...process.env, HAVN_HOME: paths.home, HAVN_OBJECTS: '', NODE_COMPILE_CACHE: join(folder, 'compiled') }
  const tasks = createTasks({ folder: paths.tasks, env })
  let count = 0
  return {
    folder,
    keys: openSealedKey(masterKey, sealedKey),
    sealedKey: sealedKey.toString('base64'),
    /** From its start to the moment its end is seen. */
    async run<T>(program: TaskProgramName, input: unknown): Promise<Measured<T>> {
      const id = `task-${++count}`
      let peakMib = 0
      const run = await measured(async () => {
        await tasks.ensureStarted(id, program, input)
        const { identity } = await lastClaim(join(paths.tasks, id))
        const ended = await waitFor(
          async () => {
            peakMib = Math.max(peakMib, peakMemoryMib(identity!.pid))
            const status = await tasks.read(id)
            return status.state !== 'running' && status
          },
          { timeoutMs: TASK_MS, everyMs: 10 },
        )
        if (ended?.state !== 'done') throw new Error(`${program}: ${JSON.stringify(ended)}`)
        return ended.value as T
      })
      return { ...run, peakMib }
    },
    /** The file that tells the next upload what is in the store. */
    async know({ chunkListFile }: UploadOutcome): Promise<string> {
      const file = join(folder, 'known')
      await writeKnownChunks(file, chunksIn(chunkListFile))
      return file
    },
  }
}

async function* chunksIn(file: string) {
  for await (const chunk of readChunkList(file)) if (chunk) yield chunk
}

export const COLUMNS = ['what', 'seconds', 'CPU s', 'peak MiB', 'MiB read', 'MiB stored']

export const row = (what: string, run: Measured<unknown>, read?: number, stored?: number): string[] => [
  what,
  round(run.ms / 1000, 2),
  round(run.cpuMs / 1000, 2),
  run.peakMib === null ? '' : round(run.peakMib, 0),
  read === undefined ? '' : round(read / MIB),
  stored === undefined ? '' : round(stored / MIB),
]

export const uploadRow = (what: string, run: Measured<UploadOutcome>): string[] =>
  row(what, run, run.value.readBytes, run.value.addedBytes)
