/** Deleting objects and versions: one, or up to a thousand of which each stands for itself. */
import type { Bucket } from '../../model/bucket.ts'
import { KEY_MAX_BYTES } from '../../model/object.ts'
import { S3Error } from '../../model/s3-error.ts'
import * as objects from '../../store/objects.ts'
import { authorize, bypassesGovernance } from '../buckets/access.ts'
import type { S3Ctx } from '../s3-ctx.ts'
import { etagsOf } from './conditions.ts'
import { onBucket } from './known-bucket.ts'
import { wantedVersion } from './read.ts'

export interface Removal {
  key: string
  /** As the client wrote it; undefined = the plain delete. */
  versionId?: string | undefined
  ifMatch?: string | undefined
}
export interface Removed {
  /** Of the version that was deleted, or the delete marker that was made. */
  versionId: string | undefined
  /** A delete marker was made, or was what is deleted. */
  isMarker: boolean
}

/** Deleting what is not there is success. Throws AccessDenied (also for what is protected), PreconditionFailed. */
export async function remove(ctx: S3Ctx, bucket: Bucket, removal: Removal): Promise<Removed> {
  const [result] = await removeSome(ctx, bucket, [removal])
  if (result instanceof S3Error) throw result
  return result as Removed
}

const AT_ONCE = 100 // each is a lock, and the database has room for some thousands

/** In the order of asking: what became of each, or why not. */
export async function removeMany(
  ctx: S3Ctx,
  bucket: Bucket,
  removals: readonly Removal[],
): Promise<(Removed | S3Error)[]> {
  const results: (Removed | S3Error)[] = []
  for (let at = 0; at < removals.length; at += AT_ONCE) {
    results.push(...(await removeSome(ctx, bucket, removals.slice(at, at + AT_ONCE))))
  }
  return results
}

async function removeSome(
  ctx: S3Ctx,
  remembered: Bucket,
  removals: readonly Removal[],
): Promise<(Removed | S3Error)[]> {
  let single: S3Error | undefined
  const removing = onBucket(ctx, remembered, async (bucket) => {
    const judged = removals.map((removal) => judge(ctx, bucket, removal))
    // A single refusal may come from an old memory of the bucket; among many the bucket was read just now.
    single = judged.length === 1 && judged[0] instanceof S3Error ? judged[0] : undefined
    if (single) throw single
    const deletions = judged.flatMap((one) => (one instanceof S3Error ? [] : [one]))
    const accountId = ctx.caller?.accountId ?? bucket.accountId
    const deleted = deletions.length === 0 ? [] : await objects.remove(ctx.db, { bucket, accountId, deletions })
    if (deleted === 'stale') return 'stale'
    const answers = deleted.values()
    return judged.map((one) => (one instanceof S3Error ? one : outcomeOf(one, answers.next().value as objects.Deleted)))
  })
  try {
    return await removing
  } catch (error) {
    // Still only this one's: others may have been deleted before it.
    if (single && error === single) return [single]
    throw error
  }
}

function judge(ctx: S3Ctx, bucket: Bucket, { key, versionId, ifMatch }: Removal): objects.Deletion | S3Error {
  try {
    if (Buffer.byteLength(key) > KEY_MAX_BYTES) throw new S3Error('KeyTooLongError')
    const version = wantedVersion(versionId)
    authorize(ctx, { action: version ? 's3:DeleteObjectVersion' : 's3:DeleteObject', bucket, key })
    return {
      key,
      ...(version ? { version } : {}),
      ...(ifMatch === undefined ? {} : { ifMatch: etagsOf(ifMatch) }),
      bypassGovernance: version !== undefined && bypassesGovernance(ctx, { bucket, key }),
    }
  } catch (error) {
    if (error instanceof S3Error) return error
    throw error
  }
}

function outcomeOf(
  { version }: objects.Deletion,
  { outcome, versionId, isMarker }: objects.Deleted,
): Removed | S3Error {
  switch (outcome) {
    case 'protected':
      return new S3Error('AccessDenied', 'Access Denied because object protected by object lock.')
    case 'precondition_failed':
      return new S3Error('PreconditionFailed', undefined, { elements: { Condition: 'If-Match' } })
    case 'marked':
      return { versionId: versionId ?? undefined, isMarker: true }
    case 'deleted':
    case 'absent':
      // A plain delete that removed something has made no version known.
      return version ? { versionId: version.id, isMarker } : { versionId: undefined, isMarker: false }
  }
}
