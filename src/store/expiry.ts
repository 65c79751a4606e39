/** What a lifecycle's sweep reads, page by page, and how it deletes so that nobody's change in between is lost. */
import { sql } from 'kysely'
import type { Bucket } from '../model/bucket.ts'
import type { AccountId } from '../model/ids.ts'
import type { LifecycleRule } from '../model/lifecycle.ts'
import { lockShared } from './bucket-lock.ts'
import { atomically, type Db } from './db.ts'
import * as objects from './objects.ts'

export interface BucketWithRules extends Pick<Bucket, 'number' | 'revision'> {
  accountId: AccountId
  rules: readonly LifecycleRule[]
}

/** By number, behind `after`. */
export async function bucketsWithRules(db: Db, after: number, limit: number): Promise<BucketWithRules[]> {
  const { rows } = await sql<BucketWithRules>`
    SELECT number, revision, account_id AS "accountId", settings -> 'lifecycle' AS rules
    FROM bucket WHERE number > ${after} AND settings ? 'lifecycle' ORDER BY number LIMIT ${limit}`.execute(db)
  return rows
}

export interface WalkedVersion {
  key: string
  seq: number
  versionId: string
  isLatest: boolean
  isDeleteMarker: boolean
  sizeBytes: number
  tags: Readonly<Record<string, string>>
  modifiedAt: Date
}
/** Behind which version of which key a page begins; null = at the prefix. */
export type Place = Pick<WalkedVersion, 'key' | 'seq'> | null

/** Versions under a prefix by key, the newest of a key first. Less than `limit` = there are no more. */
export async function walkVersions(
  db: Db,
  bucketNumber: number,
  prefix: string,
  place: Place,
  limit: number,
): Promise<WalkedVersion[]> {
  const columns = sql`key, seq, version_id AS "versionId", is_latest AS "isLatest",
    is_delete_marker AS "isDeleteMarker", size_bytes AS "sizeBytes", tags, modified_at AS "modifiedAt"`
  const of = sql`FROM object_version WHERE bucket_number = ${bucketNumber}`
  const within = place
    ? await sql<WalkedVersion>`
        SELECT ${columns} ${of} AND key = ${place.key} AND seq < ${place.seq} ORDER BY seq DESC LIMIT ${limit}`.execute(
        db,
      )
    : null
  const rows = within?.rows ?? []
  if (rows.length === limit) return rows
  const from = place ? sql`key > ${place.key}` : sql`key >= ${prefix}`
  const { rows: more } = await sql<WalkedVersion>`
    SELECT ${columns} ${of} AND ${from} AND starts_with(key, ${prefix})
      AND key < key_after_prefix(${prefix}) COLLATE "C"
    ORDER BY key, seq DESC LIMIT ${limit - rows.length}`.execute(db)
  return [...rows, ...more]
}

export interface WalkedUpload {
  key: string
  id: string
  startedAt: Date
}

/** Uploads under way that were begun before `startedBefore`, by key and id, behind `after`. */
export async function walkUploads(
  db: Db,
  bucketNumber: number,
  startedBefore: Date,
  after: Pick<WalkedUpload, 'key' | 'id'>,
  limit: number,
): Promise<WalkedUpload[]> {
  const { rows } = await sql<WalkedUpload>`
    SELECT key, id, started_at AS "startedAt" FROM multipart_upload
    WHERE bucket_number = ${bucketNumber} AND completed_at IS NULL AND started_at < ${startedBefore}
      AND (key, id COLLATE "C") > (${after.key}, ${after.id})
    ORDER BY key, id COLLATE "C" LIMIT ${limit}`.execute(db)
  return rows
}

export interface Expiry {
  key: string
  seq: number
  versionId: string
  /** `expire`: as a plain delete, if it is still the latest. `remove`: that version, if it still is what it was. */
  fate: 'expire' | 'remove'
  /** It was the latest when it was seen. */
  wasLatest: boolean
}

/**
 * Deletes by the function that serves clients, after a second look under the keys' locks: a version that became the
 * current one meanwhile, because its successor was deleted, is not thrown away. Undefined = the bucket has changed.
 */
export function expire(
  db: Db,
  bucket: Omit<BucketWithRules, 'rules'>,
  expiries: readonly Expiry[],
): Promise<number | undefined> {
  return atomically(db, async (tx) => {
    await lockShared(tx, bucket.number)
    const keys = [...new Set(expiries.map(({ key }) => key))]
    await sql`
      SELECT pg_advisory_xact_lock(lock) FROM (
        SELECT DISTINCT hashtextextended(key, ${bucket.number}::bigint) AS lock FROM unnest(${keys}::text[]) key
        ORDER BY lock OFFSET 0) locks`.execute(tx)
    const { rows } = await sql<{ key: string; seq: number; isLatest: boolean }>`
      SELECT v.key, v.seq, v.is_latest AS "isLatest"
      FROM unnest(${expiries.map(({ key }) => key)}::text[], ${expiries.map(({ seq }) => seq)}::bigint[]) seen (key, seq)
      JOIN object_version v ON v.bucket_number = ${bucket.number} AND v.key = seen.key AND v.seq = seen.seq`.execute(tx)
    const now = new Map(rows.map(({ seq, isLatest }) => [seq, isLatest]))
    const deletions = expiries
      .filter(({ seq, wasLatest }) => now.get(seq) === wasLatest)
      .map(
        ({ key, seq, versionId, fate }): objects.Deletion =>
          fate === 'expire'
            ? { key, latestSeq: seq }
            : { key, version: { id: versionId, seq: versionId === 'null' ? null : seq } },
      )
    if (deletions.length === 0) return 0
    const answers = await objects.remove(tx, { bucket, accountId: bucket.accountId, deletions })
    if (answers === 'stale') return undefined
    return answers.filter(({ outcome }) => outcome === 'deleted' || outcome === 'marked').length
  })
}
