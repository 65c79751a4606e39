/** Idempotency-Key: the first call's answer is kept with its effect; the same call again gets it, another is refused. */
import { timingSafeEqual } from 'node:crypto'
import { CloudError } from '../model/errors.ts'
import type { AccountId } from '../model/ids.ts'
import type { Db } from '../store/db.ts'
import * as idempotency from '../store/idempotency.ts'

export interface KeptAnswer {
  status: number
  headers: Record<string, string>
  body: string | null
}

/** Claims the key in the transaction `tx`. Null: it is ours. Otherwise what the call that had it was answered. */
export async function claim(
  tx: Db,
  accountId: AccountId,
  key: string,
  requestSha256: Buffer,
): Promise<KeptAnswer | null> {
  const stored = await idempotency.claim(tx, accountId, key, requestSha256)
  if (!stored) return null
  if (!timingSafeEqual(stored.requestSha256, requestSha256)) {
    throw new CloudError('idempotency_mismatch', 'this Idempotency-Key was used for another request; take a new one')
  }
  return { status: stored.status!, headers: stored.headers ?? {}, body: stored.body }
}

export const keep = idempotency.store
