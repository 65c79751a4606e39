/** Buckets as the S3 protocol sees them. */
import type { Bucket } from '../model/bucket.ts'
import { S3Error } from '../model/s3-error.ts'
import * as buckets from '../store/buckets.ts'
import type { S3Ctx } from './s3-ctx.ts'

export interface ListInput {
  max: number
  prefix?: string
  /** Only names behind this one. */
  after: string | null
  /** Asked for another region than ours, where there is none. */
  isElsewhere: boolean
}

/** The caller's own, by name; `next` is where the next page begins, null when there is none. */
export async function list(
  { db, caller }: S3Ctx,
  { max, prefix, after, isElsewhere }: ListInput,
): Promise<{ buckets: Bucket[]; next: string | null }> {
  if (caller === null) throw new S3Error('AccessDenied')
  if (isElsewhere) return { buckets: [], next: null }
  const found = await buckets.list(db, {
    accountId: caller.accountId,
    ...(prefix !== undefined && { prefix }),
    ...(after !== null && { after }),
    limit: max + 1,
  })
  const page = found.slice(0, max)
  return { buckets: page, next: found.length > max ? (page.at(-1)?.name ?? null) : null }
}
