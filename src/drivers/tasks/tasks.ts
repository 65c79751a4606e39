/**
 * Long host work as detached processes, one per task, each with a run folder of its own. A task goes on when the
 * control plane dies and is found again by its name; all it writes on the way lies in its folder. It never opens the
 * database.
 */
import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { readJson, writeFileAtomically } from '../../lib/files.ts'
import { bootId, identityOf, isAlive, type ProcessIdentity, sessionMembers } from '../../lib/process-identity.ts'
import { CloudError } from '../../model/errors.ts'
import {
  INPUT,
  lastClaim,
  PROGRESS,
  RESULT,
  type TaskError,
  type TaskInput,
  type TaskProgress,
  type TaskResult,
} from './child.ts'

export interface TaskStatus {
  /** `vanished`: it was started and ended without a result (killed, power cut); `ensureStarted` starts it again. */
  state: 'absent' | 'running' | 'done' | 'failed' | 'vanished'
  percent: number | null
  message: string | null
  value?: unknown
  error?: TaskError
}
export type TaskProgramName = 'image-build' | 'image-import' | 'image-from-backup' | 'backup-upload' | 'backup-restore'

export interface Tasks {
  /** It runs or has ended, with whatever input it was first given. Twice is once, also across crashes of the caller. */
  ensureStarted(id: string, program: TaskProgramName, input: unknown): Promise<void>
  read(id: string): Promise<TaskStatus>
  /** None of its processes is left; what it wrote stays, so that it can be started again. */
  cancel(id: string): Promise<void>
  /** Cancels it and forgets its input and its end; what it kept is there when it is started with other input. */
  reset(id: string): Promise<void>
  /** Cancels it and removes its folder. */
  remove(id: string): Promise<void>
  list(): Promise<string[]>
}

export interface TasksOptions {
  folder: string
  /** The Node.js program and the file it runs with the run folder as its argument. */
  node?: string
  entry?: string
  /** Of the processes; default: our own. */
  env?: NodeJS.ProcessEnv
}

const ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,100}$/
const START_MS = 20_000 // Node starts in 0.1 s; the rest is for a host that is busy
/** Of Node's pool: a sync holds a thread as long as the disk takes, and backups have many under way. */
const FILE_THREADS = '16'
const GRACE_MS = 3_000 // for programs that clean up behind themselves
const KILL_MS = 10_000

export function createTasks(options: TasksOptions): Tasks {
  const node = options.node ?? process.execPath
  const entry = options.entry ?? resolve(import.meta.dirname, '../../main/task.ts')
  const folderOf = (id: string): string => {
    if (!ID.test(id)) throw new CloudError('invalid', `${JSON.stringify(id)} cannot name a task`)
    return join(options.folder, id)
  }

  async function read(id: string): Promise<TaskStatus> {
    const folder = folderOf(id)
    const input = await readJson<TaskInput>(join(folder, INPUT))
    if (!input) return { state: 'absent', percent: null, message: null }
    // The claim first: a task that ends between the two looks is then seen by its result, not as vanished.
    const { identity } = await lastClaim(folder)
    const isRunning = identity !== null && isAlive(identity)
    const result = await readJson<TaskResult>(join(folder, RESULT))
    const progress = await readJson<TaskProgress>(join(folder, PROGRESS))
    const seen = { percent: progress?.percent ?? null, message: progress?.message ?? null }
    if (result?.ok) return { ...seen, state: 'done', percent: 100, value: result.value }
    if (result) return { ...seen, state: 'failed', error: result.error }
    return { ...seen, state: isRunning ? 'running' : 'vanished' }
  }

  async function ensureStarted(id: string, program: TaskProgramName, input: unknown): Promise<void> {
    const folder = folderOf(id)
    await mkdir(folder, { recursive: true, mode: 0o711 })
    if (!(await readJson(join(folder, INPUT)))) {
      await writeFileAtomically(join(folder, INPUT), JSON.stringify({ program, input } satisfies TaskInput))
    }
    if ((await read(id)).state !== 'vanished') return
    const before = await lastClaim(folder)
    if (before.identity) await endSession(before.identity) // what a killed process left running
    const log = openSync(join(folder, 'log'), 'a', 0o600)
    const child = spawn(node, [entry, folder], {
      cwd: folder,
      env: { UV_THREADPOOL_SIZE: FILE_THREADS, ...(options.env ?? process.env) },
      detached: true,
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    let failure: string | null = null
    child.on('error', (error) => {
      failure = error.message
    })
    child.on('exit', (status, signal) => {
      failure ??= `ended with ${signal ?? status}`
    })
    child.unref()
    const deadline = Date.now() + START_MS
    while ((await lastClaim(folder)).number === before.number) {
      if (failure && (await lastClaim(folder)).number === before.number) {
        throw new CloudError('unavailable', `the helper process of ${id} did not start: ${failure}; see ${folder}/log`)
      }
      if (Date.now() > deadline)
        throw new CloudError('unavailable', `the helper process of ${id} did not start in time`)
      await sleep(20)
    }
  }

  async function cancel(id: string): Promise<void> {
    const { identity } = await lastClaim(folderOf(id))
    if (identity) await endSession(identity)
  }

  return {
    ensureStarted,
    read,
    cancel,
    async reset(id) {
      await cancel(id)
      // The input last: without it nobody asks how the task ended.
      for (const name of [RESULT, PROGRESS, INPUT]) await rm(join(folderOf(id), name), { force: true })
    },
    async remove(id) {
      await cancel(id)
      await rm(folderOf(id), { recursive: true, force: true })
    },
    async list() {
      const entries = await readdir(options.folder, { withFileTypes: true }).catch(() => [])
      return entries.filter((entry) => entry.isDirectory() && ID.test(entry.name)).map((entry) => entry.name)
    },
  }
}

/** A task is the leader of a session of its own, so the session holds all the programs that it started. */
async function endSession(leader: ProcessIdentity): Promise<void> {
  const now = identityOf(leader.pid)
  const wasReused = now !== null && now.startTime !== leader.startTime
  if (leader.bootId !== bootId() || wasReused) return
  const started = Date.now()
  for (;;) {
    const members = sessionMembers(leader.pid)
    if (members.length === 0) return
    const passed = Date.now() - started
    if (passed > KILL_MS) throw new CloudError('unavailable', `processes ${members.join(', ')} do not end`)
    for (const pid of members) signal(pid, passed > GRACE_MS ? 'SIGKILL' : 'SIGTERM')
    await sleep(50)
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
