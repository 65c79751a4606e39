/** Who may send files with rsync, and how much. Passwords stand here sealed; opening them is for others. */
import { sql } from 'kysely'
import type { InstanceId } from '../model/ids.ts'
import type { Db } from './db.ts'

export interface RsyncAccount {
  instanceId: InstanceId
  /** Its user name, its module and the name of its folder: never given twice. */
  username: number
  passwordSealed: Buffer
  enabled: boolean
  quotaBytes: number
  /** On the disk; null until measured. */
  usedBytes: number | null
  measuredAt: Date | null
  createdAt: Date
}

const COLUMNS = [
  'instance_id as instanceId',
  'username',
  'password_sealed as passwordSealed',
  'enabled',
  'quota_bytes as quotaBytes',
  'used_bytes as usedBytes',
  'measured_at as measuredAt',
  'created_at as createdAt',
] as const

export const find = (db: Db, instanceId: InstanceId): Promise<RsyncAccount | undefined> =>
  db.selectFrom('rsync_account').select(COLUMNS).where('instance_id', '=', instanceId).executeTakeFirst()

/** Those of the instances that have one which is enabled. */
export async function enabledAmong(db: Db, instanceIds: readonly InstanceId[]): Promise<Set<InstanceId>> {
  if (instanceIds.length === 0) return new Set()
  const rows = await db
    .selectFrom('rsync_account')
    .select('instance_id')
    .where('instance_id', 'in', instanceIds)
    .where('enabled', '=', true)
    .execute()
  return new Set(rows.map((row) => row.instance_id))
}

/** The instance's row must be locked. */
export const insert = (tx: Db, instanceId: InstanceId, passwordSealed: Buffer): Promise<RsyncAccount> =>
  tx
    .insertInto('rsync_account')
    .values({ instance_id: instanceId, password_sealed: passwordSealed })
    .returning(COLUMNS)
    .executeTakeFirstOrThrow()

export async function setEnabled(tx: Db, instanceId: InstanceId, enabled: boolean): Promise<void> {
  await tx.updateTable('rsync_account').set({ enabled }).where('instance_id', '=', instanceId).execute()
}

/** Its files are nobody's any more. */
export async function release(tx: Db, instanceId: InstanceId): Promise<void> {
  await tx
    .updateTable('rsync_account')
    .set({ enabled: false, released_at: sql<Date>`cloud_now()` })
    .where('instance_id', '=', instanceId)
    .execute()
}

/** Who may log in now: not whose instance is being deleted or whose account is suspended. */
export const served = (db: Db): Promise<RsyncAccount[]> =>
  db
    .selectFrom('rsync_account')
    .innerJoin('instance', 'instance.id', 'rsync_account.instance_id')
    .innerJoin('account', 'account.id', 'instance.account_id')
    .select([
      'rsync_account.instance_id as instanceId',
      'rsync_account.username',
      'rsync_account.password_sealed as passwordSealed',
      'rsync_account.enabled',
      'rsync_account.quota_bytes as quotaBytes',
      'rsync_account.used_bytes as usedBytes',
      'rsync_account.measured_at as measuredAt',
      'rsync_account.created_at as createdAt',
    ])
    .where('rsync_account.enabled', '=', true)
    .where('instance.delete_requested_at', 'is', null)
    .where('account.suspended_reason', 'is', null)
    .orderBy('rsync_account.username')
    .execute()

/** Those whose files are to go. */
export const released = (db: Db): Promise<{ username: number }[]> =>
  db.selectFrom('rsync_account').select('username').where('released_at', 'is not', null).execute()

export async function forget(db: Db, username: number): Promise<void> {
  await db.deleteFrom('rsync_account').where('username', '=', username).execute()
}

export async function noteUse(db: Db, username: number, usedBytes: number): Promise<void> {
  await db
    .updateTable('rsync_account')
    .set({ used_bytes: usedBytes, measured_at: sql<Date>`cloud_now()` })
    .where('username', '=', username)
    .execute()
}
