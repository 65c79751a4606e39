/**
 * What the owner of a bucket sets. A change is made under the bucket's lock, alone: no object is being written by the
 * old rules when it is answered, and two changes never lose one another.
 */
import type { AclWish } from '../../model/acl.ts'
import type { Bucket, BucketSettings, Versioning } from '../../model/bucket.ts'
import { parsePolicy } from '../../model/bucket-policy.ts'
import { isPublic } from '../../model/bucket-policy-public.ts'
import { canonicalIdOf } from '../../model/canonical-id.ts'
import type { DefaultRetention } from '../../model/object-lock.ts'
import { S3Error } from '../../model/s3-error.ts'
import * as accounts from '../../store/accounts.ts'
import * as buckets from '../../store/buckets.ts'
import type { Db } from '../../store/db.ts'
import type { S3Ctx } from '../s3-ctx.ts'
import { resolveAcl } from './acls.ts'

/** Settings that hold whatever else is set; the others have a function of their own below. */
export type PlainSettings = Pick<
  BucketSettings,
  'cors' | 'lifecycle' | 'website' | 'tags' | 'publicAccessBlock' | 'encryption'
>

export const put = <Name extends keyof PlainSettings>(
  ctx: S3Ctx,
  bucket: Bucket,
  name: Name,
  value: NonNullable<PlainSettings[Name]>,
): Promise<void> => change(ctx, bucket, ({ settings }) => ({ settings: { ...settings, [name]: value } }))

/** What was never set may be removed as well. */
export const remove = (ctx: S3Ctx, bucket: Bucket, name: keyof PlainSettings | 'policy' | 'ownership'): Promise<void> =>
  change(ctx, bucket, ({ settings }) => {
    const { [name]: _, ...rest } = settings
    return { settings: rest }
  })

/** Throws MalformedPolicy, or AccessDenied when it opens the bucket to the public and that is blocked. */
export async function putPolicy(ctx: S3Ctx, bucket: Bucket, text: string): Promise<void> {
  const policy = parsePolicy(text, bucket.name)
  for (const { principals } of policy.statements) {
    for (const ref of [...principals.accountIds, ...principals.accountNumbers]) {
      if (!(await accounts.find(ctx.db, String(ref))))
        throw new S3Error('MalformedPolicy', 'Invalid principal in policy')
    }
  }
  await change(ctx, bucket, ({ settings }) => {
    if (settings.publicAccessBlock?.blockPublicPolicy && isPublic(policy)) throw new S3Error('AccessDenied')
    return { settings: { ...settings, policy: text } }
  })
}

export async function putAcl(ctx: S3Ctx, bucket: Bucket, wish: AclWish): Promise<void> {
  const { accountId, settings: seen } = bucket
  const acl = await resolveAcl(ctx.db, seen, { ownerId: accountId, bucketOwnerId: accountId }, wish)
  await change(ctx, bucket, ({ settings: { acl: _, ...settings } }) => {
    const isAsSeen =
      settings.ownership === seen.ownership &&
      settings.publicAccessBlock?.blockPublicAcls === seen.publicAccessBlock?.blockPublicAcls
    if (!isAsSeen) throw new S3Error('OperationAborted')
    return { settings: acl === null ? settings : { ...settings, acl } }
  })
}

/** Throws InvalidBucketAclWithObjectOwnership when ACLs are to be off while the bucket's gives something to others. */
export function putOwnership(
  ctx: S3Ctx,
  bucket: Bucket,
  ownership: NonNullable<BucketSettings['ownership']>,
): Promise<void> {
  const owner = canonicalIdOf(bucket.accountId)
  return change(ctx, bucket, ({ settings }) => {
    const givesAway = settings.acl?.grants.some(
      ({ grantee }) => grantee.kind !== 'account' || grantee.canonicalId !== owner,
    )
    if (ownership === 'BucketOwnerEnforced' && givesAway) throw new S3Error('InvalidBucketAclWithObjectOwnership')
    return { settings: { ...settings, ownership } }
  })
}

export function putVersioning(ctx: S3Ctx, bucket: Bucket, versioning: Exclude<Versioning, 'off'>): Promise<void> {
  return change(ctx, bucket, ({ settings }) => {
    if (versioning === 'suspended' && settings.objectLock) {
      throw new S3Error(
        'InvalidBucketState',
        'An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.',
      )
    }
    return { versioning }
  })
}

/** Once on it never goes; without a rule new objects are just not locked by default. */
export function putObjectLock(ctx: S3Ctx, bucket: Bucket, rule: DefaultRetention | undefined): Promise<void> {
  return change(ctx, bucket, ({ versioning, settings }) => {
    if (versioning !== 'enabled') {
      throw new S3Error(
        'InvalidBucketState',
        'Versioning must be ‘Enabled’ on the bucket to apply a Object Lock configuration',
      )
    }
    return { settings: { ...settings, objectLock: rule ? { defaultRetention: rule } : {} } }
  })
}

async function change(
  ctx: S3Ctx,
  bucket: Bucket,
  edit: (now: Bucket) => { versioning?: Versioning; settings?: BucketSettings },
): Promise<void> {
  const db: Db = ctx.db
  const changed = await buckets.change(db, bucket, edit)
  ctx.buckets.forget(bucket.name)
  if (!changed) throw new S3Error('NoSuchBucket', undefined, { elements: { BucketName: bucket.name } })
}
