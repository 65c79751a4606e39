/**
 * Acting on a bucket that is only remembered. A memory may be older than a grant, so a refusal is judged again by the
 * bucket as it is; and whatever changes or reads objects compares the revision, and says when it was another.
 */
import type { Bucket } from '../../model/bucket.ts'
import { S3Error } from '../../model/s3-error.ts'
import { authorize, type Wish } from '../buckets/access.ts'
import type { S3Ctx } from '../s3-ctx.ts'

const CHANGES_MAX = 8 // a bucket that changes faster than a request runs

/** `act` answers 'stale' when the revision it was given is not the bucket's any more; it is then called again. */
export async function onBucket<T>(
  ctx: S3Ctx,
  remembered: Bucket,
  act: (bucket: Bucket) => Promise<T | 'stale'>,
): Promise<T> {
  let bucket = remembered
  for (let tries = 0; tries < CHANGES_MAX; tries++) {
    try {
      const result = await act(bucket)
      if (result !== 'stale') return result
      bucket = await freshOf(ctx, bucket)
    } catch (error) {
      if (!(error instanceof S3Error && error.s3Code === 'AccessDenied')) throw error
      const now = await freshOf(ctx, bucket)
      if (now.number === bucket.number && now.revision === bucket.revision) throw error
      bucket = now
    }
  }
  throw new S3Error('OperationAborted')
}

/** Throws AccessDenied, judged by the bucket as it is when the remembered one does not allow it. */
export const authorizeKnown = (ctx: S3Ctx, wish: Wish): Promise<Bucket> =>
  onBucket(ctx, wish.bucket, async (bucket) => {
    authorize(ctx, { ...wish, bucket })
    return bucket
  })

/** Throws NoSuchBucket; and AccessDenied when the name is another account's now and the client said whose it means. */
async function freshOf(ctx: S3Ctx, bucket: Bucket): Promise<Bucket> {
  const now = await ctx.buckets.fresh(bucket.name)
  if (now.accountId !== bucket.accountId && ctx.request.header('x-amz-expected-bucket-owner') !== undefined) {
    throw new S3Error('AccessDenied')
  }
  return now
}
