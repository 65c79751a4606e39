/**
 * The steps that give an instance the disk of a backup: `restore` writes it beside the one that is there, `swap` puts it
 * in its place. Also how an instance begins that is made from a backup. Whatever fails before the swap leaves the old
 * disk and a stopped instance.
 */
import { CloudError } from '../../model/errors.ts'
import type { InstanceId } from '../../model/ids.ts'
import type { Db } from '../../store/db.ts'
import * as incidents from '../../store/incidents.ts'
import * as instances from '../../store/instances.ts'
import * as operations from '../../store/operations.ts'
import * as restores from '../../store/restores.ts'
import * as snapshots from '../../store/snapshots.ts'
import { forgetRestore, lookAfterRestore } from '../backup/restore-work.ts'
import { goto, type Outcome, type StepContext } from '../engine/strand.ts'
import type { WorkerTools } from '../tools.ts'
import { NOT_DELETE } from './power.ts'

type Context = StepContext<WorkerTools>

const taskOf = (id: string): string => `restore-${id}`

export async function restore(context: Context): Promise<Outcome<'restore' | 'swap' | 'settle'>> {
  const { id, db } = context
  const instanceId = id as InstanceId
  const backupId = await restores.pendingOf(db, instanceId)
  if (backupId === null) return goto('settle')
  const spec = await instances.spec(db, instanceId)
  const look = await lookAfterRestore(context, { taskId: taskOf(id), spec, backupId })
  switch (look.kind) {
    case 'written':
      return goto('swap')
    case 'failed':
      return failed(instanceId, 'restore', look.error)
    case 'working': {
      const { ms, message, percent, state } = look
      const write = (tx: Db) => operations.report(tx, id, { message: message ?? 'restoring', percent })
      return state ? { kind: 'wait', ms, state, write } : { kind: 'wait', ms, write }
    }
  }
}

export async function swap({ id, db, tools, signal }: Context): Promise<Outcome<'boot' | 'settle'>> {
  const instanceId = id as InstanceId
  const spec = await instances.spec(db, instanceId)
  await tools.compute.replaceDisk(spec, signal)
  await tools.tasks.remove(taskOf(id))
  const { state } = await instances.get(db, instanceId)
  const isInPlace = state === 'restoring'
  return {
    kind: 'goto',
    step: isInPlace ? 'settle' : 'boot',
    state: {},
    async write(tx) {
      await instances.lock(tx, instanceId)
      if (isInPlace) await instances.change(tx, instanceId, { state: 'stopped', reason: null, crashCount: 0 })
      await restores.end(tx, instanceId)
      await snapshots.forget(tx, instanceId, spec.generation) // they lay in the old disk
      if (isInPlace) await operations.finish(tx, id, ['instance.restore'], 'succeeded')
      else await operations.report(tx, id, { message: 'disk restored' })
    },
  }
}

/** What a driver refused: the prepared disk is no disk, for example. */
export async function refuseRestore(
  { id, db, tools }: Context,
  step: 'restore' | 'swap',
  error: Error,
): Promise<Outcome<'settle'>> {
  const instanceId = id as InstanceId
  await forgetRestore(tools, { taskId: taskOf(id), spec: await instances.spec(db, instanceId) })
  return failed(instanceId, step, error)
}

/** With an empty memory, so that the next restore counts its own tries. */
const failed = (id: InstanceId, step: string, error: Error): Outcome<'settle'> => ({
  kind: 'goto',
  step: 'settle',
  state: {},
  write: (tx) => writeFailure(tx, id, step, error),
})

/** An instance that was there before is as it was; one that was to begin with the backup has failed. */
async function writeFailure(tx: Db, id: InstanceId, step: string, error: Error): Promise<void> {
  const { state } = await instances.lock(tx, id)
  const outcome = {
    message: `the restore failed: ${error.message}`,
    errorCode: error instanceof CloudError ? error.code : ('unavailable' as const),
  }
  if (state === 'restoring') {
    await instances.change(tx, id, { state: 'stopped', reason: outcome.message })
    await restores.end(tx, id)
    return operations.finish(tx, id, ['instance.restore'], 'failed', outcome)
  }
  await instances.change(tx, id, { state: 'failed', reason: outcome.message })
  await operations.finish(tx, id, NOT_DELETE, 'failed', outcome)
  await incidents.open(tx, { strandId: id, kind: 'refused', step, message: outcome.message })
}

/** For a delete that comes in the middle: nothing half restored is left, and the disk that was there is. */
export async function abandonRestore({ id, db, tools }: Context): Promise<void> {
  const instanceId = id as InstanceId
  if ((await restores.pendingOf(db, instanceId)) === null) return
  await forgetRestore(tools, { taskId: taskOf(id), spec: await instances.spec(db, instanceId) })
}
