/** From what a client asks to be kept with an object to what is kept: may they, and does the bucket allow it. */

import type { Acl } from '../model/acl.ts'
import type { Bucket } from '../model/bucket.ts'
import { canonicalIdOf } from '../model/canonical-id.ts'
import type { AccountId } from '../model/ids.ts'
import type { ObjectProperties } from '../model/object.ts'
import type { ObjectWish } from '../model/object-wish.ts'
import { S3Error } from '../model/s3-error.ts'
import { now } from '../store/db.ts'
import { authorize } from './buckets/access.ts'
import { resolveAcl } from './buckets/acls.ts'
import type { S3Ctx } from './s3-ctx.ts'

export interface GrantedWish {
  properties: ObjectProperties
  /** Whose the new version is. */
  ownerId: AccountId
}

/**
 * Besides the action itself, which the caller has asked about: tags, ACLs, retention and legal hold each want their own.
 * A retention that the bucket sets by default is not among them: it counts from the moment of publishing. Throws
 * AccessDenied, InvalidRequest (the bucket has no object lock), InvalidArgument, AccessControlListNotSupported …
 */
export async function grantObjectWish(ctx: S3Ctx, bucket: Bucket, key: string, wish: ObjectWish): Promise<GrantedWish> {
  const { tags, retention = null, legalHold = false } = wish
  const asked = { bucket, key, ...(tags ? { requestTags: tags } : {}) }
  if (tags && Object.keys(tags).length > 0) authorize(ctx, { ...asked, action: 's3:PutObjectTagging' })
  await checkLock(ctx, bucket, key, wish)
  const ownerId = ownerOfNew(ctx, bucket, wish)
  return {
    properties: {
      headers: wish.headers,
      metadata: wish.metadata,
      storageClass: wish.storageClass,
      tags: tags ?? {},
      acl: await newAcl(ctx, bucket, key, wish, ownerId),
      retention,
      legalHold,
    },
    ownerId,
  }
}

async function checkLock(ctx: S3Ctx, bucket: Bucket, key: string, { retention, legalHold }: ObjectWish): Promise<void> {
  if (retention === undefined && legalHold === undefined) return
  if (!bucket.settings.objectLock) {
    throw new S3Error('InvalidRequest', 'Bucket is missing Object Lock Configuration')
  }
  if (retention) {
    authorize(ctx, { action: 's3:PutObjectRetention', bucket, key })
    if (retention.until <= (await now(ctx.db))) {
      throw new S3Error('InvalidArgument', 'The retain until date must be in the future!')
    }
  }
  if (legalHold !== undefined) authorize(ctx, { action: 's3:PutObjectLegalHold', bucket, key })
}

/** What nobody signed for is the bucket owner's, like everything where ownership says so. */
function ownerOfNew({ caller }: S3Ctx, { accountId, settings }: Bucket, { acl }: ObjectWish): AccountId {
  if (caller === null || settings.ownership === 'BucketOwnerEnforced') return accountId
  const givesUp = acl !== undefined && 'canned' in acl && acl.canned === 'bucket-owner-full-control'
  return settings.ownership === 'BucketOwnerPreferred' && givesUp ? accountId : caller.accountId
}

async function newAcl(
  ctx: S3Ctx,
  bucket: Bucket,
  key: string,
  { acl: wish }: ObjectWish,
  ownerId: AccountId,
): Promise<Acl | null> {
  if (wish === undefined) return null
  const asksForMore = !('canned' in wish) || !['private', 'bucket-owner-full-control'].includes(wish.canned)
  // Else whoever may only upload could open what he uploads to the world.
  if (asksForMore) authorize(ctx, { action: 's3:PutObjectAcl', bucket, key })
  const acl = await resolveAcl(ctx.db, bucket.settings, { ownerId, bucketOwnerId: bucket.accountId }, wish)
  if (acl === null || 'canned' in wish) return acl
  // Grant headers add to what the owner has (S3 API, "PutObject").
  const owner = canonicalIdOf(ownerId)
  const hasOwner = acl.grants.some(({ grantee }) => grantee.kind === 'account' && grantee.canonicalId === owner)
  return hasOwner
    ? acl
    : { grants: [{ grantee: { kind: 'account', canonicalId: owner }, permission: 'FULL_CONTROL' }, ...acl.grants] }
}
