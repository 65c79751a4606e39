import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { signalProcess } from '../lib/process-identity.ts'
import { connect, now } from '../store/db.ts'
import { type PostgresPlace, startPostgres } from './postgres.ts'

function place(t: { after(fn: () => void): void }): PostgresPlace {
  const folder = mkdtempSync(join(tmpdir(), 'havn-pg-'))
  chmodSync(folder, 0o711)
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return { data: join(folder, 'data'), sockets: join(folder, 'run'), log: join(folder, 'log') }
}

test('a server of our own: made once, taken over, started again after a kill', async (t) => {
  const at = place(t)
  // What a killed first start leaves is cleared away, not opened.
  mkdirSync(`${at.data}.new-1`)
  const first = await startPostgres(at)
  t.after(() => first.stop())
  assert.equal(first.adopted, false)
  assert.equal(existsSync(`${at.data}.new-1`), false)
  assert.deepEqual(
    readdirSync(at.sockets).filter((name) => !name.endsWith('.lock')),
    ['.s.PGSQL.5432'],
  )
  assert.equal(statSync(at.sockets).mode & 0o777, 0o700)

  const db = connect(first.url)
  await db.schema.createTable('kept').addColumn('n', 'integer').execute()
  await db.destroy()

  const second = await startPostgres(at)
  assert.equal(second.adopted, true)
  assert.deepEqual(second.process.pid, first.process.pid)

  signalProcess(first.process, 'SIGKILL')
  await Promise.all([first.ended, second.ended])
  const third = await startPostgres(at)
  assert.equal(third.adopted, false)
  const again = connect(third.url)
  assert.deepEqual(
    (await again.introspection.getTables()).map(({ name }) => name),
    ['kept'],
  )
  await again.destroy()
  await third.stop()
})

test('a pid file that names somebody else is not believed', async (t) => {
  const at = place(t)
  await (await startPostgres(at)).stop()
  writeFileSync(join(at.data, 'postmaster.pid'), `${process.pid}\n${at.data}\n1\n5432\n${at.sockets}\n`)
  const server = await startPostgres(at)
  assert.equal(server.adopted, false)
  const db = connect(server.url)
  await assert.rejects(now(db), /cloud_now/)
  await db.destroy()
  await server.stop()
})

test('a data folder of another version is refused in clear words', async (t) => {
  const at = place(t)
  mkdirSync(at.data)
  writeFileSync(join(at.data, 'PG_VERSION'), '9\n')
  await assert.rejects(startPostgres(at), /was made by PostgreSQL 9, and this machine has only PostgreSQL \d+: install/)
})
