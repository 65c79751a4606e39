/** Removes image files that no image and no disk stands on any more: a replaced build, a deleted import. */
import * as images from '../../store/images.ts'
import type { Reconciler } from '../engine/reconciler.ts'
import type { ReconcilerTools } from '../tools.ts'

/** A file younger than this may belong to a task whose result is not written down yet. */
const YOUNG_MS = 3_600_000

export const sweepImages: Reconciler<ReconcilerTools> = {
  name: 'images.sweep',
  everyMs: 10 * 60_000,
  async run({ db, images: files }) {
    // Listed first: what is put in place between the two looks is not on the list.
    const present = await files.list()
    const needed = await images.digestsInUse(db)
    for (const { digest, modifiedAt } of present) {
      if (!needed.has(digest) && Date.now() - modifiedAt.getTime() > YOUNG_MS) await files.remove(digest)
    }
  },
}
