/**
 * May they? One place for every S3 operation: the bucket of a suspended account is closed to all; what the key itself
 * cannot do is never allowed; an explicit Deny of the bucket's policy wins; then the bucket's own account is allowed;
 * then an Allow of the policy or a grant of an ACL; else AccessDenied. The public access block takes away what a policy
 * or an ACL gives to everybody.
 *
 * It runs on every request, so it looks nothing up: all it needs comes with the bucket and the version.
 */
import { type Acl, grants, type Permission, privateAcl } from '../../model/acl.ts'
import type { Bucket } from '../../model/bucket.ts'
import { type BucketPolicy, evaluate, parsePolicy } from '../../model/bucket-policy.ts'
import { isPublic } from '../../model/bucket-policy-public.ts'
import type { AccountId } from '../../model/ids.ts'
import { isReadAction, type S3Action } from '../../model/s3-action.ts'
import { S3Error } from '../../model/s3-error.ts'
import type { S3Caller, S3Ctx } from '../s3-ctx.ts'
import { conditionValues } from './access-facts.ts'

export interface Wish {
  action: S3Action
  bucket: Bucket
  /** Null for what concerns the bucket itself. */
  key: string | null
  /**
   * Of the version concerned, where there is one: its ACL and its tags count. For an unfinished upload the account that
   * began it, with `acl: null`: it may list its parts and abort it.
   */
  version?: { accountId: AccountId; acl: Acl | null; tags: Readonly<Record<string, string>> } | null
  /** The tags the request sets, for `s3:RequestObjectTag/…`. */
  requestTags?: Readonly<Record<string, string>>
}

/** Throws AccessDenied. */
export function authorize(ctx: S3Ctx, wish: Wish): void {
  if (!isAllowed(ctx, wish)) throw new S3Error('AccessDenied')
}

export function isAllowed(ctx: S3Ctx, wish: Wish): boolean {
  const { caller } = ctx
  const { action, bucket, key } = wish
  if (bucket.isSuspended) return false
  if (caller && !keyReaches(caller, action, bucket.name)) return false
  const isOwn = caller !== null && caller.accountId === bucket.accountId
  // Else a policy that denies too much could never be taken back (S3 user guide, "Bucket policies").
  if (POLICY_ACTIONS.includes(action)) return isOwn
  const policy = policyOf(bucket)
  if (policy === null) return isOwn || isGranted(caller, wish)
  const verdict = evaluate(policy.policy, {
    action,
    bucketName: bucket.name,
    key,
    caller,
    valuesOf: (name) => conditionValues(name, ctx, wish),
  })
  if (verdict === 'Deny') return false
  if (isOwn) return true
  const isRestricted = policy.isPublic && bucket.settings.publicAccessBlock?.restrictPublicBuckets === true
  return (verdict === 'Allow' && !isRestricted) || isGranted(caller, wish)
}

const POLICY_ACTIONS: readonly S3Action[] = ['s3:GetBucketPolicy', 's3:PutBucketPolicy', 's3:DeleteBucketPolicy']

/** Whether the key itself can do that; a bucket that is still to be made has a name as well. */
export const keyReaches = ({ isReadOnly, buckets }: S3Caller, action: S3Action, bucketName: string): boolean =>
  (!isReadOnly || isReadAction(action)) && (buckets === null || buckets.includes(bucketName))

/** What a reader of a key that is not there is told: that it is not, only if a listing would tell as well. */
export const missingKey = (ctx: S3Ctx, bucket: Bucket): S3Error =>
  new S3Error(isAllowed(ctx, { action: 's3:ListBucket', bucket, key: null }) ? 'NoSuchKey' : 'AccessDenied')

/** Whether the request asks to pass over a GOVERNANCE retention, and may. */
export const bypassesGovernance = (ctx: S3Ctx, wish: Omit<Wish, 'action'>): boolean =>
  ctx.request.header('x-amz-bypass-governance-retention')?.toLowerCase() === 'true' &&
  isAllowed(ctx, { ...wish, action: 's3:BypassGovernanceRetention' })

/** S3 user guide, "ACL overview", "Mapping of ACL permissions and access policy permissions". */
const BUCKET_PERMISSION: Partial<Record<S3Action, Permission>> = {
  's3:ListBucket': 'READ',
  's3:ListBucketVersions': 'READ',
  's3:ListBucketMultipartUploads': 'READ',
  's3:PutObject': 'WRITE',
  's3:DeleteObject': 'WRITE',
  's3:GetBucketAcl': 'READ_ACP',
  's3:PutBucketAcl': 'WRITE_ACP',
}
const OBJECT_PERMISSION: Partial<Record<S3Action, Permission>> = {
  's3:GetObject': 'READ',
  's3:GetObjectVersion': 'READ',
  's3:GetObjectAcl': 'READ_ACP',
  's3:GetObjectVersionAcl': 'READ_ACP',
  's3:PutObjectAcl': 'WRITE_ACP',
  's3:PutObjectVersionAcl': 'WRITE_ACP',
  's3:AbortMultipartUpload': 'FULL_CONTROL',
  's3:ListMultipartUploadParts': 'FULL_CONTROL',
}

function isGranted(caller: S3Caller | null, { action, bucket, version }: Wish): boolean {
  const { acl, ownership, publicAccessBlock } = bucket.settings
  if (ownership === 'BucketOwnerEnforced') return false
  const accountId = caller?.accountId ?? null
  const ignoresPublic = publicAccessBlock?.ignorePublicAcls === true
  const onBucket = BUCKET_PERMISSION[action]
  if (onBucket) return acl !== undefined && grants(acl, onBucket, accountId, ignoresPublic)
  const onObject = OBJECT_PERMISSION[action]
  if (!onObject || !version) return false
  // An owner who took every permission from himself can still read and mend the list.
  if (version.accountId === accountId && onObject !== 'READ') return true
  return grants(version.acl ?? privateAcl(version.accountId), onObject, accountId, ignoresPublic)
}

interface Remembered {
  text: string
  policy: BucketPolicy
  isPublic: boolean
}
const REMEMBERED_MAX = 1000
const remembered = new Map<string, Remembered>()

/** The bucket's policy, parsed once for as long as its text stays the same; null when it has none. */
export function policyOf({ id, name, settings: { policy: text } }: Bucket): Remembered | null {
  if (text === undefined) return null
  const known = remembered.get(id)
  if (known?.text === text) return known
  const policy = parsePolicy(text, name)
  const made = { text, policy, isPublic: isPublic(policy) }
  remembered.delete(id)
  remembered.set(id, made)
  if (remembered.size > REMEMBERED_MAX) remembered.delete(remembered.keys().next().value as string)
  return made
}
