/**
 * Removes the blobs that nothing is made of any more, once nobody can still be reading them; and uploads that were
 * completed long ago, whose row was only kept to repeat the answer.
 */
import * as blobs from '../../store/blobs.ts'
import * as multipart from '../../store/multipart.ts'
import * as readers from '../../store/object-readers.ts'
import type { Reconciler } from '../engine/reconciler.ts'
import type { ObjectTools } from '../tools.ts'

const COMPLETED_KEEP_DAYS = 7

export const sweepObjects: Reconciler<ObjectTools> = {
  name: 'objects.sweep',
  everyMs: 20_000,
  async run({ db, objects, storage }, signal) {
    const oldestRead = await readers.oldestRead(db)
    for (let isMore = true; isMore && !signal.aborted; ) {
      const batch = await blobs.forgetReleased(db, { graceSeconds: storage.releasedGraceSeconds, oldestRead })
      // A crash in between leaves files without a row, which the audit of the store removes.
      if (batch.gone.length > 0) await objects.remove(batch.gone)
      isMore = batch.isMore
    }
    await multipart.prune(db, COMPLETED_KEEP_DAYS)
  },
}
