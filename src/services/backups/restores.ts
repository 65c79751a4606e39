/** Giving an instance the disk of one of its backups. */
import { CloudError, notFound } from '../../model/errors.ts'
import { atomically } from '../../store/db.ts'
import type { Instance } from '../../store/instances.ts'
import * as instanceRows from '../../store/instances.ts'
import type { Operation } from '../../store/operations.ts'
import * as operations from '../../store/operations.ts'
import * as restoreRows from '../../store/restores.ts'
import * as strands from '../../store/strands.ts'
import { allow, type Ctx } from '../ctx.ts'
import type { Ref } from '../instances.ts'
import * as instances from '../instances.ts'
import { assertCompleted, type BackupRef, findBackup } from './restorable.ts'

/**
 * In place: the instance must be stopped, and is again when it is done, with the disk as it was at the backup's moment;
 * its snapshots go with the old disk, which stays until the new one is verified. Until then nothing else may be done
 * with it but deleting. Throws `not_found` when the backup is not one of this instance, `conflict` when it is not
 * completed or the instance is not stopped.
 */
export async function restore(
  ctx: Ctx,
  instanceRef: Ref,
  backupRef: BackupRef,
): Promise<{ instance: Instance; operation: Operation }> {
  allow(ctx, 'instances:write')
  const { id } = await instances.get(ctx, instanceRef)
  return atomically(ctx.db, async (tx) => {
    const row = await instanceRows.lock(tx, id)
    if (row.delete_requested_at) throw notFound('instance', String(instanceRef))
    const backup = await findBackup({ ...ctx, db: tx }, backupRef)
    if (backup.instanceId !== id) throw notFound('backup', String(backupRef))
    assertCompleted(backup)
    if (row.suspended_reason !== null) {
      throw new CloudError('conflict', `the instance is suspended: ${row.suspended_reason}`)
    }
    if (row.state !== 'stopped') {
      throw new CloudError('conflict', `cannot restore an instance that is ${row.state}: stop it first`)
    }
    if ((backup.diskBytes ?? 0) > row.disk_gib * 2 ** 30) {
      throw new CloudError('conflict', `the backup's disk is larger than the instance's ${row.disk_gib} GiB`)
    }
    const operation = await operations.open(tx, {
      accountId: ctx.caller.accountId,
      kind: 'instance.restore',
      resourceId: id,
      requestId: ctx.requestId,
    })
    await instanceRows.change(tx, id, { state: 'restoring', reason: null })
    await restoreRows.begin(tx, id, backup.id, { isFirst: false })
    await strands.wake(tx, id)
    return { instance: await instanceRows.get(tx, id), operation }
  })
}
