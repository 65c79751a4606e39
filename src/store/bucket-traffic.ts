/** Requests and bytes that went in and out of buckets, added to the hours they fall into. */
import { sql } from 'kysely'
import type { Bucket } from '../model/bucket.ts'
import type { Db } from './db.ts'

export interface Traffic {
  readRequests: number
  writeRequests: number
  bytesIn: number
  bytesOut: number
}

/** All of it counts for the hour that is now. */
export async function add(db: Db, entries: readonly { bucket: Bucket; traffic: Traffic }[]): Promise<void> {
  if (entries.length === 0) return
  const rows = entries.map(({ bucket: { id, accountId, name, tier }, traffic }) => ({
    bucket_id: id,
    account_id: accountId,
    bucket_name: name,
    tier,
    read_requests: traffic.readRequests,
    write_requests: traffic.writeRequests,
    bytes_in: traffic.bytesIn,
    bytes_out: traffic.bytesOut,
  }))
  // In one order, so that two processes that add to the same buckets do not block each other.
  await sql`
    INSERT INTO bucket_hour AS known
      (bucket_id, hour, account_id, bucket_name, tier, read_requests, write_requests, bytes_in, bytes_out)
    SELECT bucket_id, hour_of(cloud_now()), account_id, bucket_name, tier, read_requests, write_requests, bytes_in, bytes_out
    FROM jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) AS new (bucket_id text, account_id text, bucket_name text,
      tier text, read_requests bigint, write_requests bigint, bytes_in bigint, bytes_out bigint)
    ORDER BY bucket_id
    ON CONFLICT (bucket_id, hour) DO UPDATE SET
      read_requests = known.read_requests + excluded.read_requests,
      write_requests = known.write_requests + excluded.write_requests,
      bytes_in = known.bytes_in + excluded.bytes_in,
      bytes_out = known.bytes_out + excluded.bytes_out`.execute(db)
}
