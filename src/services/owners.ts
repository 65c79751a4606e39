/** Accounts as S3 names owners: by canonical user id and display name. */
import { canonicalIdOf } from '../model/canonical-id.ts'
import type { AccountId } from '../model/ids.ts'
import * as accounts from '../store/accounts.ts'
import type { S3Ctx } from './s3-ctx.ts'

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
