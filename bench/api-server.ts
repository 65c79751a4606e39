/**
 * A process of bench/api.ts, so that servers and load do not share an event loop: `ours` is the API as it is shipped;
 * `bare` is Fastify with one SELECT, which finds the answer of ours, piece by piece as many rows as the list has items.
 */
import Fastify from 'fastify'
import pg from 'pg'
import { startApi } from '../src/main/api.ts'
import { readConfig } from '../src/main/config.ts'
import { buildContext } from '../src/main/context.ts'

const url = process.env.HAVN_DATABASE_URL!
process.send?.(process.argv[2] === 'ours' ? await serveOurs() : await serveBare())
process.on('disconnect', () => process.exit())

async function serveOurs(): Promise<string> {
  const context = await buildContext(readConfig(process.env), 'api', { databaseUrl: url })
  return (await startApi(context)).url
}

async function serveBare(): Promise<string> {
  const pool = new pg.Pool({ connectionString: url, max: 20 })
  const app = Fastify()
  app.get('/*', async (request, reply) => {
    const { rows } = await pool.query('SELECT body FROM bench_answer WHERE url = $1 ORDER BY position', [request.url])
    reply.type('application/json; charset=utf-8')
    return rows.map((row) => row.body).join('')
  })
  return app.listen({ host: '127.0.0.1', port: 0 })
}
