import { sql } from 'kysely'
import { CloudError, notFound } from '../model/errors.ts'
import { type AccountId, isUuid, newIdentity } from '../model/ids.ts'
import { type Db, isUniqueViolation } from './db.ts'

export interface Account {
  id: AccountId
  uuid: string
  number: number
  email: string
  name: string
  isOperator: boolean
  /** Minor units; null = unlimited. */
  creditMinor: number | null
  suspendedReason: string | null
  createdAt: Date
}

const COLUMNS = [
  'id',
  'uuid',
  'number',
  'email',
  'name',
  'is_operator as isOperator',
  'credit_minor as creditMinor',
  'suspended_reason as suspendedReason',
  'created_at as createdAt',
] as const

export interface NewAccount {
  email: string
  name: string
  isOperator: boolean
  creditMinor: number | null
  consolePasswordHash: string
}

export async function insert(tx: Db, account: NewAccount): Promise<Account> {
  try {
    return await tx
      .insertInto('account')
      .values({
        ...newIdentity('account'),
        email: account.email,
        name: account.name,
        is_operator: account.isOperator,
        credit_minor: account.creditMinor,
        console_password_hash: account.consolePasswordHash,
      })
      .returning(COLUMNS)
      .executeTakeFirstOrThrow()
  } catch (error) {
    if (isUniqueViolation(error, 'account_email')) {
      throw new CloudError('already_exists', `there is an account with the e-mail ${account.email}`)
    }
    throw error
  }
}

export async function get(db: Db, id: AccountId): Promise<Account> {
  const row = await db.selectFrom('account').select(COLUMNS).where('id', '=', id).executeTakeFirst()
  if (!row) throw notFound('account', id)
  return row
}

/** For rules over all that an account has: one such change at a time. Others may still point at the row. */
export async function lock(tx: Db, id: AccountId): Promise<void> {
  await sql`SELECT 1 FROM account WHERE id = ${id} FOR NO KEY UPDATE`.execute(tx)
}

/** Minor units; null = unlimited. */
export async function credit(db: Db, id: AccountId): Promise<number | null> {
  const row = await db.selectFrom('account').select('credit_minor').where('id', '=', id).executeTakeFirstOrThrow()
  return row.credit_minor
}

export async function setCredit(tx: Db, id: AccountId, creditMinor: number | null): Promise<void> {
  await tx.updateTable('account').set({ credit_minor: creditMinor }).where('id', '=', id).execute()
}

/** Of all its buckets together; null = no limit, except that the number of buckets has one anyway. */
export interface StorageQuota {
  bytes: number | null
  objects: number | null
  buckets: number | null
}

export const quota = (db: Db, id: AccountId): Promise<StorageQuota> =>
  db
    .selectFrom('account')
    .select(['quota_bytes as bytes', 'quota_objects as objects', 'quota_buckets as buckets'])
    .where('id', '=', id)
    .executeTakeFirstOrThrow()

/** What is left out stays. */
export async function setQuota(
  tx: Db,
  id: AccountId,
  { bytes, objects, buckets }: Partial<StorageQuota>,
): Promise<void> {
  const change = {
    ...(bytes !== undefined && { quota_bytes: bytes }),
    ...(objects !== undefined && { quota_objects: objects }),
    ...(buckets !== undefined && { quota_buckets: buckets }),
  }
  if (Object.keys(change).length === 0) return
  await tx.updateTable('account').set(change).where('id', '=', id).execute()
}

/** By text id, UUID, number or e-mail. */
export async function find(db: Db, ref: string): Promise<Account | undefined> {
  const query = db.selectFrom('account').select(COLUMNS)
  if (isUuid(ref)) return query.where('uuid', '=', ref.toLowerCase()).executeTakeFirst()
  if (/^[1-9]\d{0,14}$/.test(ref)) return query.where('number', '=', Number(ref)).executeTakeFirst()
  return query
    .where((eb) => eb.or([eb('id', '=', ref as AccountId), eb(sql`lower(email)`, '=', ref.toLowerCase())]))
    .executeTakeFirst()
}

export async function list(db: Db, { limit, offset }: { limit: number; offset: number }) {
  const items = await db.selectFrom('account').select(COLUMNS).orderBy('number').limit(limit).offset(offset).execute()
  const { total } = await db
    .selectFrom('account')
    .select((eb) => eb.fn.countAll<number>().as('total'))
    .executeTakeFirstOrThrow()
  return { items, total }
}

/** What accounts are called, by their ids; those that are not there are left out. */
export async function names(db: Db, ids: readonly AccountId[]): Promise<Map<AccountId, string>> {
  if (ids.length === 0) return new Map()
  const rows = await db.selectFrom('account').select(['id', 'name']).where('id', 'in', ids).execute()
  return new Map(rows.map(({ id, name }) => [id, name]))
}
