/**
 * Measurements: the traffic of one instance over a year of 5-minute values, beside a bare indexed scan of as many plain
 * rows; and one sweep over many simulated machines, beside one INSERT of as many plain rows. Some instances get their
 * year row by row and have it rolled up and packed by the worker's own code; the others are copies of their pages, so
 * that the one asked for is one among many.
 */
import { sql } from 'kysely'
import { sampleStats } from '../src/jobs/metrics/sample.ts'
import type { ReconcilerTools } from '../src/jobs/tools.ts'
import type { InstanceId } from '../src/model/ids.ts'
import { GRANULARITIES, type Granularity } from '../src/model/metric.ts'
import { SCOPES } from '../src/model/scopes.ts'
import type { Ctx } from '../src/services/ctx.ts'
import * as metrics from '../src/services/metrics.ts'
import { type Db, execute } from '../src/store/db.ts'
import { pack, rollUp } from '../src/store/roll-up.ts'
import { startCloud } from '../test/cloud.ts'
import { seedFleet } from './fleet.ts'
import { bench, percentile, printRatio, printTable, readOptions, round } from './tools.ts'

/** `measured`: instances whose year is made row by row; `instances`: with their copies. `machines`: in the sweep. */
const options = readOptions({ days: 365, measured: 1, instances: 60, machines: 2_000, rounds: 5 })
const DAY_MS = 86_400_000
const { signal } = new AbortController()

await bench(async (scope) => {
  const cloud = await startCloud(scope, { withoutWorker: true })
  const { db, simulator } = cloud
  await simulator.open()
  const { id: accountId } = await db.selectFrom('account').select('id').executeTakeFirstOrThrow()
  const count = Math.max(options.machines, options.instances)
  await seedHost(db)
  await seedFleet(db, { count, accountId, simulator })
  const fleet = await db.selectFrom('instance').select(['id', 'number']).orderBy('number').execute()

  const loaded = await timed(() => seedYear(db, fleet))
  const caller = { accountId, apiKeyId: null, scopes: new Set(SCOPES) }
  const ctx = { db, caller, reach: 'account' } as unknown as Ctx
  const to = new Date(Math.floor(Date.now() / DAY_MS) * DAY_MS)
  const from = new Date(to.getTime() - options.days * DAY_MS)
  const ask = (granularity: Granularity) => () => metrics.traffic(ctx, fleet[0]!.id, { from, to, granularity })
  const rows: [string, string, string, number][] = []
  const bare = await timesOf(() => bareScan(db, from, to))
  rows.push(['bare scan of plain rows', ...spread(bare), options.days * 288])
  const fine = await timesOf(ask('5min'))
  for (const granularity of [...GRANULARITIES].reverse()) {
    const times = granularity === '5min' ? fine : await timesOf(ask(granularity))
    rows.push([`traffic, ${granularity}`, ...spread(times), (await ask(granularity)()).in.length])
  }
  console.log(`one of ${options.instances} instances, ${options.days} days, made in ${round(loaded / 1_000)} s`)
  printTable([`traffic of ${options.days} days`, 'median ms', 'worst ms', 'values'], rows)
  printRatio('5-minute query / bare scan', percentile(fine, 0.5), percentile(bare, 0.5), '<= 4')
  const [plain, packed] = [await bytesOf(db, 'bench_plain'), await bytesOf(db, 'metric_5min_page')]
  const perDay = packed / options.instances / options.days
  console.log(`a day of one instance: ${round(perDay / 1024)} KiB packed with all metrics`)
  console.log(`${round(plain / options.days / 1024)} KiB as plain rows with traffic alone`)

  await measureSweep(db, simulator, fleet.slice(0, options.machines))
})

/** A cloud without a worker has no host yet, and only what stands on one is measured. */
async function seedHost(db: Db): Promise<void> {
  await sql`INSERT INTO host (id, name, region_id, driver)
    SELECT 'host_bench', 'bench', id, 'simulator' FROM region ORDER BY position LIMIT 1`.execute(db)
}

async function seedYear(db: Db, fleet: readonly { number: number }[]): Promise<void> {
  const numbers = fleet.slice(0, options.measured).map(({ number }) => number)
  await sql`
    INSERT INTO metric_5min
    SELECT number, at, at + interval '4 min 53 s', false, 30, (random() * 100)::real, 100, random() * 1e9, random() * 1e10,
      sum((random() * 1e7)::bigint) OVER run, sum((random() * 1e8)::bigint) OVER run, sum((random() * 1e6)::bigint) OVER run,
      sum((random() * 1e6)::bigint) OVER run, sum((random() * 1e3)::bigint) OVER run, sum((random() * 1e3)::bigint) OVER run
    FROM unnest(${numbers}::bigint[]) number, generate_series(date_trunc('day', now(), 'UTC') - ${options.days} * interval '1 day',
      date_trunc('day', now(), 'UTC') - interval '5 minutes', interval '5 minutes') at
    WINDOW run AS (PARTITION BY number ORDER BY at)`.execute(db)
  await execute(
    db,
    'CREATE TABLE bench_plain (number bigint, at timestamptz, bytes_in bigint, bytes_out bigint, PRIMARY KEY (number, at))',
  )
  await sql`INSERT INTO bench_plain SELECT number, at, network_in_bytes, network_out_bytes FROM metric_5min
    WHERE number = ${numbers[0]!} ORDER BY at`.execute(db)
  await rollUp(db)
  for (let left = true; left; ) {
    await pack(db, signal)
    const { rows } = await sql<{ left: boolean }>`SELECT EXISTS (SELECT FROM metric_5min
      WHERE at < date_trunc('day', now(), 'UTC') - interval '1 day') AS left`.execute(db)
    left = rows[0]!.left
  }
  const others = fleet.slice(numbers.length, options.instances).map(({ number }) => number)
  for (const table of ['metric_5min_page', 'metric_hour_page', 'metric_day', 'metric_month']) {
    await sql`INSERT INTO ${sql.table(table)}
      SELECT (jsonb_populate_record(source, jsonb_build_object('number', other))).*
      FROM ${sql.table(table)} source, unnest(${others}::bigint[]) other WHERE source.number = ${numbers[0]!}
      ORDER BY source.at, other`.execute(db)
  }
  await execute(db, 'VACUUM ANALYZE')
}

async function bareScan(db: Db, from: Date, to: Date): Promise<void> {
  await sql`SELECT at, bytes_in, bytes_out FROM bench_plain WHERE number = (SELECT min(number) FROM instance)
    AND at >= ${from} AND at < ${to} ORDER BY at`.execute(db)
}

/** Every machine says something new in every round, as a living fleet does. */
async function measureSweep(
  db: Db,
  simulator: Awaited<ReturnType<typeof startCloud>>['simulator'],
  fleet: readonly { id: InstanceId; number: number }[],
): Promise<void> {
  const hosts = (await db.selectFrom('host').select('id').execute()).map(({ id }) => id)
  const tools = { db, compute: simulator, hosts, slowSamples: new Map() } as unknown as ReconcilerTools
  await execute(db, 'CREATE TABLE bench_sample (LIKE metric_sample INCLUDING ALL)')
  const [ours, bare]: [number[], number[]] = [[], []]
  for (let turn = 1; turn <= options.rounds; turn++) {
    for (const { id } of fleet) {
      simulator.setStats(id, { run: 'a', cpuPercent: turn, networkInBytes: turn * 1_000, diskReadBytes: turn * 10 })
    }
    ours.push(await timed(() => sampleStats.run(tools, signal)))
    bare.push(
      await timed(() =>
        sql`INSERT INTO bench_sample (number, measured_at, cpu_percent, network_in_bytes, disk_read_bytes)
          SELECT number, clock_timestamp(), ${turn}, ${turn}, ${turn} FROM unnest(${fleet.map(({ number }) => number)}::bigint[]) number`.execute(
          db,
        ),
      ),
    )
  }
  const rolled = await timed(() => rollUp(db))
  const perSecond = (ms: number) => round((fleet.length / ms) * 1_000, 0)
  printTable(
    [`sweep of ${fleet.length} simulated machines`, 'median ms', 'worst ms', 'samples/s'],
    [
      ['bare INSERT of as many rows', ...spread(bare), perSecond(percentile(bare, 0.5))],
      ['sweep: measure, count, write', ...spread(ours), perSecond(percentile(ours, 0.5))],
      [`roll-up of ${options.rounds} sweeps, all levels`, ...spread([rolled]), ''],
    ],
  )
  printRatio('sweep / bare INSERT', percentile(ours, 0.5), percentile(bare, 0.5), '<= 30')
}

async function timesOf(run: () => Promise<unknown>): Promise<number[]> {
  await run()
  const times: number[] = []
  for (let turn = 0; turn < options.rounds; turn++) times.push(await timed(run))
  return times
}

async function timed(run: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await run()
  return performance.now() - began
}

function spread(times: readonly number[]): [string, string] {
  return [round(percentile(times, 0.5)), round(Math.max(...times))]
}

async function bytesOf(db: Db, table: string): Promise<number> {
  const { rows } = await sql<{ bytes: number }>`SELECT pg_total_relation_size(${table}) AS bytes`.execute(db)
  return rows[0]!.bytes
}
