/** Tags, ACL, retention and legal hold of an object's version: asked for, and changed. */
import type { AclWish } from '../model/acl.ts'
import type { Bucket } from '../model/bucket.ts'
import { canChangeRetention, type Retention } from '../model/object-lock.ts'
import type { S3Action } from '../model/s3-action.ts'
import { S3Error } from '../model/s3-error.ts'
import type { Tags } from '../model/tags.ts'
import * as objectSettings from '../store/object-settings.ts'
import { seqOfVersionId } from '../store/version-ids.ts'
import { authorize, bypassesGovernance, missingKey, type Wish } from './buckets/access.ts'
import { resolveAcl } from './buckets/acls.ts'
import type { S3Ctx } from './s3-ctx.ts'

export interface ObjectRef {
  bucket: Bucket
  key: string
  /** Undefined = the latest. */
  versionId: string | undefined
}
export type ObjectSettings = objectSettings.ObjectSettings

/** Throws AccessDenied, NoSuchKey, NoSuchVersion, or MethodNotAllowed for a delete marker. */
export async function get(ctx: S3Ctx, ref: ObjectRef, action: S3Action): Promise<ObjectSettings> {
  const version = await objectSettings.find(ctx.db, rowOf(ref))
  return checked(ctx, ref, version, { action })
}

/** `DeleteObjectTagging` is this with no tags. Returns the id of the version. */
export function putTags(ctx: S3Ctx, ref: ObjectRef, tags: Tags, action: S3Action): Promise<string> {
  return change(ctx, ref, { action, requestTags: tags }, () => ({ tags }))
}

export async function putAcl(ctx: S3Ctx, ref: ObjectRef, wish: AclWish, action: S3Action): Promise<string> {
  const { bucket } = ref
  const { accountId } = await get(ctx, ref, action)
  const acl = await resolveAcl(ctx.db, bucket.settings, { ownerId: accountId, bucketOwnerId: bucket.accountId }, wish)
  return change(ctx, ref, { action }, (version) => {
    // It was written anew meanwhile, by somebody else: the list was made for another owner.
    if (version.accountId !== accountId) throw new S3Error('OperationAborted')
    return { acl }
  })
}

/** Null takes it away. */
export function putRetention(ctx: S3Ctx, ref: ObjectRef, retention: Retention | null): Promise<string> {
  checkObjectLock(ref.bucket)
  const bypasses = bypassesGovernance(ctx, ref)
  return change(ctx, ref, { action: 's3:PutObjectRetention' }, (version, now) => {
    if (retention && retention.until <= now) {
      throw new S3Error('InvalidArgument', 'The retain until date must be in the future!')
    }
    if (!canChangeRetention(version.retention, retention, now, bypasses)) {
      throw new S3Error('AccessDenied', 'Access Denied because object protected by object lock.')
    }
    return { retention }
  })
}

export function putLegalHold(ctx: S3Ctx, ref: ObjectRef, legalHold: boolean): Promise<string> {
  checkObjectLock(ref.bucket)
  return change(ctx, ref, { action: 's3:PutObjectLegalHold' }, () => ({ legalHold }))
}

/** Before anything is said about an object's lock, too. */
export function checkObjectLock({ settings }: Bucket): void {
  if (!settings.objectLock) throw new S3Error('InvalidRequest', 'Bucket is missing Object Lock Configuration')
}

type Asked = Pick<Wish, 'action'> & Partial<Pick<Wish, 'requestTags'>>

async function change(
  ctx: S3Ctx,
  ref: ObjectRef,
  asked: Asked,
  edit: (version: ObjectSettings, now: Date) => ReturnType<Parameters<typeof objectSettings.change>[2]>,
): Promise<string> {
  let versionId = ''
  await objectSettings.change(ctx.db, rowOf(ref), (version, now) => {
    const found = checked(ctx, ref, version, asked)
    versionId = found.versionId
    return edit(found, now)
  })
  return versionId
}

function checked(
  ctx: S3Ctx,
  { bucket, key, versionId }: ObjectRef,
  version: ObjectSettings | undefined,
  asked: Asked,
): ObjectSettings {
  const isThere = version !== undefined && !version.isDeleteMarker
  authorize(ctx, { ...asked, bucket, key, version: isThere ? version : null })
  if (isThere) return version
  if (version && versionId !== undefined) {
    const headers = { allow: 'DELETE', 'x-amz-delete-marker': 'true', 'x-amz-version-id': version.versionId }
    throw new S3Error('MethodNotAllowed', undefined, { headers })
  }
  if (versionId !== undefined) {
    throw new S3Error('NoSuchVersion', undefined, { elements: { Key: key, VersionId: versionId } })
  }
  throw missingKey(ctx, bucket)
}

/** Throws InvalidArgument for what cannot be a version's id. */
function rowOf({ bucket, key, versionId }: ObjectRef): objectSettings.VersionRef {
  if (versionId !== undefined && seqOfVersionId(versionId) === undefined) {
    throw new S3Error('InvalidArgument', 'Invalid version id specified', {
      elements: { ArgumentName: 'versionId', ArgumentValue: versionId },
    })
  }
  return { bucketNumber: bucket.number, key, versionId }
}
