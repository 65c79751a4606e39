/**
 * The buckets that a process remembers, so that a hot operation needs no query of its own for its bucket: it hands the
 * revision it remembers to the query it makes anyway, and that refuses when the bucket has changed meanwhile.
 */
import type { Bucket } from '../../model/bucket.ts'
import { S3Error } from '../../model/s3-error.ts'
import * as buckets from '../../store/buckets.ts'
import type { Db } from '../../store/db.ts'
import type { BucketMemory } from '../s3-ctx.ts'

const REMEMBERED_MAX = 10_000 // with a policy of 20 KiB each some 200 MB at the very worst

export function createBucketMemory(db: Db, rememberedMax = REMEMBERED_MAX): BucketMemory {
  // In the order of their reading; whoever was read first is forgotten first.
  const known = new Map<string, Bucket>()

  async function fresh(name: string): Promise<Bucket> {
    const bucket = await buckets.find(db, name)
    if (!bucket) {
      known.delete(name)
      throw new S3Error('NoSuchBucket', undefined, { elements: { BucketName: name } })
    }
    // Two that read at once may end in the other order; the older reading must not win.
    const before = known.get(name)
    if (before && before.id === bucket.id && before.revision > bucket.revision) return before
    known.delete(name)
    known.set(name, bucket)
    const [oldest] = known.keys()
    if (known.size > rememberedMax && oldest !== undefined) known.delete(oldest)
    return bucket
  }

  return {
    get: async (name) => known.get(name) ?? fresh(name),
    fresh,
    forget: (name) => void known.delete(name),
  }
}
