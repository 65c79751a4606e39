/** Remembered answers: the claim, the effect and the answer commit together, so a retry finds all of them or none. */
import { sql } from 'kysely'
import type { AccountId } from '../model/ids.ts'
import type { Db } from './db.ts'

export interface StoredAnswer {
  requestSha256: Buffer
  status: number | null
  headers: Record<string, string> | null
  body: string | null
}

/**
 * Claims a key, or returns what was stored under it. A concurrent claim of the same key waits here until the first one
 * has committed (its answer is returned) or rolled back (this one gets the claim).
 */
export async function claim(
  tx: Db,
  accountId: AccountId,
  key: string,
  requestSha256: Buffer,
): Promise<StoredAnswer | null> {
  const { rows } = await sql`
    INSERT INTO idempotency (account_id, key, request_sha256) VALUES (${accountId}, ${key}, ${requestSha256})
    ON CONFLICT DO NOTHING RETURNING key`.execute(tx)
  if (rows.length > 0) return null
  return tx
    .selectFrom('idempotency')
    .select(['request_sha256 as requestSha256', 'status', 'headers', 'body'])
    .where('account_id', '=', accountId)
    .where('key', '=', key)
    .executeTakeFirstOrThrow()
}

export async function store(
  tx: Db,
  accountId: AccountId,
  key: string,
  answer: { status: number; headers: Record<string, string>; body: string | null },
): Promise<void> {
  await tx
    .updateTable('idempotency')
    .set({ status: answer.status, headers: JSON.stringify(answer.headers), body: answer.body })
    .where('account_id', '=', accountId)
    .where('key', '=', key)
    .execute()
}

const KEEP_HOURS = 24

export async function prune(db: Db): Promise<void> {
  await sql`DELETE FROM idempotency WHERE created_at < cloud_now() - ${KEEP_HOURS} * interval '1 hour'`.execute(db)
}
