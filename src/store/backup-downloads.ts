/** What a download needs to know of a backup: asked anew for every request, so what is deleted opens nothing. */
import { sql } from 'kysely'
import type { BackupState } from '../model/backup.ts'
import type { BackupId } from '../model/ids.ts'
import type { Db } from './db.ts'

export interface DownloadableBackup {
  id: BackupId
  state: BackupState
  instanceName: string
  /** 32 hex digits. */
  manifestBlobId: string | null
  manifestBytes: number | null
  /** The account's backup key, sealed. */
  sealedKey: Buffer | null
  isSuspended: boolean
  completedAt: Date | null
  /** The cloud's clock. */
  now: Date
}

export async function find(db: Db, shortId: string): Promise<DownloadableBackup | undefined> {
  const { rows } = await sql<DownloadableBackup>`
    SELECT b.id, b.state, b.origin->>'name' AS "instanceName",
      replace(b.manifest_blob_id::text, '-', '') AS "manifestBlobId", m.stored_bytes AS "manifestBytes",
      k.sealed AS "sealedKey", a.suspended_reason IS NOT NULL AS "isSuspended",
      b.completed_at AS "completedAt", cloud_now() AS now
    FROM backup b JOIN account a ON a.id = b.account_id
      LEFT JOIN blob m ON m.id = b.manifest_blob_id LEFT JOIN backup_key k ON k.account_id = b.account_id
    WHERE b.short_id = ${shortId}`.execute(db)
  return rows[0]
}

/** The chunks of its disk that are no holes, ascending from 0. */
export async function dataChunks(db: Db, id: BackupId): Promise<number[]> {
  const { rows } = await sql<{ chunks: number[] }>`
    SELECT coalesce(array_agg(place - 1 ORDER BY place) FILTER (WHERE chunk <> 0), '{}')::int[] AS chunks
    FROM backup, unnest(chunks) WITH ORDINALITY AS of_disk (chunk, place) WHERE id = ${id}`.execute(db)
  return rows[0]?.chunks ?? []
}
