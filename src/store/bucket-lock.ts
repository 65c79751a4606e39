/**
 * The lock between those who write into a bucket and those who change or delete it. Writers share it, thousands of them
 * side by side; whoever changes the row holds it alone. It ends with the transaction.
 */
import { sql } from 'kysely'
import type { Db } from './db.ts'

/** The space of advisory locks whose second number is a bucket's. */
const BUCKET_LOCKS = 0x626b

/** Waits for every writer that is under way, and keeps out those who come. */
export async function lockAlone(tx: Db, bucketNumber: number): Promise<void> {
  await sql`SELECT pg_advisory_xact_lock(${BUCKET_LOCKS}::int, (${bucketNumber}::bigint & 2147483647)::int)`.execute(tx)
}

/** Beside other writers. Publishing and deleting objects do it themselves. */
export async function lockShared(tx: Db, bucketNumber: number): Promise<void> {
  await sql`SELECT pg_advisory_xact_lock_shared(${BUCKET_LOCKS}::int, (${bucketNumber}::bigint & 2147483647)::int)`.execute(
    tx,
  )
}
