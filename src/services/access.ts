/**
 * May they? One place for every S3 operation: an explicit Deny of the bucket's policy wins; then the bucket's own
 * account is allowed, as far as its key reaches; then an Allow of the policy or a grant of an ACL; else AccessDenied.
 */
import type { Acl } from '../model/acl.ts'
import type { Bucket } from '../model/bucket.ts'
import type { AccountId } from '../model/ids.ts'
import type { S3Action } from '../model/s3-action.ts'
import { S3Error } from '../model/s3-error.ts'
import type { S3Ctx } from './s3-ctx.ts'

export interface Wish {
  action: S3Action
  bucket: Bucket
  /** Null for what concerns the bucket itself. */
  key: string | null
  /** Of the version concerned, where there is one: its ACL and its tags count. */
  version?: { accountId: AccountId; acl: Acl | null; tags: Readonly<Record<string, string>> } | null
  /** The tags the request sets, for `s3:RequestObjectTag/…`. */
  requestTags?: Readonly<Record<string, string>>
}

/** Throws AccessDenied. */
export function authorize(ctx: S3Ctx, wish: Wish): void {
  if (!isAllowed(ctx, wish)) throw new S3Error('AccessDenied')
}

export function isAllowed({ caller }: S3Ctx, { bucket }: Wish): boolean {
  return caller !== null && caller.accountId === bucket.accountId
}
