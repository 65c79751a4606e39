/** The database as the rest of the code sees it: a pool and a transaction are the same type. */
import { CompiledQuery, Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import type { Schema } from './schema.ts'

export type Db = Kysely<Schema>

// PostgreSQL's bigint and numeric arrive as text; ours (bytes, minor units, counters) stay below 2^53.
const types = new pg.TypeOverrides()
types.setTypeParser(pg.types.builtins.INT8, (text: string) => {
  const value = Number(text)
  if (!Number.isSafeInteger(value)) throw new Error(`integer ${text} does not fit a number`)
  return value
})

/**
 * Our queries touch few rows, and the pages they need are mostly in memory. Compiling a plan (jit) costs more than it
 * saves, and a dear random page would have a page of one account's instances read by walking over everybody's.
 */
const SESSION = '-c timezone=UTC -c jit=off -c random_page_cost=1.1'

// The short way for what a session in UTC prints; the usual parser for the rest (infinity, BC).
const slowTimestamp: (text: string) => Date = pg.types.getTypeParser(pg.types.builtins.TIMESTAMPTZ)
types.setTypeParser(pg.types.builtins.TIMESTAMPTZ, (text: string) =>
  /^\d{4}-[^B]*\+00$/.test(text) ? new Date(`${text.slice(0, 10)}T${text.slice(11, -3)}Z`) : slowTimestamp(text),
)

export interface DbOptions {
  max?: number
  /** Shown in pg_stat_activity. */
  name?: string
}

export function connect(url: string, { max = 10, name = 'havn' }: DbOptions = {}): Db {
  const pool = new pg.Pool({
    connectionString: url,
    max,
    application_name: name,
    options: SESSION,
    types,
    keepAlive: true,
    Client: PreparingClient,
  })
  // A connection that dies while idle (57P01 at a restart of the server) must not take the process with it.
  pool.on('error', () => {})
  // Nor one that dies between two queries of a transaction: the next query fails and says so.
  pool.on('connect', (client) => void client.on('error', () => {}))
  return new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) })
}

/** What a backend keeps prepared; statements whose text varies with their data (long lists) must not fill its memory. */
const PREPARED_MAX = 256
const names = new Map<string, string>()

/**
 * Parses and plans a statement once per connection instead of once per call, which costs more than most of our queries
 * themselves. A name belongs to one text, so it means the same on every connection.
 */
class PreparingClient extends pg.Client {
  // biome-ignore lint/suspicious/noExplicitAny: the overloads of pg's query have no common type
  override query(...args: any[]): any {
    const [text, values] = args
    if (typeof text !== 'string' || !Array.isArray(values) || values.length === 0) {
      return super.query(...(args as [string]))
    }
    const name = names.get(text) ?? nameOf(text)
    if (name === undefined) return super.query(...(args as [string]))
    return super.query({ name, text, values }, ...(args.slice(2) as []))
  }
}

function nameOf(text: string): string | undefined {
  if (names.size >= PREPARED_MAX) return undefined
  const name = `havn_${names.size}`
  names.set(text, name)
  return name
}

/** Runs `work` in the transaction that `db` already is, or in one of its own. */
export function atomically<T>(db: Db, work: (tx: Db) => Promise<T>): Promise<T> {
  return db.isTransaction ? work(db) : db.transaction().execute(work)
}

export async function execute(db: Db, text: string): Promise<void> {
  await db.executeQuery(CompiledQuery.raw(text))
}

/** The cloud's clock. Within one transaction it moves on, as clock_timestamp() does. */
export async function now(db: Db): Promise<Date> {
  const { rows } = await db.executeQuery(CompiledQuery.raw('SELECT cloud_now() AS now'))
  return (rows[0] as { now: Date }).now
}

const UNIQUE_VIOLATION = '23505'
/** Whether a query failed because a row with that unique key was there; `constraint` narrows it to one. */
export function isUniqueViolation(error: unknown, constraint?: string): boolean {
  const { code, constraint: broken } = error as { code?: string; constraint?: string }
  return code === UNIQUE_VIOLATION && (constraint === undefined || broken === constraint)
}
