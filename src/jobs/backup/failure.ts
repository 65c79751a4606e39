/** How the making of a backup fails. */
import type { ErrorCode } from '../../model/errors.ts'
import type { BackupId } from '../../model/ids.ts'
import * as backups from '../../store/backups.ts'
import * as incidents from '../../store/incidents.ts'
import * as operations from '../../store/operations.ts'
import { goto, type Outcome } from '../engine/strand.ts'

/** It has failed: the caller is told, and what was begun is taken back. */
export function giveUp(id: BackupId, errorCode: ErrorCode, message: string): Outcome<'undo'> {
  return goto('undo', async (tx) => {
    const backup = await backups.lock(tx, id)
    if (backup.state !== 'creating') return
    await backups.fail(tx, id, message)
    await operations.finish(tx, id, ['backup.create'], 'failed', { message, errorCode })
    // Nobody waits for the answer of an automatic one.
    if (backup.kind === 'manual') return
    await incidents.open(tx, {
      strandId: automaticOf(backup.instance_id),
      kind: 'backup-failed',
      step: 'undo',
      message: `the automatic backup of ${backup.instance_id} failed: ${message}`,
    })
  })
}

/** What incidents of an instance's automatic backups are filed under, until one succeeds. */
export const automaticOf = (instanceId: string): string => `backups of ${instanceId}`
