/** What the outcomes of publishing mean to a client. */
import { S3Error } from '../model/s3-error.ts'
import type { Published } from '../store/objects.ts'

type Done = Extract<Published, { outcome: 'published' }>

/** Throws what the client is to know. `stale` is for `onBucket`. */
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
