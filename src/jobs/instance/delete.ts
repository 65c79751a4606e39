/** The steps of deleting: the machine goes at once, disk and addresses when the time to change one's mind is over. */
import type { InstanceId } from '../../model/ids.ts'
import * as addresses from '../../store/addresses.ts'
import * as incidents from '../../store/incidents.ts'
import * as instances from '../../store/instances.ts'
import * as operations from '../../store/operations.ts'
import * as restores from '../../store/restores.ts'
import * as snapshots from '../../store/snapshots.ts'
import { done, goto, type Outcome, type StepContext, wait } from '../engine/strand.ts'
import { recordLast } from '../metrics/sample.ts'
import type { WorkerTools } from '../tools.ts'
import { abandonRestore } from './restore.ts'

type Context = StepContext<WorkerTools>

/** Hard: whoever deletes a machine does not wait for it to say goodbye. */
export async function remove(context: Context): Promise<Outcome<'kept'>> {
  const { id, db, tools, signal } = context
  const instanceId = id as InstanceId
  const { hostId } = await instances.get(db, instanceId)
  if (hostId) {
    await abandonRestore(context)
    await recordLast(db, tools.compute, instanceId)
    await tools.compute.ensureStopped(instanceId, signal)
  }
  return goto('kept', async (tx) => {
    await restores.end(tx, instanceId)
    await instances.change(tx, instanceId, { state: 'deleted', startedAt: null })
    await snapshots.giveUp(tx, instanceId, 'the instance was deleted')
    await incidents.resolve(tx, id, 'the instance was deleted')
    await operations.finish(tx, id, ['instance.delete'], 'succeeded')
  })
}

export async function kept({ id, db, tools }: Context): Promise<Outcome<'purge' | 'kept'>> {
  const row = await db
    .selectFrom('instance')
    .select('purge_at')
    .where('id', '=', id as InstanceId)
    .executeTakeFirstOrThrow()
  const leftMs = row.purge_at ? row.purge_at.getTime() - (await tools.now(db)).getTime() : 0
  return leftMs > 0 ? wait(leftMs) : goto('purge')
}

export async function purge({ id, db, tools, signal }: Context): Promise<Outcome> {
  const instanceId = id as InstanceId
  const { hostId } = await instances.get(db, instanceId)
  if (hostId) await tools.compute.ensureAbsent(instanceId, signal)
  return done(async (tx) => {
    await instances.lock(tx, instanceId)
    await addresses.release(tx, instanceId, tools.settings.quarantineMinutes)
    await snapshots.forget(tx, instanceId, null)
    await instances.markPurged(tx, instanceId)
  })
}
