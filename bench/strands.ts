/**
 * Five-step strand runs per second through the engine, beside a bare loop that does the same transactions by hand: one
 * lease, then five times "write the resource and move the strand". Same database, same number at once, taken in turns.
 */
import { CompiledQuery } from 'kysely'
import pg from 'pg'
import { createEngine } from '../src/jobs/engine/engine.ts'
import { defineStrand, done, goto, type Write } from '../src/jobs/engine/strand.ts'
import { type Db, execute } from '../src/store/db.ts'
import * as strands from '../src/store/strands.ts'
import { testDatabase } from '../test/database.ts'
import { bench, printRatio, printTable, readOptions, round } from './tools.ts'

const STEPS = 5
const STEP_DEADLINE_MS = 60_000
const options = readOptions({ strands: 2_000, concurrency: 16, rounds: 3 })

const touch =
  (id: string): Write =>
  async (tx) => {
    await tx.executeQuery(CompiledQuery.raw('UPDATE bench_thing SET step = step + 1 WHERE id = $1', [id]))
  }
const step = (next: 'b' | 'c' | 'd' | 'e' | null) => ({
  run: async ({ id }: { id: string }) => (next ? goto(next, touch(id)) : done(touch(id))),
  deadlineMs: STEP_DEADLINE_MS,
})
const definition = defineStrand<object>()({
  kind: 'bench',
  first: 'a',
  steps: { a: step('b'), b: step('c'), c: step('d'), d: step('e'), e: step(null) },
})

await bench(async (scope) => {
  const { db, url } = await testDatabase(scope)
  await execute(db, 'CREATE TABLE bench_thing (id text PRIMARY KEY, step int NOT NULL DEFAULT 0)')
  const pool = new pg.Pool({ connectionString: url, max: options.concurrency })
  pool.on('error', () => {}) // the database is dropped while the pool says goodbye
  scope.after(() => pool.end())

  const ours: number[] = []
  const bare: number[] = []
  for (let i = 0; i < options.rounds; i++) {
    ours.push(await perSecond(db, runEngine))
    bare.push(await perSecond(db, () => runBare(pool)))
  }
  const best = { ours: Math.max(...ours), bare: Math.max(...bare) }
  printTable(
    ['five-step strands per second', 'best', 'all rounds'],
    [
      ['bare loop', round(best.bare, 0), bare.map((value) => round(value, 0)).join(' ')],
      ['strand engine', round(best.ours, 0), ours.map((value) => round(value, 0)).join(' ')],
    ],
  )
  printRatio('engine / bare', best.ours, best.bare, '>= 0.5')
})

async function perSecond(db: Db, run: (db: Db) => Promise<void>): Promise<number> {
  await execute(db, 'TRUNCATE bench_thing; TRUNCATE strand')
  await execute(db, `INSERT INTO bench_thing SELECT 'thing_' || i FROM generate_series(1, ${options.strands}) AS i`)
  await execute(
    db,
    `INSERT INTO strand (id, kind, step, deadline_at)
     SELECT id, 'bench', 'a', cloud_now() + interval '1 minute' FROM bench_thing; ANALYZE strand; ANALYZE bench_thing`,
  )
  const began = performance.now()
  await run(db)
  const seconds = (performance.now() - began) / 1_000
  const { rows } = await db.executeQuery<{ wrong: number }>(
    CompiledQuery.raw('SELECT count(*) AS wrong FROM bench_thing WHERE step <> $1', [STEPS]),
  )
  if (rows[0]?.wrong !== 0) throw new Error(`${rows[0]?.wrong} strands did not run exactly ${STEPS} steps`)
  return options.strands / seconds
}

async function runEngine(db: Db): Promise<void> {
  const engine = createEngine({
    db,
    worker: 'bench',
    hosts: [],
    definitions: [definition],
    tools: {},
    log: (message, error) => console.error(message, error),
    concurrency: options.concurrency,
  })
  await engine.start()
  while ((await strands.countByStep(db)).length > 0) await new Promise((resolve) => setTimeout(resolve, 20))
  await engine.stop()
}

async function runBare(pool: pg.Pool): Promise<void> {
  let next = 0
  const worker = async () => {
    const client = await pool.connect()
    while (next < options.strands) {
      next += 1
      await runOne(client, `thing_${next}`)
    }
    client.release()
  }
  await Promise.all(Array.from({ length: options.concurrency }, worker))
}

async function runOne(client: pg.PoolClient, id: string): Promise<void> {
  const { rows } = await client.query(
    `UPDATE strand SET lease_token = lease_token + 1, leased_by = 'bare', leased_until = cloud_now() + interval '30 s'
     WHERE id = $1 RETURNING lease_token`,
    [id],
  )
  const token = rows[0].lease_token
  for (let i = 1; i <= STEPS; i++) {
    await client.query('BEGIN')
    await client.query('UPDATE bench_thing SET step = step + 1 WHERE id = $1', [id])
    if (i < STEPS) {
      await client.query(
        `UPDATE strand SET step = $2, step_entered_at = cloud_now(), deadline_at = cloud_now() + interval '1 minute'
         WHERE id = $1 AND lease_token = $3 RETURNING wakes, intents`,
        [id, 'abcde'[i], token],
      )
    } else await client.query('DELETE FROM strand WHERE id = $1 AND lease_token = $2', [id, token])
    await client.query('COMMIT')
  }
}
