/**
 * Lets go of what no backup is made of any more: first it is noted, then, when the grace is over and no work is left
 * that may have counted on it, its blobs are released and go like any others (sweep-objects.ts).
 */
import * as chunks from '../../store/backup-chunks.ts'
import type { Reconciler } from '../engine/reconciler.ts'
import type { ObjectTools } from '../tools.ts'

export const sweepBackups: Reconciler<ObjectTools> = {
  name: 'backups.sweep',
  everyMs: 60_000,
  async run({ db, storage }, signal) {
    for (const accountId of await chunks.accountsToSweep(db)) {
      await db.transaction().execute((tx) => chunks.mark(tx, accountId))
      for (let isMore = true; isMore && !signal.aborted; ) {
        isMore = await db.transaction().execute((tx) => chunks.sweep(tx, accountId, storage.backupGraceMinutes))
      }
    }
  },
}
