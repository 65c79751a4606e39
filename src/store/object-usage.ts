/** What buckets hold, counted in the transaction that changes it. Publishing and deleting objects count by themselves. */
import { sql } from 'kysely'
import type { AccountId } from '../model/ids.ts'
import type { Db } from './db.ts'

export interface UsageChange {
  objects?: number
  versions?: number
  bytes?: number
  uploadBytes?: number
}
/** Last in a transaction, because the writers of a shard wait for one another from here on. */
export async function count(tx: Db, bucketNumber: number, change: UsageChange): Promise<void> {
  const { objects = 0, versions = 0, bytes = 0, uploadBytes = 0 } = change
  await sql`SELECT count_usage(${bucketNumber}::bigint, ${objects}::bigint, ${versions}::bigint, ${bytes}::bigint,
    ${uploadBytes}::bigint)`.execute(tx)
}

/** How many bytes the account may still store; null = any number. A glance: nothing holds it. */
export async function bytesLeft(db: Db, accountId: AccountId): Promise<number | null> {
  const { rows } = await sql<{ left: number }>`
    SELECT (quota_bytes - (held_by(id)).held_bytes)::bigint AS left FROM account
    WHERE id = ${accountId} AND quota_bytes IS NOT NULL`.execute(db)
  return rows[0]?.left ?? null
}

export interface Recount {
  bucketNumber: number
  counted: Required<UsageChange>
  found: Required<UsageChange>
}
/** Counts every bucket anew in one look and returns those whose counters say something else: there must be none. */
export async function miscounted(db: Db): Promise<Recount[]> {
  const { rows } = await sql<Record<string, number>>`
    SELECT number,
      coalesce(u.objects, 0) AS objects, coalesce(u.versions, 0) AS versions, coalesce(u.bytes, 0) AS bytes,
      coalesce(u.upload_bytes, 0) AS upload_bytes, coalesce(v.objects, 0) AS found_objects,
      coalesce(v.versions, 0) AS found_versions, coalesce(v.bytes, 0) AS found_bytes,
      coalesce(p.bytes, 0) AS found_upload_bytes
    FROM bucket
    LEFT JOIN (SELECT bucket_number, sum(objects)::bigint objects, sum(versions)::bigint versions,
        sum(bytes)::bigint bytes, sum(upload_bytes)::bigint upload_bytes FROM bucket_usage GROUP BY 1) u
      ON u.bucket_number = number
    LEFT JOIN (SELECT bucket_number, count(*) FILTER (WHERE is_latest AND NOT is_delete_marker) objects,
        count(*) versions, sum(size_bytes)::bigint bytes FROM object_version GROUP BY 1) v ON v.bucket_number = number
    LEFT JOIN (SELECT bucket_number, sum(size_bytes)::bigint bytes
        FROM upload_part JOIN multipart_upload m ON m.id = upload_id WHERE m.completed_at IS NULL GROUP BY 1) p
      ON p.bucket_number = number`.execute(db)
  return rows
    .map((row) => ({
      bucketNumber: row.number!,
      counted: {
        objects: row.objects!,
        versions: row.versions!,
        bytes: row.bytes!,
        uploadBytes: row.upload_bytes!,
      },
      found: {
        objects: row.found_objects!,
        versions: row.found_versions!,
        bytes: row.found_bytes!,
        uploadBytes: row.found_upload_bytes!,
      },
    }))
    .filter(({ counted, found }) => JSON.stringify(counted) !== JSON.stringify(found))
}

/** Writes the hours that are over of shards that nobody writes to; one transaction each, so that no writer waits long. */
export async function closeHours(db: Db): Promise<void> {
  const { rows } = await sql<{ bucket_number: number; shard: number }>`
    SELECT bucket_number, shard FROM bucket_usage WHERE counted_at < hour_of(cloud_now())
      AND (bytes + upload_bytes <> 0 OR byte_seconds <> 0)`.execute(db)
  for (const { bucket_number, shard } of rows) {
    await sql`SELECT close_usage(${bucket_number}::bigint, ${shard}::int, cloud_now(), false)`.execute(db)
  }
}
