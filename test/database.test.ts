import assert from 'node:assert/strict'
import { test } from 'node:test'
import { now } from '../src/store/db.ts'
import { testDatabase } from './database.ts'

test('each test has a migrated database of its own', async (t) => {
  const [one, two] = await Promise.all([testDatabase(t), testDatabase(t)])
  await one.db.insertInto('setting').values({ key: 'mine', value: '1' }).execute()
  assert.equal((await two.db.selectFrom('setting').select('key').where('key', '=', 'mine').execute()).length, 0)
  assert.ok((await now(two.db)) instanceof Date)
})
