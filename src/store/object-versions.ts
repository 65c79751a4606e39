/** Versions as they are read. What changes them is in objects.ts. */
import { type RawBuilder, sql } from 'kysely'
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

/** One query. Null: there is no such version. `stale`: the bucket is not as the caller remembers it, or gone. */
export async function find(db: Db, query: FindQuery): Promise<ObjectVersion | null | 'stale'> {
  const { bucket, key, version, withBody = false } = query
  const { rows } = await sql<Row>`
    SELECT v.* FROM bucket b LEFT JOIN LATERAL (${pick(key, version, withBody)}) v ON true
    WHERE b.number = ${bucket.number} AND b.revision = ${bucket.revision}`.execute(db)
  const row = rows[0]
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

function pick(key: string, version: FindQuery['version'], withBody: boolean): RawBuilder<unknown> {
  const columns = sql`SELECT bucket_number AS "bucketNumber", key, seq, version_id AS "versionId",
    is_latest AS "isLatest", is_delete_marker AS "isDeleteMarker", size_bytes AS "sizeBytes", etag,
    modified_at AS "modifiedAt", account_id AS "accountId", storage_class AS "storageClass", headers, metadata, tags,
    checksum, acl, encryption, retain_mode AS "retainMode", retain_until AS "retainUntil", legal_hold AS "legalHold",
    part_count AS "partCount",
    ${withBody ? sql`inline_body` : sql`NULL::bytea`} AS "inlineBody",
    ${withBody ? sql`inline_key` : sql`NULL::bytea`} AS "inlineKey"`
  const of = sql`WHERE bucket_number = b.number AND key = ${key}`
  const latest = sql`${columns} FROM object_version ${of} ORDER BY seq DESC LIMIT 1`
  if (!version) return latest
  if (version.seq !== null) {
    return sql`${columns} FROM object_version ${of} AND seq = ${version.seq} AND version_id = ${version.id}`
  }
  return sql`(SELECT * FROM (${latest}) latest WHERE "versionId" = 'null') UNION ALL
    ${columns} FROM object_version ${of} AND version_id = 'null' AND NOT is_latest`
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
