/**
 * The part that every restore shares: a detached task writes the backup's bytes into a prepared disk, and this looks
 * after it, one look a call. The disk that is there stays as it is. A store that does not answer is waited for, a task
 * that died is started anew from nothing; what trying again cannot mend ends it, and then nothing of it is left.
 */
import { z } from 'zod'
import type { InstanceSpec } from '../../drivers/compute/compute.ts'
import { CloudError } from '../../model/errors.ts'
import type { BackupId } from '../../model/ids.ts'
import * as restores from '../../store/restores.ts'
import type { StepContext, StrandState } from '../engine/strand.ts'
import { noteDamage } from '../objects/blob-damage.ts'
import type { WorkerTools } from '../tools.ts'

export interface RestoreInput {
  /** The task's name. */
  taskId: string
  spec: InstanceSpec
  backupId: BackupId
}

export type RestoreLook =
  | { kind: 'working'; ms: number; message: string | null; percent: number | null; state?: StrandState }
  | { kind: 'written'; outcome: RestoreOutcome }
  | { kind: 'failed'; error: CloudError }

/** What the task hands over. */
const RestoreOutcome = z.object({ diskBytes: z.number(), writtenBytes: z.number(), chunks: z.number(), ms: z.number() })
export type RestoreOutcome = z.infer<typeof RestoreOutcome>

const SAYS_NOTHING = 'it failed without saying why'
const WATCH_MS = 500
const STARTS_MAX = 5
/** How long a store may be away: longer than a restart or a failover of it takes. */
const PATIENCE_MS = 60 * 60_000
const RETRY_MS_FIRST = 1_000
const RETRY_MS_MAX = 60_000
/** Beside the data: tables of the disk's own format, and something for everybody else. */
const SPARE_BYTES = 256 * 2 ** 20

export async function lookAfterRestore(context: StepContext<WorkerTools>, input: RestoreInput): Promise<RestoreLook> {
  const { tools, state } = context
  const task = await tools.tasks.read(input.taskId)
  switch (task.state) {
    case 'absent':
    case 'vanished':
      return start(context, input, task.state === 'vanished')
    case 'running':
      return { kind: 'working', ms: WATCH_MS, message: task.message, percent: task.percent }
    case 'done':
      return { kind: 'written', outcome: RestoreOutcome.parse(task.value) }
    case 'failed': {
      const { code, message, blob } = task.error ?? { code: 'unavailable' as const, message: SAYS_NOTHING }
      const time = (await tools.now(context.db)).getTime()
      const since = typeof state.failingSince === 'number' ? state.failingSince : time
      if (code !== 'unavailable' || time - since > PATIENCE_MS)
        return fail(context, input, new CloudError(code, message, blob ? { blob } : {}))
      await tools.tasks.reset(input.taskId)
      const failures = typeof state.failures === 'number' ? state.failures + 1 : 1
      const ms = Math.min(RETRY_MS_MAX, RETRY_MS_FIRST * 2 ** (failures - 1))
      const next = { ...state, failures, failingSince: since, retryAt: time + ms }
      return { kind: 'working', ms, message: `${message}; trying again`, percent: null, state: next }
    }
  }
}

async function start(
  context: StepContext<WorkerTools>,
  input: RestoreInput,
  hasVanished: boolean,
): Promise<RestoreLook> {
  const { db, tools, state } = context
  const starts = typeof state.starts === 'number' ? state.starts : 0
  const leftMs = typeof state.retryAt === 'number' ? state.retryAt - (await tools.now(db)).getTime() : 0
  if (leftMs > 0) return { kind: 'working', ms: leftMs, message: null, percent: null }
  const source = await restores.sourceOf(db, input.backupId)
  if (!source) return fail(context, input, new CloudError('not_found', 'the backup was deleted meanwhile'))
  if (hasVanished && starts >= STARTS_MAX) {
    const message = `the work died ${starts} times without saying why; see its log`
    return fail(context, input, new CloudError('unavailable', message))
  }
  const { diskFreeBytes } = await tools.compute.hostFacts()
  if (diskFreeBytes !== null && diskFreeBytes < source.dataBytes + SPARE_BYTES) {
    const message = `the host has ${mib(diskFreeBytes)} MiB of disk left; ${mib(source.dataBytes + SPARE_BYTES)} are needed`
    return fail(context, input, new CloudError('no_capacity', message))
  }
  const { file, format } = await tools.compute.prepareDisk(input.spec)
  const { sealedKey, manifestBlobId, manifestBytes } = source
  const { backupId, taskId } = input
  await tools.tasks.ensureStarted(taskId, 'backup-restore', {
    ...{ backupId, sealedKey, manifestBlobId, manifestBytes },
    ...{ file, format, owner: null }, // `replaceDisk` gives it its owner
  })
  const next = hasVanished || starts === 0 ? { ...state, starts: starts + 1 } : state
  return { kind: 'working', ms: WATCH_MS, message: 'restoring', percent: 0, state: next }
}

const mib = (bytes: number): number => Math.floor(bytes / 2 ** 20)

/** Damage that it met is noted, so that no later backup is made of it. */
async function fail(context: StepContext<WorkerTools>, input: RestoreInput, error: CloudError): Promise<RestoreLook> {
  const { blob } = error.details
  if (blob) await noteDamage(context.db, blob)
  await forgetRestore(context.tools, input)
  return { kind: 'failed', error }
}

/** Nothing of it is left: first who writes, then what was written. */
export async function forgetRestore(
  { tasks, compute }: WorkerTools,
  { taskId, spec }: Pick<RestoreInput, 'taskId' | 'spec'>,
): Promise<void> {
  await tasks.remove(taskId)
  await compute.discardPreparedDisk(spec)
}
