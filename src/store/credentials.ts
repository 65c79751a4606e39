/** What instances are logged in to with. Passwords stand here sealed; opening them is the service's. */
import { sql } from 'kysely'
import type { CredentialType } from '../model/credential.ts'
import type { InstanceId } from '../model/ids.ts'
import type { Db } from './db.ts'

/** Without its password. */
export interface Credential {
  type: CredentialType
  username: string
  createdAt: Date
  updatedAt: Date
}

const COLUMNS = ['type', 'username', 'created_at as createdAt', 'updated_at as updatedAt'] as const

export interface CredentialFilter {
  type?: CredentialType
  limit?: number
  offset?: number
}

/** By type and user name. */
export async function list(
  db: Db,
  instanceId: InstanceId,
  { type, limit, offset = 0 }: CredentialFilter,
): Promise<{ items: Credential[]; total: number }> {
  const base = db
    .selectFrom('credential')
    .where('instance_id', '=', instanceId)
    .$if(type !== undefined, (query) => query.where('type', '=', type!))
  const items = await base
    .select(COLUMNS)
    .orderBy('type')
    .orderBy('username')
    .$if(limit !== undefined, (query) => query.limit(limit!))
    .offset(offset)
    .execute()
  const { total } = await base.select((eb) => eb.fn.countAll<number>().as('total')).executeTakeFirstOrThrow()
  return { items, total }
}

export const find = (
  db: Db,
  instanceId: InstanceId,
  type: CredentialType,
  username: string,
): Promise<(Credential & { passwordSealed: Buffer }) | undefined> =>
  db
    .selectFrom('credential')
    .select([...COLUMNS, 'password_sealed as passwordSealed'])
    .where('instance_id', '=', instanceId)
    .where('type', '=', type)
    .where('username', '=', username)
    .executeTakeFirst()

export interface NewCredential {
  type: CredentialType
  username: string
  passwordSealed: Buffer
}

/** There is one of a type and user name: a later one takes its place. */
export async function put(tx: Db, instanceId: InstanceId, credential: NewCredential): Promise<Credential> {
  const { type, username, passwordSealed } = credential
  return tx
    .insertInto('credential')
    .values({ instance_id: instanceId, type, username, password_sealed: passwordSealed })
    .onConflict((conflict) =>
      conflict
        .columns(['instance_id', 'type', 'username'])
        .doUpdateSet({ password_sealed: passwordSealed, updated_at: sql<Date>`cloud_now()` }),
    )
    .returning(COLUMNS)
    .executeTakeFirstOrThrow()
}

export async function count(db: Db, instanceId: InstanceId): Promise<number> {
  return (await list(db, instanceId, { limit: 0 })).total
}

/** Of a new installation; null: nobody but its owner knows it. Whatever was known of an earlier one is forgotten. */
export async function replaceRootPassword(
  tx: Db,
  instanceId: InstanceId,
  passwordSealed: Buffer | null,
): Promise<void> {
  await forget(tx, instanceId)
  if (passwordSealed) await put(tx, instanceId, { type: 'operating_system', username: 'root', passwordSealed })
}

export async function forget(tx: Db, instanceId: InstanceId): Promise<void> {
  await tx.deleteFrom('credential').where('instance_id', '=', instanceId).execute()
}
