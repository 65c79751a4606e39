/** What the outcomes of publishing mean to a client, and what is done when the bucket changed meanwhile. */
import type { Bucket } from '../model/bucket.ts'
import { S3Error } from '../model/s3-error.ts'
import type { Published } from '../store/objects.ts'
import type { S3Ctx } from './s3-ctx.ts'

type Done = Extract<Published, { outcome: 'published' }>

/** Throws what the client is to know. `stale` is for `onFreshBucket`. */
export function publishedOrThrow(published: Published): Done | 'stale' {
  switch (published.outcome) {
    case 'published':
      return published
    case 'stale':
      return 'stale'
    case 'precondition_failed':
      throw new S3Error('PreconditionFailed', undefined, { elements: { Condition: published.condition } })
    case 'no_such_key':
      throw new S3Error('NoSuchKey')
    case 'quota':
      throw new S3Error('QuotaExceeded')
    case 'protected':
      throw new S3Error('AccessDenied', 'Access Denied because object protected by object lock.')
    case 'past_retention':
      throw new S3Error('InvalidArgument', 'The retain until date must be in the future!')
  }
}

const TRIES = 5

/**
 * Calls `attempt` until the bucket was the same from its authorisation to its commit; `again` asks for it anew. Throws
 * NoSuchBucket, what `again` throws, and OperationAborted for a bucket that changes all the time.
 */
export async function onFreshBucket<T>(
  ctx: S3Ctx,
  bucket: Bucket,
  again: (bucket: Bucket) => void | Promise<void>,
  attempt: (bucket: Bucket) => Promise<T | 'stale'>,
): Promise<T> {
  let current = bucket
  for (let tries = 0; tries < TRIES; tries++) {
    const result = await attempt(current)
    if (result !== 'stale') return result
    current = await ctx.buckets.fresh(bucket.name)
    await again(current)
  }
  throw new S3Error('OperationAborted')
}
