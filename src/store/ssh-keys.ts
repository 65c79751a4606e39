/** SSH keys that accounts keep, to be put into instances by name or number. */
import { sql } from 'kysely'
import { CloudError } from '../model/errors.ts'
import { type AccountId, isUuid, newIdentity, type SshKeyId } from '../model/ids.ts'
import { type Db, isUniqueViolation } from './db.ts'

export interface SshKey {
  id: SshKeyId
  uuid: string
  number: number
  accountId: AccountId
  name: string
  /** One line, as in authorized_keys. */
  publicKey: string
  /** `SHA256:…`, as `ssh-keygen -l` prints it. */
  fingerprint: string
  createdAt: Date
}

const COLUMNS = [
  'id',
  'uuid',
  'number',
  'account_id as accountId',
  'name',
  'public_key as publicKey',
  'fingerprint',
  'created_at as createdAt',
] as const

export const list = (db: Db, accountId: AccountId): Promise<SshKey[]> =>
  db.selectFrom('ssh_key').select(COLUMNS).where('account_id', '=', accountId).orderBy('number').execute()

export async function count(db: Db, accountId: AccountId): Promise<number> {
  const { rows } = await sql<{ keys: number }>`
    SELECT count(*) AS keys FROM ssh_key WHERE account_id = ${accountId}`.execute(db)
  return rows[0]!.keys
}

export interface NewSshKey {
  accountId: AccountId
  name: string
  publicKey: string
  fingerprint: string
}

export async function insert(tx: Db, key: NewSshKey): Promise<SshKey> {
  const { accountId, name, publicKey, fingerprint } = key
  try {
    return await tx
      .insertInto('ssh_key')
      .values({ ...newIdentity('sshKey'), account_id: accountId, name, public_key: publicKey, fingerprint })
      .returning(COLUMNS)
      .executeTakeFirstOrThrow()
  } catch (error) {
    if (isUniqueViolation(error, 'ssh_key_name')) {
      throw new CloudError('already_exists', `there is an SSH key named ${JSON.stringify(name)}`)
    }
    if (isUniqueViolation(error, 'ssh_key_fingerprint')) {
      throw new CloudError('already_exists', `the SSH key ${fingerprint} is stored already`)
    }
    throw error
  }
}

/** A text may be the text id, the UUID, the fingerprint, the number or the name, in this order; a number is the number. */
export async function find(db: Db, accountId: AccountId, ref: string | number): Promise<SshKey | undefined> {
  const keys = db.selectFrom('ssh_key').select(COLUMNS).where('account_id', '=', accountId)
  if (typeof ref === 'number') return keys.where('number', '=', ref).executeTakeFirst()
  if (ref.includes('\0')) return undefined
  const exact = await keys
    .where((eb) => {
      if (isUuid(ref)) return eb('uuid', '=', ref.toLowerCase())
      if (/^[1-9]\d{0,14}$/.test(ref)) return eb('number', '=', Number(ref))
      return eb.or([eb('id', '=', ref as SshKeyId), eb('fingerprint', '=', ref)])
    })
    .executeTakeFirst()
  return exact ?? keys.where('name', '=', ref).executeTakeFirst()
}

export async function remove(tx: Db, id: SshKeyId): Promise<void> {
  await tx.deleteFrom('ssh_key').where('id', '=', id).execute()
}
