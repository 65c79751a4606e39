/** What restoring a backup needs to know, and what an instance notes of a restore under way. */
import type { Selectable } from 'kysely'
import type { BackupOrigin, BackupState, Consistency } from '../model/backup.ts'
import { type AccountId, type BackupId, type InstanceId, isUuid } from '../model/ids.ts'
import type { Db } from './db.ts'
import type { Schema } from './schema.ts'

/** A backup as far as a restore is concerned. */
export interface Restorable {
  id: BackupId
  shortId: string
  accountId: AccountId
  instanceId: InstanceId
  state: BackupState
  origin: BackupOrigin
  consistency: Consistency | null
  /** Of the disk as the guest sees it; null while it is not completed. */
  diskBytes: number | null
  dataBytes: number | null
}

const asRestorable = (row: Selectable<Schema['backup']>): Restorable => ({
  id: row.id,
  shortId: row.short_id,
  accountId: row.account_id,
  instanceId: row.instance_id,
  state: row.state,
  origin: row.origin,
  consistency: row.consistency,
  diskBytes: row.disk_bytes,
  dataBytes: row.data_bytes,
})

/** By text id, UUID, number or short id. Undefined when it was deleted or belongs to another account. */
export async function findBackup(
  db: Db,
  ref: string,
  { accountId }: { accountId: AccountId | null },
): Promise<Restorable | undefined> {
  if (ref.length === 0 || ref.length > 64 || ref.includes('\0')) return undefined
  const row = await db
    .selectFrom('backup')
    .selectAll()
    .where((eb) =>
      eb.or([
        eb('id', '=', ref as BackupId),
        eb('short_id', '=', ref),
        ...(isUuid(ref) ? [eb('uuid', '=', ref.toLowerCase())] : []),
        ...(/^[1-9]\d{0,14}$/.test(ref) ? [eb('number', '=', Number(ref))] : []),
      ]),
    )
    .where('state', '<>', 'deleted')
    .$if(accountId !== null, (query) => query.where('account_id', '=', accountId as AccountId))
    .executeTakeFirst()
  return row && asRestorable(row)
}

/** Deleted or not. For strands. */
export async function getBackup(db: Db, id: BackupId): Promise<Restorable> {
  return asRestorable(await db.selectFrom('backup').selectAll().where('id', '=', id).executeTakeFirstOrThrow())
}

export interface RestoreSource {
  /** Sealed with the master key, base64. */
  sealedKey: string
  manifestBlobId: string
  manifestBytes: number
  dataBytes: number
}

/** Where the bytes are; null when the backup is not completed, or was deleted meanwhile. */
export async function sourceOf(db: Db, id: BackupId): Promise<RestoreSource | null> {
  const row = await db
    .selectFrom('backup')
    .innerJoin('blob', 'blob.id', 'backup.manifest_blob_id')
    .innerJoin('backup_key', 'backup_key.account_id', 'backup.account_id')
    .select(['backup_key.sealed', 'blob.id as blobId', 'blob.stored_bytes', 'backup.data_bytes'])
    .where('backup.id', '=', id)
    .where('backup.state', '=', 'completed')
    .executeTakeFirst()
  return row
    ? {
        sealedKey: row.sealed.toString('base64'),
        manifestBlobId: row.blobId.replaceAll('-', ''), // as the objects driver names it
        manifestBytes: row.stored_bytes,
        dataBytes: row.data_bytes ?? 0,
      }
    : null
}

/** The backup that this instance's disk is still to be restored from. */
export async function pendingOf(db: Db, id: InstanceId): Promise<BackupId | null> {
  const row = await db.selectFrom('instance').select('restore_backup_id').where('id', '=', id).executeTakeFirstOrThrow()
  return row.restore_backup_id
}

/** `isFirst`: the instance begins with it. The instance's row must be locked. */
export async function begin(
  tx: Db,
  id: InstanceId,
  backupId: BackupId,
  { isFirst }: { isFirst: boolean },
): Promise<void> {
  await tx
    .updateTable('instance')
    .set({ restore_backup_id: backupId, ...(isFirst ? { source_backup_id: backupId } : {}) })
    .where('id', '=', id)
    .execute()
}

export async function end(tx: Db, id: InstanceId): Promise<void> {
  await tx.updateTable('instance').set({ restore_backup_id: null }).where('id', '=', id).execute()
}
