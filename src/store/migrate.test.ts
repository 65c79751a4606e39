import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emptyDatabase } from '../../test/database.ts'
import { connect, execute } from './db.ts'
import { MIGRATIONS, migrate } from './migrate.ts'

const NEXT = { name: '9999-next', sql: 'ALTER TABLE account ADD COLUMN nickname text' }

test('an empty database comes up, and a second run changes nothing', async (t) => {
  const { db } = await emptyDatabase(t)
  assert.deepEqual(
    await migrate(db),
    MIGRATIONS.map(({ name }) => name),
  )
  assert.deepEqual(await migrate(db), [])
})

test('every released state comes up to the present one', async (t) => {
  for (let released = 1; released <= MIGRATIONS.length; released++) {
    const { db } = await emptyDatabase(t)
    await migrate(db, MIGRATIONS.slice(0, released))
    await migrate(db, [...MIGRATIONS, NEXT])
    await db.selectFrom('account').selectAll().execute()
  }
})

test('a migration that fails leaves nothing of itself', async (t) => {
  const { db } = await emptyDatabase(t)
  const broken = { name: '9999-broken', sql: `${NEXT.sql}; SELECT 1/0` }
  await assert.rejects(migrate(db, [...MIGRATIONS, broken]), /division by zero/)
  assert.deepEqual(await migrate(db, [...MIGRATIONS, NEXT]), ['9999-next'])
})

test('two processes that start together do it once', async (t) => {
  const { db, url } = await emptyDatabase(t)
  const other = connect(url)
  try {
    const ran = await Promise.all([migrate(db), migrate(other)])
    assert.deepEqual(
      ran.flat(),
      MIGRATIONS.map(({ name }) => name),
    )
  } finally {
    await other.destroy()
  }
})

test('a database of a newer version is left alone', async (t) => {
  const { db } = await emptyDatabase(t)
  await migrate(db, [...MIGRATIONS, NEXT])
  await assert.rejects(migrate(db), /made by a newer Havn \(it has 9999-next\)/)
})

test('keys made before there was storage go on doing all that their account may', async (t) => {
  const { db } = await emptyDatabase(t)
  const at = MIGRATIONS.findIndex(({ name }) => name === '0006-storage-tiers')
  await migrate(db, MIGRATIONS.slice(0, at))
  const full = '{instances:read,instances:write,images:read,account:read,account:write}'
  const before: [service: string, scopes: string, more: string[]][] = [
    ['api', full, ['storage:read', 'storage:write']],
    ['pat', full, ['storage:read', 'storage:write']],
    ['api', '{instances:read,images:read,account:read}', ['storage:read']],
    ['api', '{instances:read}', []],
    ['vps', '{instances:read,instances:write,images:read,account:read}', []],
    ['storage', '{account:read}', ['storage:read']],
  ]
  await execute(db, "INSERT INTO account (id, uuid, email, name) VALUES ('acct_1', gen_random_uuid(), 'a@b.c', 'A')")
  for (const [index, [service, scopes]] of before.entries()) {
    await execute(
      db,
      `INSERT INTO api_key (id, account_id, name, service, key_id, secret_sha256, scopes)
       VALUES ('key_${index}', 'acct_1', 'k', '${service}', 'k${index}', '', '${scopes}')`,
    )
  }
  await migrate(db, MIGRATIONS)
  const rows = await db.selectFrom('api_key').select('scopes').orderBy('id').execute()
  const gained = rows.map(({ scopes }) => scopes.filter((scope) => scope.startsWith('storage:')))
  assert.deepEqual(
    gained,
    before.map(([, , more]) => more),
  )
})
