/**
 * Reads every blob again and again, slowly, and compares its digest with the one it came with: a disk forgets silently,
 * and a copy elsewhere is only of use to who knows it in time. Encrypted blobs are only read through, because their
 * digest is that of what is inside, and a customer's key is not ours to have; reading them later verifies every block.
 */
import { createHash } from 'node:crypto'
import { BlobDamaged, BlobMissing, type ObjectsDriver } from '../../drivers/objects/objects.ts'
import * as blobs from '../../store/blobs.ts'
import * as settings from '../../store/settings.ts'
import type { Reconciler } from '../engine/reconciler.ts'
import type { ObjectTools } from '../tools.ts'
import { reportDamage } from './blob-damage.ts'

const PAGE = 100
const BUFFER_BYTES = 256 * 1024

export const scrubBlobs: Reconciler<ObjectTools> = {
  name: 'objects.scrub',
  everyMs: 10 * 60_000,
  async run({ db, objects, storage, log }, signal) {
    await objects.open()
    let { after } = (await settings.read(db, 'scrub')) ?? { after: null }
    let left = storage.scrubBytes
    while (left > 0 && !signal.aborted) {
      const page = await blobs.next(db, after, PAGE)
      for (const blob of page) {
        if (left <= 0 || signal.aborted) break
        const verdict = await check(objects, blob)
        // Deleted while it was read, perhaps.
        if (verdict !== 'sound' && (await blobs.known(db, [blob.id])).length > 0) {
          await reportDamage({ db, log }, verdict, [blob.id])
        }
        left -= blob.storedBytes
        after = blob.id
      }
      if (page.length < PAGE && after === (page.at(-1)?.id ?? after)) {
        after = null // from the beginning next time
        break
      }
    }
    await settings.write(db, 'scrub', { after })
  },
}

async function check(
  objects: ObjectsDriver,
  { id, storedBytes, md5 }: blobs.ScrubbedBlob,
): Promise<'sound' | 'missing' | 'damaged'> {
  const hash = createHash('md5')
  const buffer = Buffer.alloc(Math.min(BUFFER_BYTES, storedBytes))
  try {
    const reader = await objects.read(id, 0, storedBytes)
    try {
      for (let bytes = await reader.read(buffer); bytes > 0; bytes = await reader.read(buffer)) {
        hash.update(buffer.subarray(0, bytes))
      }
    } finally {
      await reader.close()
    }
  } catch (error) {
    if (error instanceof BlobMissing) return 'missing'
    if (error instanceof BlobDamaged) return 'damaged'
    throw error
  }
  return md5 === null || hash.digest().equals(md5) ? 'sound' : 'damaged'
}
