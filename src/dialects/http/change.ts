/**
 * A call that changes something: one transaction holds the claim of its Idempotency-Key, its effect, its audit row and
 * the answer that a repeat will get, so that after a crash there is all of it or nothing. A refused call rolls back and
 * leaves its audit row alone.
 */
import { createHash } from 'node:crypto'
import { CloudError } from '../../model/errors.ts'
import type { AccountId, ApiKeyId } from '../../model/ids.ts'
import type { Ctx } from '../../services/ctx.ts'
import { malformed } from './errors.ts'

export interface StoredAnswer {
  status: number
  headers: Record<string, string>
  /** Null when it held a secret, or had no body. */
  body: string | null
}

export interface AuditEntry {
  accountId: AccountId | null
  apiKeyId: ApiKeyId | null
  address: string | null
  requestId: string
  dialect: string
  method: string
  path: string
  resourceId: string | null
  status: number
  errorCode: string | null
}

/** What the room needs of the services `idempotency` and `audit`. */
export interface Records {
  /**
   * Claims the key in the transaction `db`; waits while another transaction holds it. Null: it is ours. Otherwise the
   * answer of the call that had it, or a `CloudError` `idempotency_mismatch` when that was another request.
   */
  claim(db: Ctx['db'], accountId: AccountId, key: string, requestSha256: Buffer): Promise<StoredAnswer | null>
  keep(db: Ctx['db'], accountId: AccountId, key: string, answer: StoredAnswer): Promise<void>
  audit(db: Ctx['db'], entry: AuditEntry): Promise<void>
}

const KEY = /^[\x20-\x7e]{1,255}$/

/** The Idempotency-Key of a POST; null without one. */
export function idempotencyKey(method: string, header: string | string[] | undefined): string | null {
  if (method !== 'POST' || header === undefined) return null
  if (typeof header === 'string' && KEY.test(header)) return header
  const message = 'must be 1 to 255 printable ASCII characters'
  throw malformed([{ where: 'header', path: ['Idempotency-Key'], code: 'invalid_format', message }])
}

export const requestDigest = (method: string, url: string, body: Buffer | undefined): Buffer =>
  createHash('sha256')
    .update(`${method} ${url}\n`)
    .update(body ?? '')
    .digest()

export interface Change<R> {
  ctx: Ctx
  records: Records
  /** Null: the call is not repeatable. */
  idempotency: { key: string; digest: Buffer } | null
  work(ctx: Ctx): Promise<R>
  /** What the wire will carry. */
  answer(result: R): StoredAnswer & { isSecret: boolean }
  audit(status: number): AuditEntry
}

export type Changed<R> = { replayed: StoredAnswer } | { result: R }

export function change<R>({ ctx, records, idempotency, work, answer, audit }: Change<R>): Promise<Changed<R>> {
  const { accountId } = ctx.caller
  return ctx.db.transaction().execute(async (tx) => {
    if (idempotency) {
      const stored = await records.claim(tx, accountId, idempotency.key, idempotency.digest)
      if (stored) return { replayed: repeatable(stored) }
    }
    const result = await work({ ...ctx, db: tx })
    const { isSecret, ...given } = answer(result)
    await records.audit(tx, audit(given.status))
    if (idempotency) {
      const kept = isSecret ? { ...given, headers: { ...given.headers, [SECRET]: 'true' }, body: null } : given
      await records.keep(tx, accountId, idempotency.key, kept)
    }
    return { result }
  })
}

const SECRET = 'havn-secret'

function repeatable(stored: StoredAnswer): StoredAnswer {
  if (!(SECRET in stored.headers)) return stored
  throw new CloudError('conflict', 'this call was done already; its answer held a secret, which is shown only once')
}
