/**
 * What a bucket held and moved, hour by hour: the raw material of the ledger. What its shards have not written down yet
 * is counted in, so that the running hour, and hours in which nothing changed, are there too.
 */
import { sql } from 'kysely'
import type { Bucket } from '../model/bucket.ts'
import type { Db } from './db.ts'

export interface BucketHour {
  hour: Date
  /** Exact, in decimal digits: bytes times the seconds that they were there; of the running hour so far. */
  byteSeconds: string
  readRequests: number
  writeRequests: number
  bytesIn: number
  bytesOut: number
}

export interface Span {
  from?: Date
  to?: Date
  limit: number
}

/** The newest first. */
export async function list(db: Db, { id, number }: Bucket, { from, to, limit }: Span): Promise<BucketHour[]> {
  const { rows } = await sql<BucketHour>`
    WITH counted AS (
      SELECT hour, byte_seconds, read_requests, write_requests, bytes_in, bytes_out FROM bucket_hour
        WHERE bucket_id = ${id}
      UNION ALL
      SELECT hour, CASE WHEN hour = hour_of(counted_at) THEN byte_seconds ELSE 0 END
          + (bytes + upload_bytes) * extract(epoch FROM
              least(hour + interval '1 hour', now) - greatest(hour, counted_at)), 0, 0, 0, 0
        FROM (SELECT *, greatest(cloud_now(), counted_at) AS now FROM bucket_usage WHERE bucket_number = ${number}) shard,
          generate_series(hour_of(counted_at), hour_of(now), interval '1 hour') hour
    )
    SELECT hour, trim_scale(sum(byte_seconds))::text AS "byteSeconds", sum(read_requests)::bigint AS "readRequests",
      sum(write_requests)::bigint AS "writeRequests", sum(bytes_in)::bigint AS "bytesIn",
      sum(bytes_out)::bigint AS "bytesOut"
    FROM counted
    WHERE hour >= coalesce(${from ?? null}::timestamptz, '-infinity')
      AND hour < coalesce(${to ?? null}::timestamptz, 'infinity')
    GROUP BY hour ORDER BY hour DESC LIMIT ${limit}`.execute(db)
  return rows
}
