/** Access keys of the S3 protocol; their secret is sealed, because a signature can only be checked with it. */
import { sql } from 'kysely'
import { notFound } from '../model/errors.ts'
import type { AccountId } from '../model/ids.ts'
import type { Db } from './db.ts'

export interface AccessKey {
  accessKeyId: string
  accountId: AccountId
  name: string
  isReadOnly: boolean
  /** The only buckets it opens; null = all of the account's. */
  buckets: string[] | null
  lastUsedAt: Date | null
  createdAt: Date
}

const COLUMNS = [
  'access_key_id as accessKeyId',
  'account_id as accountId',
  'name',
  'is_read_only as isReadOnly',
  'buckets',
  'last_used_at as lastUsedAt',
  'created_at as createdAt',
] as const

export interface NewAccessKey {
  accessKeyId: string
  accountId: AccountId
  name: string
  secretSealed: Buffer
  /** Default: it may write. */
  isReadOnly?: boolean
  /** Default: all. */
  buckets?: readonly string[] | null
}

export function insert(tx: Db, key: NewAccessKey): Promise<AccessKey> {
  return tx
    .insertInto('access_key')
    .values({
      access_key_id: key.accessKeyId,
      account_id: key.accountId,
      name: key.name,
      secret_sealed: key.secretSealed,
      is_read_only: key.isReadOnly ?? false,
      buckets: key.buckets ? [...key.buckets] : null,
    })
    .returning(COLUMNS)
    .executeTakeFirstOrThrow()
}

/** What a signature is checked with. */
export interface SigningKey {
  accessKeyId: string
  accountId: AccountId
  accountNumber: number
  displayName: string
  suspendedReason: string | null
  secretSealed: Buffer
  isReadOnly: boolean
  buckets: string[] | null
}

/** In no order; a revoked key is not there. */
export async function findForSigning(db: Db, accessKeyIds: readonly string[]): Promise<SigningKey[]> {
  const { rows } = await sql<SigningKey>`
    SELECT k.access_key_id AS "accessKeyId", k.account_id AS "accountId", a.number AS "accountNumber",
      a.name AS "displayName", a.suspended_reason AS "suspendedReason", k.secret_sealed AS "secretSealed",
      k.is_read_only AS "isReadOnly", k.buckets
    FROM access_key k JOIN account a ON a.id = k.account_id
    WHERE k.access_key_id = ANY (${accessKeyIds}::text[]) AND k.revoked_at IS NULL`.execute(db)
  return rows
}

export interface ListQuery {
  accountId: AccountId
  /** Only keys that are limited to this bucket alone. */
  ofBucket?: string
}

const opensOnly = (bucket: string) => sql<boolean>`buckets = ARRAY[${bucket}]::text[]`

/** The oldest first. */
export function list(db: Db, { accountId, ofBucket }: ListQuery): Promise<AccessKey[]> {
  let query = db.selectFrom('access_key').select(COLUMNS).where('account_id', '=', accountId)
  if (ofBucket !== undefined) query = query.where(opensOnly(ofBucket))
  return query.where('revoked_at', 'is', null).orderBy('created_at').orderBy('access_key_id').execute()
}

/** The oldest key that may all that its account may, with its secret. */
export function findFull(db: Db, accountId: AccountId) {
  return db
    .selectFrom('access_key')
    .select(['access_key_id as accessKeyId', 'secret_sealed as secretSealed'])
    .where('account_id', '=', accountId)
    .where('revoked_at', 'is', null)
    .where('is_read_only', '=', false)
    .where('buckets', 'is', null)
    .orderBy('created_at')
    .orderBy('access_key_id')
    .limit(1)
    .executeTakeFirst()
}

export async function get(db: Db, accountId: AccountId, accessKeyId: string) {
  const row = await db
    .selectFrom('access_key')
    .select([...COLUMNS, 'secret_sealed as secretSealed'])
    .where('account_id', '=', accountId)
    .where('access_key_id', '=', accessKeyId)
    .where('revoked_at', 'is', null)
    .executeTakeFirst()
  if (!row) throw notFound('access key', accessKeyId)
  return row
}

/** Revoking twice is not found the second time. */
export async function revoke(tx: Db, { accountId, ofBucket }: ListQuery, accessKeyId: string): Promise<AccessKey> {
  let query = tx
    .updateTable('access_key')
    .set({ revoked_at: sql<Date>`cloud_now()` })
    .where('account_id', '=', accountId)
    .where('access_key_id', '=', accessKeyId)
    .where('revoked_at', 'is', null)
  if (ofBucket !== undefined) query = query.where(opensOnly(ofBucket))
  const row = await query.returning(COLUMNS).executeTakeFirst()
  if (!row) throw notFound('access key', accessKeyId)
  return row
}

/** Writes that these were used now. */
export async function touch(db: Db, accessKeyIds: readonly string[]): Promise<void> {
  if (accessKeyIds.length === 0) return
  // In one order, so that two processes that note the same keys do not block each other.
  await sql`
    UPDATE access_key SET last_used_at = cloud_now() FROM (
      SELECT access_key_id AS id FROM access_key WHERE access_key_id = ANY (${accessKeyIds}::text[])
      ORDER BY 1 FOR NO KEY UPDATE) used
    WHERE access_key_id = used.id`.execute(db)
}

/** Some secret that the master key sealed; null while there is none. */
export async function anySealedSecret(db: Db): Promise<Buffer | null> {
  const row = await db.selectFrom('access_key').select('secret_sealed').limit(1).executeTakeFirst()
  return row?.secret_sealed ?? null
}
