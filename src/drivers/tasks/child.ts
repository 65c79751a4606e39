/**
 * The inside of a task's process. The process claims the task before it works: claims are numbered files, each made by
 * one atomic link, so of any number of processes started for the same task one works and the others leave.
 */
import { link, mkdir, open, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readJson, syncFolder, writeFileAtomically } from '../../lib/files.ts'
import { identityOf, isAlive, type ProcessIdentity } from '../../lib/process-identity.ts'
import { CloudError, type DamagedBlob, describeError, type ErrorCode } from '../../model/errors.ts'

export interface TaskFolders {
  /** Empty at every start. */
  work: string
  /** Kept when the task is started again. */
  kept: string
}
export type TaskProgram = (
  input: unknown,
  folders: TaskFolders,
  report: (percent: number, message: string) => void,
) => Promise<unknown>

export interface TaskInput {
  program: string
  input: unknown
}
export interface TaskError {
  code: ErrorCode
  message: string
  /** What of the store is damaged, where it is that. */
  blob?: DamagedBlob
}
export type TaskResult = { ok: true; value: unknown } | { ok: false; error: TaskError }
export interface TaskProgress {
  percent: number
  message: string
}

export const INPUT = 'input.json'
export const PROGRESS = 'progress.json'
export const RESULT = 'result.json'
const PROGRESS_EVERY_MS = 250

/** The newest claim; `identity` is null while nobody ever claimed. */
export async function lastClaim(folder: string): Promise<{ number: number; identity: ProcessIdentity | null }> {
  const names = await readdir(folder).catch(() => [])
  const numbers = names.flatMap((name) => /^claim-(\d+)\.json$/.exec(name)?.[1] ?? []).map(Number)
  const number = Math.max(0, ...numbers)
  return { number, identity: number ? await readJson<ProcessIdentity>(join(folder, `claim-${number}.json`)) : null }
}

/** False when another process has the task, or has finished it. */
async function claim(folder: string): Promise<boolean> {
  const { number, identity } = await lastClaim(folder)
  if (identity && isAlive(identity)) return false
  if (await readJson(join(folder, RESULT))) return false
  const mine = join(folder, `claim.${process.pid}.tmp`)
  await writeFile(mine, JSON.stringify(identityOf(process.pid)))
  const handle = await open(mine)
  await handle.sync()
  await handle.close()
  try {
    await link(mine, join(folder, `claim-${number + 1}.json`))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    await rm(mine, { force: true })
  }
  await syncFolder(folder)
  return true
}

/** Does the task that lies in `folder` and writes how it ended. */
export async function runTask(folder: string, programs: Readonly<Record<string, TaskProgram>>): Promise<void> {
  if (!(await claim(folder))) return
  const folders = { work: join(folder, 'work'), kept: join(folder, 'kept') }
  let result: TaskResult
  let writing = Promise.resolve()
  try {
    await rm(folders.work, { recursive: true, force: true })
    for (const path of Object.values(folders)) await mkdir(path, { recursive: true })
    const task = await readJson<TaskInput>(join(folder, INPUT))
    const program = task && programs[task.program]
    if (!program) throw new CloudError('invalid', 'the task names no program that there is')
    let writtenAt = 0
    const report = (percent: number, message: string) => {
      if (Date.now() - writtenAt < PROGRESS_EVERY_MS && percent < 100) return
      writtenAt = Date.now()
      const text = JSON.stringify({ percent: Math.round(percent), message } satisfies TaskProgress)
      writing = writing.then(() => writeFileAtomically(join(folder, PROGRESS), text))
    }
    result = { ok: true, value: await program(task.input, folders, report) }
  } catch (error) {
    result = { ok: false, error: explain(error, folder) }
  }
  await writing.catch(() => {})
  await rm(folders.work, { recursive: true, force: true })
  await writeFileAtomically(join(folder, RESULT), JSON.stringify(result))
}

/** Programs bury it in a hundred lines, and it is the one thing that whoever runs Havn can mend at once. */
const DISK_FULL = /ENOSPC|EDQUOT|No space left on device|Disk quota exceeded/

export function explain(error: unknown, folder: string): TaskError {
  const message = describeError(error)
  if (error instanceof CloudError) {
    const { blob } = error.details
    return { code: error.code, message: said(error), ...(blob && { blob }) }
  }
  if (!DISK_FULL.test(message)) return { code: 'unavailable', message }
  return { code: 'unavailable', message: `the disk under ${folder} is full: free some space, then try again` }
}

/** Without what the operating system said beneath our own words: customers read it, and it names files of the host. */
function said({ message, cause }: Error): string {
  return cause instanceof Error && !('path' in cause) ? `${message}: ${said(cause)}` : message
}
