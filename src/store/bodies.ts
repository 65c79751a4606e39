/**
 * Bodies that lie in blobs: ordered pieces of them. A version's body has the version's seq, a part's body a number of
 * its own; a blob may be in many bodies.
 */
import { sql } from 'kysely'
import type { Segment } from '../model/object.ts'
import type { Db } from './db.ts'
import type { NewBody } from './objects.ts'

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

/**
 * A body that is no version's, a part's; returns its number. Throws a foreign key's violation when a blob that a
 * segment names is gone.
 */
export async function insert(tx: Db, body: Exclude<NewBody, { kind: 'inline' }>, sizeBytes: number): Promise<number> {
  if (body.kind === 'segments') {
    const { segments } = body
    const { rows } = await sql<{ id: number }>`
      WITH new AS (SELECT nextval('object_seq') AS id), put AS (
        INSERT INTO body_segment (body_id, body_start, blob_id, blob_start, length)
        SELECT new.id, sum(s.length) OVER (ORDER BY s.n) - s.length, s.blob_id, s.start, s.length
        FROM new, unnest(${segments.map(({ blobId }) => blobId)}::uuid[], ${segments.map(({ start }) => start)}::bigint[],
          ${segments.map(({ length }) => length)}::bigint[]) WITH ORDINALITY s (blob_id, start, length, n))
      SELECT id FROM new`.execute(tx)
    return rows[0]!.id
  }
  const { id, storedBytes, md5, wrappedKey } = body.blob
  await tx
    .insertInto('blob')
    .values({ id, plain_bytes: sizeBytes, stored_bytes: storedBytes, md5, wrapped_key: wrappedKey })
    .execute()
  return insert(tx, { kind: 'segments', segments: [{ blobId: id, start: 0, length: sizeBytes }] }, sizeBytes)
}

/** Takes the body away; the sweeper removes its blobs when nothing else is made of them. */
export async function release(tx: Db, bodyId: number): Promise<void> {
  await sql`SELECT release_body(${bodyId})`.execute(tx)
}
