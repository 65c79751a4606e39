/**
 * A database of one's own for every test: a clone of a migrated template, a matter of milliseconds. The server is the
 * test run's (HAVN_TEST_POSTGRES); a test file that runs alone starts one for itself, which ends with it.
 */
import { createHash, randomBytes } from 'node:crypto'
import pg from 'pg'
import { connect, type Db } from '../src/store/db.ts'
import { MIGRATIONS, migrate } from '../src/store/migrate.ts'
import { startTestPostgres } from './postgres.ts'

export interface TestDatabase {
  db: Db
  /** For a second pool or another process. */
  url: string
}

const TEMPLATE_LOCK = 0x48617674

/** Its pool is closed when the test (or the file's `before` hook owner) `t` is over. */
export async function testDatabase(t: { after(fn: () => Promise<void>): void }): Promise<TestDatabase> {
  const server = await serverUrl()
  const name = `t_${randomBytes(8).toString('hex')}`
  await withClient(server, async (client) => {
    // CREATE DATABASE refuses a template that somebody is connected to, so its making is one at a time.
    await client.query('SELECT pg_advisory_lock($1)', [TEMPLATE_LOCK])
    const template = await ensureTemplate(client, server)
    await client.query(`CREATE DATABASE ${name} TEMPLATE ${template} STRATEGY file_copy`)
  })
  const url = onServer(server, name)
  const db = connect(url)
  t.after(async () => {
    await db.destroy()
    await withClient(server, (client) => client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`))
  })
  return { db, url }
}

/** An empty database, for the tests of the migrations themselves. */
export async function emptyDatabase(t: { after(fn: () => Promise<void>): void }): Promise<TestDatabase> {
  const server = await serverUrl()
  const name = `e_${randomBytes(8).toString('hex')}`
  await withClient(server, (client) => client.query(`CREATE DATABASE ${name}`))
  const url = onServer(server, name)
  const db = connect(url)
  t.after(async () => {
    await db.destroy()
    await withClient(server, (client) => client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`))
  })
  return { db, url }
}

let started: Promise<string> | undefined
function serverUrl(): Promise<string> {
  started ??= process.env.HAVN_TEST_POSTGRES
    ? Promise.resolve(process.env.HAVN_TEST_POSTGRES)
    : startTestPostgres().then((server) => server.url)
  return started
}

const onServer = (server: string, database: string) => server.replace('/postgres?', `/${database}?`)

/** Named by what is in it: another set of migrations is another template. It gets its name only when it is whole. */
async function ensureTemplate(client: pg.Client, server: string): Promise<string> {
  const digest = createHash('sha256').update(JSON.stringify(MIGRATIONS.map(({ name, sql }) => [name, sql])))
  const template = `template_${digest.digest('hex').slice(0, 16)}`
  const { rows } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [template])
  if (rows.length > 0) return template
  await client.query(`DROP DATABASE IF EXISTS ${template}_new`)
  await client.query(`CREATE DATABASE ${template}_new`)
  const db = connect(onServer(server, `${template}_new`))
  try {
    await migrate(db)
  } finally {
    await db.destroy()
  }
  await client.query(`ALTER DATABASE ${template}_new RENAME TO ${template}`)
  return template
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
