/**
 * What backups are made of. Publishing notes new blobs and points at old ones; a mark notes what nobody points at any
 * more; a sweep lets go of what was noted long enough ago, for the sweeper of object storage to remove. Mark, sweep and
 * publishing exclude one another account by account.
 *
 * Nothing is let go that was noted after the start of the oldest work of the account that is still under way: an upload
 * may have been told of it, and a restore may still read it.
 */
import { sql } from 'kysely'
import { CHUNK_BYTES, type Consistency } from '../model/backup.ts'
import type { AccountId, BackupId } from '../model/ids.ts'
import { announce, lock } from './backups.ts'
import type { Db } from './db.ts'

/** Where a chunk of this digest lies; a blob id is 32 hex digits. */
export interface StoredChunk {
  digest: Buffer
  blobId: string
  storedBytes: number
}
/** A chunk of a disk as an upload lists it; `md5` of its stored bytes where it is new. */
export interface ListedChunk extends StoredChunk {
  md5: Buffer | null
  isNew: boolean
}

const PAGE = 10_000
const LOCK_CLASS = 0x62616b75 // "baku": of advisory locks with two numbers

/** One publishing, mark or sweep of an account at a time, until the transaction ends. */
const lockAccount = async (tx: Db, accountId: AccountId): Promise<void> => {
  await sql`SELECT pg_advisory_xact_lock(${LOCK_CLASS}::int, hashtext(${accountId}))`.execute(tx)
}

/** The account's chunks that a new backup may be made of, each digest once. */
export async function* known(db: Db, accountId: AccountId): AsyncGenerator<StoredChunk> {
  let after: Buffer | null = null
  for (;;) {
    const { rows }: { rows: StoredChunk[] } = await sql<StoredChunk>`
      SELECT DISTINCT ON (digest) digest, replace(blob_id::text, '-', '') AS "blobId", stored_bytes AS "storedBytes"
      FROM backup_chunk
      WHERE account_id = ${accountId} AND unreferenced_at IS NULL AND damaged_at IS NULL
        AND (${after}::bytea IS NULL OR digest > ${after}::bytea)
      ORDER BY digest, number LIMIT ${PAGE}`.execute(db)
    yield* rows
    after = rows.at(-1)?.digest ?? null
    if (rows.length < PAGE || !after) return
  }
}

export interface Publication {
  /** In the order of the disk; null = hole. */
  chunks: readonly (ListedChunk | null)[]
  manifest: { blobId: string; storedBytes: number; md5: Buffer }
  point: { at: Date; consistency: Consistency; consistencyReason: string | null; frozenMs: number | null }
  diskBytes: number
  dataBytes: number
  readBytes: number
  addedBytes: number
}

/**
 * The backup is complete, in the transaction `tx`: blobs, chunks, state. `stale`: something that it points at is gone or
 * known to be damaged by now, so it must be uploaded again; nothing was written. `over`: it is not being made any more.
 */
export async function publish(
  tx: Db,
  id: BackupId,
  { chunks, manifest, point, ...sizes }: Publication,
): Promise<'published' | 'stale' | 'over'> {
  const backup = await lock(tx, id)
  if (backup.state === 'completed') return 'published'
  if (backup.state !== 'creating') return 'over'
  await lockAccount(tx, backup.account_id)
  const distinct = new Map(chunks.flatMap((chunk) => (chunk ? [[chunk.blobId, chunk] as const] : [])))
  const all = [...distinct.values()]
  const numbers = await findNumbers(tx, backup.account_id, all)
  if (numbers.size < all.filter(({ isNew }) => !isNew).length) return 'stale'
  await refer(tx, [...numbers.values()])
  const isFresh = ({ isNew, blobId }: ListedChunk) => isNew && !numbers.has(blobId)
  for (const [blobId, number] of await add(tx, backup.account_id, all.filter(isFresh))) numbers.set(blobId, number)
  await sql`INSERT INTO blob (id, plain_bytes, stored_bytes, md5)
    VALUES (${manifest.blobId}, ${manifest.storedBytes}, ${manifest.storedBytes}, ${manifest.md5})`.execute(tx)
  await tx
    .updateTable('backup')
    .set({
      state: 'completed',
      state_reason: null,
      consistency: point.consistency,
      consistency_reason: point.consistencyReason,
      frozen_ms: point.frozenMs,
      disk_bytes: sizes.diskBytes,
      data_bytes: sizes.dataBytes,
      read_bytes: sizes.readBytes,
      stored_bytes: all.reduce((sum, { storedBytes }) => sum + storedBytes, manifest.storedBytes),
      added_bytes: sizes.addedBytes,
      manifest_blob_id: manifest.blobId,
      chunks: chunks.map((chunk) => (chunk ? numbers.get(chunk.blobId)! : 0)),
      point_at: point.at,
      completed_at: sql<Date>`cloud_now()`,
    })
    .where('id', '=', id)
    .execute()
  await announce(tx, id)
  return 'published'
}

/** The numbers of those that are there and sound, by their blobs. */
async function findNumbers(tx: Db, accountId: AccountId, chunks: readonly StoredChunk[]): Promise<Map<string, number>> {
  const { rows } = await sql<{ number: number; blobId: string }>`
    SELECT number, replace(blob_id::text, '-', '') AS "blobId" FROM backup_chunk
    WHERE account_id = ${accountId} AND damaged_at IS NULL
      AND blob_id = ANY (${chunks.map(({ blobId }) => blobId)}::uuid[])`.execute(tx)
  return new Map(rows.map(({ blobId, number }) => [blobId, number]))
}

const refer = async (tx: Db, numbers: readonly number[]): Promise<void> => {
  await sql`UPDATE backup_chunk SET unreferenced_at = NULL
    WHERE number = ANY (${numbers}::bigint[]) AND unreferenced_at IS NOT NULL`.execute(tx)
}

async function add(
  tx: Db,
  accountId: AccountId,
  chunks: readonly ListedChunk[],
): Promise<(readonly [blobId: string, number: number])[]> {
  const ids = chunks.map(({ blobId }) => blobId)
  const bytes = chunks.map(({ storedBytes }) => storedBytes)
  await sql`
    INSERT INTO blob (id, plain_bytes, stored_bytes, md5)
    SELECT id, ${CHUNK_BYTES}, bytes, md5
    FROM unnest(${ids}::uuid[], ${bytes}::bigint[], ${chunks.map(({ md5 }) => md5)}::bytea[]) AS new (id, bytes, md5)
  `.execute(tx)
  const { rows } = await sql<{ number: number; blobId: string }>`
    INSERT INTO backup_chunk (account_id, digest, blob_id, stored_bytes)
    SELECT ${accountId}, digest, id, bytes
    FROM unnest(${chunks.map(({ digest }) => digest)}::bytea[], ${ids}::uuid[], ${bytes}::int[]) AS new (digest, id, bytes)
    RETURNING number, replace(blob_id::text, '-', '') AS "blobId"`.execute(tx)
  return rows.map(({ blobId, number }) => [blobId, number] as const)
}

/** Accounts with deleted backups whose chunks are still to be noted, or with something noted. */
export async function accountsToSweep(db: Db): Promise<AccountId[]> {
  const { rows } = await sql<{ id: AccountId }>`
    SELECT account_id AS id FROM backup
      WHERE state = 'deleted' AND (chunks IS NOT NULL OR manifest_blob_id IS NOT NULL)
    UNION SELECT account_id FROM backup_chunk WHERE unreferenced_at IS NOT NULL`.execute(db)
  return rows.map(({ id }) => id)
}

/** Notes the chunks that no backup is made of any more. */
export async function mark(tx: Db, accountId: AccountId): Promise<void> {
  await lockAccount(tx, accountId)
  // Held first: one that is deleted a moment later is for the next time.
  const { rows } = await sql<{ id: BackupId }>`
    SELECT id FROM backup WHERE account_id = ${accountId} AND state = 'deleted' AND chunks IS NOT NULL
    ORDER BY id FOR UPDATE`.execute(tx)
  if (rows.length === 0) return
  await sql`
    WITH live AS (SELECT DISTINCT unnest(chunks) AS number FROM backup
      WHERE account_id = ${accountId} AND state = 'completed')
    UPDATE backup_chunk c SET unreferenced_at = cloud_now()
    WHERE c.account_id = ${accountId} AND c.unreferenced_at IS NULL
      AND NOT EXISTS (SELECT FROM live WHERE live.number = c.number)`.execute(tx)
  await sql`UPDATE backup SET chunks = NULL WHERE id = ANY (${rows.map(({ id }) => id)})`.execute(tx)
}

const SWEPT_AT_ONCE = 5_000

/** Lets go of what was noted long enough ago; true when there is more. */
export async function sweep(tx: Db, accountId: AccountId, graceMinutes: number): Promise<boolean> {
  await lockAccount(tx, accountId)
  const { rows: times } = await sql<{ before: Date }>`
    SELECT least(cloud_now() - ${graceMinutes}::float8 * interval '1 minute', min(at)) AS before FROM (
      SELECT created_at AS at FROM backup WHERE account_id = ${accountId} AND state = 'creating'
      UNION ALL SELECT started_at FROM receipt WHERE account_id = ${accountId} AND state = 'running'
      UNION ALL SELECT coalesce(o.created_at, i.created_at) FROM instance i
        LEFT JOIN operation o ON o.resource_id = i.id AND o.state IN ('pending', 'running')
        WHERE i.account_id = ${accountId} AND i.restore_backup_id IS NOT NULL
      UNION ALL SELECT created_at FROM operation
        WHERE account_id = ${accountId} AND kind = 'image.convert' AND state IN ('pending', 'running')
    ) AS work`.execute(tx)
  const before = times[0]!.before
  const { rows: chunks } = await sql<{ id: string }>`
    WITH old AS (SELECT number FROM backup_chunk WHERE account_id = ${accountId} AND unreferenced_at < ${before}
      ORDER BY number LIMIT ${SWEPT_AT_ONCE})
    DELETE FROM backup_chunk c USING old WHERE c.number = old.number RETURNING c.blob_id AS id`.execute(tx)
  const { rows: manifests } = await sql<{ id: string }>`
    WITH old AS (SELECT id, manifest_blob_id FROM backup WHERE account_id = ${accountId} AND state = 'deleted'
      AND manifest_blob_id IS NOT NULL AND deleted_at < ${before} ORDER BY id FOR UPDATE)
    UPDATE backup b SET manifest_blob_id = NULL FROM old WHERE b.id = old.id
    RETURNING old.manifest_blob_id AS id`.execute(tx)
  const gone = [...chunks, ...manifests].map(({ id }) => id)
  if (gone.length > 0) await sql`INSERT INTO released_blob (blob_id) SELECT unnest(${gone}::uuid[])`.execute(tx)
  return chunks.length === SWEPT_AT_ONCE
}

/** What was found spoilt before `since` is whole again: all of the backup was read and verified from then on. */
export async function clearDamage(tx: Db, id: BackupId, since: Date): Promise<void> {
  const { rows } = await sql<{ chunks: number[] }>`
    UPDATE backup SET damaged_at = NULL, damage = NULL
    WHERE id = ${id} AND damaged_at < ${since} AND chunks IS NOT NULL RETURNING chunks`.execute(tx)
  if (!rows[0]) return
  await sql`UPDATE backup_chunk SET damaged_at = NULL
    WHERE number = ANY (${rows[0].chunks}::bigint[]) AND damaged_at < ${since}`.execute(tx)
  await announce(tx, id)
}

/** Notes what is spoilt or gone: no later backup is made of it, and those that are show it. */
export async function noteDamage(db: Db, blobIds: readonly string[], what: string): Promise<void> {
  const { rows: chunks } = await sql<{ number: number }>`
    UPDATE backup_chunk SET damaged_at = coalesce(damaged_at, cloud_now())
    WHERE blob_id = ANY (${blobIds}::uuid[]) RETURNING number`.execute(db)
  const { rows } = await sql<{ id: BackupId }>`
    UPDATE backup SET damaged_at = cloud_now(), damage = ${what}
    WHERE state = 'completed' AND damaged_at IS NULL
      AND (manifest_blob_id = ANY (${blobIds}::uuid[]) OR chunks && ${chunks.map(({ number }) => number)}::bigint[])
    RETURNING id`.execute(db)
  for (const { id } of rows) await announce(db, id)
}
