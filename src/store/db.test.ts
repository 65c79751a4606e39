import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { sql } from 'kysely'
import { testDatabase } from '../../test/database.ts'

test('a connection that dies inside a transaction fails the transaction, not the process', async (t) => {
  const { db } = await testDatabase(t)
  const broken = db.transaction().execute(async (tx) => {
    const { rows } = await sql<{ pid: number }>`SELECT pg_backend_pid() AS pid`.execute(tx)
    await sql`SELECT pg_terminate_backend(${rows[0]!.pid})`.execute(db)
    // Until the news has come, so that it meets a connection without a query.
    const gone = async () =>
      (await sql`SELECT 1 FROM pg_stat_activity WHERE pid = ${rows[0]!.pid}`.execute(db)).rows.length === 0
    while (!(await gone())) await once(AbortSignal.timeout(10), 'abort')
    await once(AbortSignal.timeout(50), 'abort')
    await sql`SELECT 1`.execute(tx)
  })
  await assert.rejects(broken)
  assert.equal((await sql`SELECT 1`.execute(db)).rows.length, 1)
})
