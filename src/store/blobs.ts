/** Blobs as the index knows them: which may go, which are nobody's, which should be there and are not. */
import { sql } from 'kysely'
import type { Db } from './db.ts'

const BATCH = 500

/** Blobs of backups have no segments: a chunk or a manifest points at them. */
const NO_BACKUP = sql`NOT EXISTS (SELECT FROM backup_chunk WHERE backup_chunk.blob_id = blob.id)
  AND NOT EXISTS (SELECT FROM backup WHERE backup.manifest_blob_id = blob.id)`

export interface ReleasedQuery {
  /** Released so long ago at least, and so long before the oldest read that is still going on. */
  graceSeconds: number
  oldestRead: Date | null
}

/**
 * Forgets released blobs that nothing is made of any more, and returns their ids: their files may go. `isMore`: there
 * are others. A copy that is being made of a blob holds its row, so such a blob is left for the next time; one that
 * comes later finds the row gone and fails.
 */
export async function forgetReleased(
  db: Db,
  { graceSeconds, oldestRead }: ReleasedQuery,
): Promise<{ gone: string[]; isMore: boolean }> {
  return db.transaction().execute(async (tx) => {
    const { rows } = await sql<{ number: number; id: string }>`
      SELECT number, blob_id AS id FROM released_blob
      WHERE released_at < least(clock_timestamp(), ${oldestRead}::timestamptz) - ${graceSeconds}::float8 * interval '1 s'
      ORDER BY number LIMIT ${BATCH} FOR UPDATE SKIP LOCKED`.execute(tx)
    if (rows.length === 0) return { gone: [], isMore: false }
    const ids = [...new Set(rows.map(({ id }) => id))]
    const { rows: held } = await sql<{ id: string }>`
      SELECT id FROM blob WHERE id = ANY (${ids}::uuid[]) ORDER BY id FOR UPDATE SKIP LOCKED`.execute(tx)
    // In a statement of its own, which sees what others committed before the rows were held.
    const { rows: gone } = await sql<{ id: string }>`
      DELETE FROM blob WHERE id = ANY (${held.map(({ id }) => id)}::uuid[])
        AND NOT EXISTS (SELECT FROM body_segment WHERE blob_id = blob.id) AND ${NO_BACKUP}
      RETURNING replace(id::text, '-', '') AS id`.execute(tx)
    const { numAffectedRows = 0n } = await sql`
      DELETE FROM released_blob WHERE number = ANY (${rows.map(({ number }) => number)}::bigint[])
        AND (blob_id = ANY (${held.map(({ id }) => id)}::uuid[]) OR NOT EXISTS (SELECT FROM blob WHERE id = blob_id))
    `.execute(tx)
    return { gone: gone.map(({ id }) => id), isMore: rows.length === BATCH && numAffectedRows > 0n }
  })
}

/** Blobs that lost their last segment and were never noted as released: left over from nothing we know of. */
export async function noteForgotten(db: Db): Promise<number> {
  const { numAffectedRows = 0n } = await sql`
    INSERT INTO released_blob (blob_id)
    SELECT id FROM blob WHERE written_at < clock_timestamp() - interval '1 hour'
      AND NOT EXISTS (SELECT FROM body_segment WHERE blob_id = id) AND ${NO_BACKUP}
      AND NOT EXISTS (SELECT FROM released_blob r WHERE r.blob_id = id)`.execute(db)
  return Number(numAffectedRows)
}

export interface Listed {
  id: string
  modifiedAt: Date
}
export interface Comparison {
  listed: number
  /** Listed, old enough, and no row knows them. What came since the oldest backup began that is being made is not old. */
  orphans: string[]
  /** Rows from before the listing began that are still there, but were not listed. */
  missing: string[]
}

/** Compares what the store has with what the index knows. Memory does not grow with the number of blobs. */
export function compare(db: Db, list: AsyncIterable<Listed>, graceSeconds: number): Promise<Comparison> {
  return db.connection().execute(async (connection) => {
    const { rows: begun } = await sql<{ at: Date }>`SELECT clock_timestamp() AS at`.execute(connection)
    await sql`CREATE TEMP TABLE IF NOT EXISTS listed_blob (id uuid, modified_at timestamptz)`.execute(connection)
    await sql`TRUNCATE listed_blob`.execute(connection)
    try {
      let listed = 0
      let batch: Listed[] = []
      const flush = async () => {
        await sql`INSERT INTO listed_blob SELECT * FROM unnest(${batch.map(({ id }) => id)}::uuid[],
          ${batch.map(({ modifiedAt }) => modifiedAt)}::timestamptz[])`.execute(connection)
        listed += batch.length
        batch = []
      }
      for await (const blob of list) {
        batch.push(blob)
        if (batch.length === BATCH) await flush()
      }
      await flush()
      const { rows: orphans } = await sql<{ id: string }>`
        SELECT replace(l.id::text, '-', '') AS id FROM listed_blob l LEFT JOIN blob USING (id)
        WHERE blob.id IS NULL AND l.modified_at <= ${graceSeconds}::float8 * interval '-1 s' + least(clock_timestamp(),
          (SELECT min(created_at) - (cloud_now() - clock_timestamp()) FROM backup WHERE state = 'creating'))
      `.execute(connection)
      const { rows: missing } = await sql<{ id: string }>`
        SELECT replace(blob.id::text, '-', '') AS id FROM blob LEFT JOIN listed_blob l USING (id)
        WHERE l.id IS NULL AND blob.written_at < ${begun[0]?.at}`.execute(connection)
      return { listed, orphans: orphans.map(({ id }) => id), missing: missing.map(({ id }) => id) }
    } finally {
      await sql`DROP TABLE listed_blob`.execute(connection)
    }
  })
}

/** Those of them that still have a row. */
export async function known(db: Db, ids: readonly string[]): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    SELECT replace(id::text, '-', '') AS id FROM blob WHERE id = ANY (${ids}::uuid[])`.execute(db)
  return rows.map(({ id }) => id)
}

export interface ScrubbedBlob {
  id: string
  storedBytes: number
  /** Of the bytes as they are stored; null when they are encrypted. */
  md5: Buffer | null
}

/** The next ones in the order of their ids; `after` null = from the first. */
export async function next(db: Db, after: string | null, limit: number): Promise<ScrubbedBlob[]> {
  const { rows } = await sql<ScrubbedBlob>`
    SELECT replace(id::text, '-', '') AS id, stored_bytes AS "storedBytes",
      CASE WHEN wrapped_key IS NULL THEN md5 END AS md5
    FROM blob WHERE ${after}::uuid IS NULL OR id > ${after}::uuid ORDER BY id LIMIT ${limit}`.execute(db)
  return rows
}

/** What a blob is part of, for whoever must be told of its damage: at most ten, as `bucket/key` or `backup bk-…`. */
export async function usersOf(db: Db, id: string): Promise<string[]> {
  const { rows } = await sql<{ place: string }>`
    SELECT DISTINCT bucket.name || '/' || v.key AS place
    FROM body_segment s JOIN object_version v ON v.seq = s.body_id JOIN bucket ON bucket.number = v.bucket_number
    WHERE s.blob_id = ${id}
    UNION SELECT 'backup ' || short_id FROM backup WHERE manifest_blob_id = ${id} AND state = 'completed'
    UNION SELECT 'backup ' || b.short_id FROM backup_chunk c
      JOIN backup b ON b.account_id = c.account_id AND b.state = 'completed' AND c.number = ANY (b.chunks)
    WHERE c.blob_id = ${id} LIMIT 10`.execute(db)
  return rows.map(({ place }) => place)
}
