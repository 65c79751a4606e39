/** Accounts as S3 names owners: by canonical user id and display name. */
import type { Bucket } from '../../model/bucket.ts'
import { canonicalIdOf } from '../../model/canonical-id.ts'
import type { AccountId } from '../../model/ids.ts'
import { S3Error } from '../../model/s3-error.ts'
import * as accounts from '../../store/accounts.ts'
import type { S3Ctx } from '../s3-ctx.ts'

export interface Owner {
  canonicalId: string
  displayName: string
}

/** The owners of all these, each looked up once; the caller is known already. */
export async function ownersOf(
  { db, caller }: S3Ctx,
  accountIds: readonly AccountId[],
): Promise<(id: AccountId) => Owner> {
  const others = new Set(accountIds)
  if (caller) others.delete(caller.accountId)
  const names = await accounts.names(db, [...others])
  if (caller) names.set(caller.accountId, caller.displayName)
  return (id) => ({ canonicalId: canonicalIdOf(id), displayName: names.get(id) ?? '' })
}

/**
 * The client's own guard against a bucket that is not whose it thinks (`x-amz-expected-bucket-owner`). It names the owner
 * by the id of the account, its canonical id or, as in ARNs, its number. Throws AccessDenied.
 */
export async function refuseOtherOwner(
  { db }: S3Ctx,
  { accountId }: Bucket,
  expected: string | undefined,
): Promise<void> {
  if (expected === undefined || expected === accountId || expected === canonicalIdOf(accountId)) return
  if (/^\d{1,15}$/.test(expected) && (await accounts.get(db, accountId)).number === Number(expected)) return
  throw new S3Error('AccessDenied')
}
