/** Versions as they are read. What changes them is in objects.ts. */
import { CompiledQuery, type RawBuilder, sql } from 'kysely'
import { askAtOnceOf } from '../lib/at-once.ts'
import type { AccountId } from '../model/ids.ts'
import type { ObjectPart, ObjectVersion } from '../model/object.ts'
import type { RetentionMode } from '../model/object-lock.ts'
import type { Db } from './db.ts'

export interface FindQuery {
  /** With the revision that the caller acts on. */
  bucket: { number: number; revision: number }
  key: string
  /** Absent = the latest. `seq` is what seqOfVersionId told; null for the null version. */
  version?: { id: string; seq: number | null } | undefined
  /** Reads the bytes of a small object as well; else inlineBody and inlineKey are null. */
  withBody?: boolean
}

/** Null: there is no such version. `stale`: the bucket is not as the caller remembers it, or gone. */
export async function find(db: Db, query: FindQuery): Promise<ObjectVersion | null | 'stale'> {
  const { bucket, key, version, withBody = false } = query
  if (!version) return latestOf(db)({ bucket, key, withBody })
  const { rows } = await sql<Row>`
    SELECT v.* FROM bucket b LEFT JOIN LATERAL (${pick(key, version, withBody)}) v ON true
    WHERE b.number = ${bucket.number} AND b.revision = ${bucket.revision}`.execute(db)
  return found(rows[0])
}

type LatestQuery = Pick<FindQuery, 'bucket' | 'key'> & { withBody: boolean }

const AT_ONCE_MAX = 32 // bodies of 16 KiB each, in hexadecimal: 1 MiB

/**
 * Small objects are read by the thousand, and what a query costs besides its rows (the calls into the system, the
 * description of the columns, a plan that starts and ends) is more than the row: who asks at once shares it.
 */
const latestOf = askAtOnceOf(AT_ONCE_MAX, findLatest)

async function findLatest(db: Db, queries: readonly LatestQuery[]): Promise<(ObjectVersion | null | 'stale')[]> {
  const parameters = [
    queries.map(({ bucket }) => bucket.number),
    queries.map(({ bucket }) => bucket.revision),
    queries.map(({ key }) => key),
    queries.map(({ withBody }) => withBody),
  ]
  const { rows } = await db.executeQuery<Row & { n: number }>(CompiledQuery.raw(FIND_LATEST, parameters))
  const byPlace = new Map(rows.map((row) => [row.n, row]))
  return queries.map((_, index) => found(byPlace.get(index + 1)))
}

function found(row: Row | undefined): ObjectVersion | null | 'stale' {
  if (!row) return 'stale'
  return row.seq === null ? null : asVersion(row)
}

type Ref = Pick<ObjectVersion, 'bucketNumber' | 'key' | 'seq'>

/** None for an object that was not uploaded in parts; null when the version is gone by now. */
export async function parts(db: Db, ref: Ref): Promise<readonly ObjectPart[] | null> {
  const row = await of(db, ref).select('parts').executeTakeFirst()
  return row ? (row.parts ?? []) : null
}

export const isThere = async (db: Db, ref: Ref): Promise<boolean> =>
  (await of(db, ref).select('seq').executeTakeFirst()) !== undefined

const of = (db: Db, { bucketNumber, key, seq }: Ref) =>
  db
    .selectFrom('object_version')
    .where('bucket_number', '=', bucketNumber)
    .where('key', '=', key)
    .where('seq', '=', seq)

const columns = (withBody: string | boolean) => `SELECT bucket_number AS "bucketNumber", key, seq,
  version_id AS "versionId", is_latest AS "isLatest", is_delete_marker AS "isDeleteMarker",
  size_bytes AS "sizeBytes", etag, modified_at AS "modifiedAt", account_id AS "accountId",
  storage_class AS "storageClass", headers, metadata, tags, checksum, acl, encryption, retain_mode AS "retainMode",
  retain_until AS "retainUntil", legal_hold AS "legalHold", part_count AS "partCount",
  CASE WHEN ${withBody} THEN inline_body END AS "inlineBody",
  CASE WHEN ${withBody} THEN inline_key END AS "inlineKey"`

/** As text: for the hottest query of all, putting it together would cost more than sending it. */
const FIND_LATEST = `
  SELECT q.n, v.* FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::boolean[])
    WITH ORDINALITY AS q (number, revision, key, with_body, n)
  JOIN bucket b ON b.number = q.number AND b.revision = q.revision
  LEFT JOIN LATERAL (
    ${columns('q.with_body')} FROM object_version WHERE bucket_number = b.number AND key = q.key
    ORDER BY seq DESC LIMIT 1
  ) v ON true`

function pick(key: string, version: { id: string; seq: number | null }, withBody: boolean): RawBuilder<unknown> {
  const what = sql.raw(columns(withBody))
  const of = sql`FROM object_version WHERE bucket_number = b.number AND key = ${key}`
  if (version.seq !== null) return sql`${what} ${of} AND seq = ${version.seq} AND version_id = ${version.id}`
  return sql`
    (SELECT * FROM (${what} ${of} ORDER BY seq DESC LIMIT 1) latest WHERE "versionId" = 'null')
    UNION ALL ${what} ${of} AND version_id = 'null' AND NOT is_latest`
}

interface Row extends Omit<ObjectVersion, 'retention' | 'seq'> {
  seq: number | null
  accountId: AccountId
  retainMode: RetentionMode | null
  retainUntil: Date | null
}
function asVersion({ retainMode, retainUntil, ...row }: Row): ObjectVersion {
  const retention = retainMode && retainUntil ? { mode: retainMode, until: retainUntil } : null
  return { ...row, seq: row.seq as number, retention }
}
