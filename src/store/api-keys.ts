import { sql } from 'kysely'
import { notFound } from '../model/errors.ts'
import { type AccountId, type ApiKeyId, newId } from '../model/ids.ts'
import type { KeyService, Scope } from '../model/scopes.ts'
import type { Db } from './db.ts'

export interface ApiKey {
  id: ApiKeyId
  accountId: AccountId
  name: string
  service: KeyService
  keyId: string
  scopes: Scope[]
  expiresAt: Date | null
  revokedAt: Date | null
  lastUsedAt: Date | null
  createdAt: Date
}

const COLUMNS = [
  'id',
  'account_id as accountId',
  'name',
  'service',
  'key_id as keyId',
  'scopes',
  'expires_at as expiresAt',
  'revoked_at as revokedAt',
  'last_used_at as lastUsedAt',
  'created_at as createdAt',
] as const

/** Says that a key was revoked or changed, so that processes which remember keys forget it. Payload: the key id. */
export const KEY_CHANNEL = 'havn_key'

export interface NewApiKey {
  accountId: AccountId
  name: string
  service: KeyService
  keyId: string
  secretSha256: Buffer
  scopes: readonly Scope[]
  expiresAt: Date | null
}

export function insert(tx: Db, key: NewApiKey): Promise<ApiKey> {
  return tx
    .insertInto('api_key')
    .values({
      id: newId('apiKey'),
      account_id: key.accountId,
      name: key.name,
      service: key.service,
      key_id: key.keyId,
      secret_sha256: key.secretSha256,
      scopes: [...key.scopes],
      expires_at: key.expiresAt,
    })
    .returning(COLUMNS)
    .executeTakeFirstOrThrow()
}

/** What authentication compares with; a revoked key is not there, an expired one says so. */
export async function findForLogin(db: Db, keyId: string) {
  return db
    .selectFrom('api_key')
    .innerJoin('account', 'account.id', 'api_key.account_id')
    .select([
      'api_key.id',
      'api_key.account_id as accountId',
      'api_key.secret_sha256 as secretSha256',
      'api_key.scopes',
      'api_key.service',
      'api_key.expires_at as expiresAt',
      'account.email',
      'account.suspended_reason as suspendedReason',
      sql<boolean>`coalesce(api_key.expires_at <= cloud_now(), false)`.as('isExpired'),
    ])
    .where('api_key.key_id', '=', keyId)
    .where('api_key.revoked_at', 'is', null)
    .executeTakeFirst()
}

export const list = (db: Db, accountId: AccountId): Promise<ApiKey[]> =>
  db
    .selectFrom('api_key')
    .select(COLUMNS)
    .where('account_id', '=', accountId)
    .where('revoked_at', 'is', null)
    .orderBy('created_at')
    .orderBy('id')
    .execute()

/** By text id or key id. Revoking twice is not found the second time. */
export async function revoke(tx: Db, accountId: AccountId, ref: string): Promise<ApiKey> {
  const row = await tx
    .updateTable('api_key')
    .set({ revoked_at: sql<Date>`cloud_now()` })
    .where('account_id', '=', accountId)
    .where('revoked_at', 'is', null)
    .where((eb) => eb.or([eb('id', '=', ref as ApiKeyId), eb('key_id', '=', ref)]))
    .returning(COLUMNS)
    .executeTakeFirst()
  if (!row) throw notFound('key', ref)
  await sql`SELECT pg_notify(${KEY_CHANNEL}, ${row.keyId})`.execute(tx)
  return row
}

export async function touch(db: Db, ids: readonly ApiKeyId[]): Promise<void> {
  await db.updateTable('api_key').set({ last_used_at: sql<Date>`cloud_now()` }).where('id', 'in', ids).execute()
}
