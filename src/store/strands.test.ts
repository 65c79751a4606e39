import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testDatabase } from '../../test/database.ts'
import { execute } from './db.ts'
import * as strands from './strands.ts'

test('a worker with nothing to do is told so, and does not look again at once', async (t) => {
  const { db } = await testDatabase(t)
  assert.equal(await strands.nextDueInMs(db, []), null)
  await strands.create(db, { id: 'one', kind: 'test', step: 'a', deadlineMs: null })
  assert.equal(await strands.nextDueInMs(db, []), 0)
  await execute(db, `UPDATE strand SET wake_at = cloud_now() + interval '1 hour'`)
  const ms = await strands.nextDueInMs(db, [])
  assert.ok(ms !== null && ms > 3_500_000 && ms <= 3_600_000)
  await execute(db, `UPDATE strand SET wake_at = '9999-01-01T00:00:00Z'`)
  assert.equal(await strands.nextDueInMs(db, []), null)
})
