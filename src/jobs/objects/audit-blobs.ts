/**
 * Compares the store with the index, from the start and every hour. What no row knows is left over from a crash or an
 * upload that broke off, and goes when it is old enough. What a row knows and the store lacks is damage: it is reported.
 */
import { BlobMissing, type ObjectsDriver } from '../../drivers/objects/objects.ts'
import * as blobs from '../../store/blobs.ts'
import type { Reconciler } from '../engine/reconciler.ts'
import type { ObjectTools } from '../tools.ts'
import { reportDamage } from './blob-damage.ts'

/** A store of which more than half is nobody's belongs to another database: nothing is removed then. */
const SUSPICIOUS_MIN = 1000
const REMOVED_AT_ONCE = 500
const MISSING_LOOKED_AT = 1000

export const auditBlobs: Reconciler<ObjectTools> = {
  name: 'objects.audit',
  everyMs: 3_600_000,
  async run({ db, objects, storage, log }, signal) {
    await objects.open()
    await blobs.noteForgotten(db)
    const found = await blobs.compare(db, objects.list(signal), storage.orphanGraceSeconds)
    const { orphans, listed } = found
    if (orphans.length >= SUSPICIOUS_MIN && orphans.length > listed / 2) {
      log(`${orphans.length} of ${listed} blobs belong to no object of this database; none is removed`)
    } else {
      for (let at = 0; at < orphans.length; at += REMOVED_AT_ONCE) {
        signal.throwIfAborted()
        const some = orphans.slice(at, at + REMOVED_AT_ONCE)
        const known = new Set(await blobs.known(db, some))
        await objects.remove(some.filter((id) => !known.has(id)))
      }
    }
    const missing = await reallyMissing(objects, await blobs.known(db, found.missing.slice(0, MISSING_LOOKED_AT)))
    await reportDamage({ db, log }, 'missing', missing)
  },
}

/** A listing may pass over what moves while it lists; who asks for the very blob knows. */
async function reallyMissing(objects: ObjectsDriver, ids: readonly string[]): Promise<string[]> {
  const missing: string[] = []
  for (const id of ids) {
    try {
      await (await objects.read(id, 0, 1)).close()
    } catch (error) {
      if (!(error instanceof BlobMissing)) throw error
      missing.push(id)
    }
  }
  return missing
}
