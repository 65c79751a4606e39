/** One key an account, sealed; what its backups are named and encrypted with follows from it. Never changed. */
import type { AccountId } from '../model/ids.ts'
import type { Db } from './db.ts'

export async function find(db: Db, accountId: AccountId): Promise<Buffer | null> {
  const row = await db.selectFrom('backup_key').select('sealed').where('account_id', '=', accountId).executeTakeFirst()
  return row?.sealed ?? null
}

/** The account's key, which `make` makes at the first call. Of two first calls at once both return the same. */
export async function ensure(db: Db, accountId: AccountId, make: () => Buffer): Promise<Buffer> {
  const known = await find(db, accountId)
  if (known) return known
  await db
    .insertInto('backup_key')
    .values({ account_id: accountId, sealed: make() })
    .onConflict((conflict) => conflict.column('account_id').doNothing())
    .execute()
  return (await find(db, accountId))!
}
