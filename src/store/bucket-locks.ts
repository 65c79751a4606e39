/**
 * Who changes what a bucket is, and who writes into it, exclude each other by advisory locks of the transaction. A
 * writer's statement that comes after the lock sees every change of the bucket that was made before.
 */
import { sql } from 'kysely'
import type { Db } from './db.ts'

/** Before anything is written into a bucket; publish and delete do it themselves. */
export async function shareBucket(tx: Db, bucketNumber: number): Promise<void> {
  await sql`SELECT share_bucket(${bucketNumber})`.execute(tx)
}

/** Before a bucket's row is changed or deleted: waits for the writers, and they wait until the transaction's end. */
export async function holdBucket(tx: Db, bucketNumber: number): Promise<void> {
  await sql`SELECT hold_bucket(${bucketNumber})`.execute(tx)
}
