/** Which processes read bodies, and since when. */
import { sql } from 'kysely'
import type { Db } from './db.ts'

/** A process that did not report for so long is gone; it reports every few seconds. */
export const READER_LOST_SECONDS = 60

/** `oldestMs`: so long ago its oldest read began; null = it reads nothing. */
export async function report(db: Db, processId: string, oldestMs: number | null): Promise<void> {
  await sql`
    INSERT INTO object_reader AS r (process_id, oldest_read_at, seen_at)
    VALUES (${processId}, clock_timestamp() - ${oldestMs}::float8 * interval '1 ms', clock_timestamp())
    ON CONFLICT (process_id) DO UPDATE SET oldest_read_at = excluded.oldest_read_at, seen_at = excluded.seen_at
  `.execute(db)
}

export async function leave(db: Db, processId: string): Promise<void> {
  await db.deleteFrom('object_reader').where('process_id', '=', processId).execute()
}

/** Forgets those long gone, and says since when somebody reads; null = nobody does. */
export async function oldestRead(db: Db): Promise<Date | null> {
  const { rows } = await sql<{ oldest: Date | null }>`
    WITH gone AS (DELETE FROM object_reader WHERE seen_at < clock_timestamp() - interval '1 day')
    SELECT min(oldest_read_at) AS oldest FROM object_reader
    WHERE seen_at > clock_timestamp() - ${READER_LOST_SECONDS}::int * interval '1 s'`.execute(db)
  return rows[0]?.oldest ?? null
}
