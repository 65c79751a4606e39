/**
 * Bodies that lie in blobs: ordered pieces of them. A version's body has the version's seq, a part's body a number of
 * its own; a blob may be in many bodies.
 */
import { sql } from 'kysely'
import type { Segment } from '../model/object.ts'
import type { Db } from './db.ts'

/**
 * The pieces that `length` bytes from `start` of a body lie in, in order and cut to just these bytes. Fewer bytes than
 * asked for: the body is gone by now, or damaged.
 */
export async function segments(db: Db, bodyId: number, start: number, length: number): Promise<Segment[]> {
  const end = start + length
  const { rows } = await sql<Segment>`
    SELECT replace(s.blob_id::text, '-', '') AS "blobId",
      s.blob_start + greatest(${start}::bigint - s.body_start, 0) AS start,
      least(s.body_start + s.length, ${end}::bigint) - greatest(s.body_start, ${start}::bigint) AS length,
      b.wrapped_key AS "wrappedKey", b.plain_bytes AS "blobBytes"
    FROM body_segment s JOIN blob b ON b.id = s.blob_id
    WHERE s.body_id = ${bodyId} AND s.body_start < ${end} AND s.body_start >= coalesce((
      SELECT max(body_start) FROM body_segment WHERE body_id = ${bodyId} AND body_start <= ${start}), 0)
    ORDER BY s.body_start`.execute(db)
  return rows
}
