/**
 * The peer of bench/api.ts: what somebody writes in an hour who only wants these answers. Fastify, one plain SELECT
 * with its joins per request (prepared, on a pool as large as ours), rows mapped to the same JSON. It asks nobody who
 * they are, limits nothing, logs nothing, counts nothing (the total is a constant), and knows no state but `running`.
 */
import Fastify from 'fastify'
import pg from 'pg'
import { leaseweb } from './bare/leaseweb.ts'
import { native } from './bare/native.ts'
import { vpsorg } from './bare/vpsorg.ts'
import { wayscloud } from './bare/wayscloud.ts'

export interface BareOptions {
  databaseUrl: string
  /** Whose instances are shown. */
  account: string
  total: number
  /** Whose the WAYSCloud list shows. */
  listedAccount: string
}

const PEERS = [native, wayscloud, vpsorg, leaseweb]
const POOL = 20 // as the API's own; so is the next line
const SESSION = '-c timezone=UTC -c jit=off -c random_page_cost=1.1'

/** Returns its address. */
export async function serveBare({ databaseUrl, account, total, listedAccount }: BareOptions) {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: POOL, options: SESSION })
  const rowsOf = async (name: string, text: string, values: unknown[]) =>
    (await pool.query({ name, text, values })).rows
  const app = Fastify()
  for (const { one, list } of PEERS) {
    app.get<{ Params: { id: string } }>(one.path, async ({ params }) => {
      const [row] = await rowsOf(one.path, one.sql, [params.id, account])
      return one.answer(row)
    })
    app.get<{ Querystring: Record<string, string> }>(list.path, async ({ query }) => {
      const page = list.page?.(query)
      const rows = await rowsOf(list.path, list.sql, page ? [account, ...page] : [listedAccount])
      return list.answer(rows, total, page ?? [rows.length, 0])
    })
  }
  return app.listen({ host: '127.0.0.1', port: 0 })
}
