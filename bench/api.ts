/**
 * GET one and LIST 100 of many simulated instances, in our own API and in WAYSCloud's, beside a bare Fastify server that
 * answers the same bytes from the same PostgreSQL. WAYSCloud's list has no pages, so it is asked by an account that has
 * 100 of them. First at a steady rate (latency), then at saturation (throughput, the ratio).
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import type { AccountId } from '../src/model/ids.ts'
import type { Db } from '../src/store/db.ts'
import { type Cloud, startCloud } from '../test/cloud.ts'
import { seedFleet } from './fleet.ts'
import { type LoadResult, runLoad } from './load.ts'
import { bench, printRatio, printTable, readOptions, round, type Scope } from './tools.ts'

const options = readOptions({ instances: 25_000, seconds: 5, rate: 200, connections: 32, sample: 200 })
const LISTED = 100

interface Case {
  name: string
  paths: string[]
  key: string
  rows: number
}

await bench(async (scope) => {
  const cloud = await startCloud(scope, { withoutWorker: true })
  const cases = await makeCases(cloud)
  const env = {
    ...process.env,
    HAVN_HOME: cloud.config.home,
    HAVN_COMPUTE: 'simulator',
    HAVN_LISTEN: '127.0.0.1:0',
    HAVN_DATABASE_URL: cloud.context.databaseUrl,
    HAVN_RATE_PER_KEY: '1000000',
    HAVN_RATE_PER_KEY_BURST: '1000000',
  }
  const ours = await startServer(scope, 'ours', env)
  const bare = await startServer(scope, 'bare', env)
  await recordAnswers(cloud.db, ours, cases)

  const rows: (string | number)[][] = []
  const ratios: (() => void)[] = []
  for (const one of cases) {
    const at = (url: string, rate: number, seconds = options.seconds): Promise<LoadResult> =>
      runLoad({
        url,
        paths: one.paths,
        headers: { authorization: `Bearer ${one.key}` },
        connections: options.connections,
        rate,
        seconds,
      })
    for (const url of [ours, bare]) await at(url, 0, Math.min(2, options.seconds)) // warm both up
    const steady = await at(ours, options.rate)
    const steadyBare = await at(bare, options.rate)
    const full = await at(ours, 0)
    const fullBare = await at(bare, 0)
    const row = (server: string, slow: LoadResult, fast: LoadResult) => [
      `${one.name}, ${server}`,
      ...[slow.p50Ms, slow.p95Ms].map((ms) => round(ms)),
      round(fast.perSecond, 0),
      ...[fast.p50Ms, fast.p95Ms].map((ms) => round(ms)),
      slow.errors + fast.errors,
      Math.round(fast.bytes / Math.max(1, fast.requests)),
    ]
    rows.push(row('Havn', steady, full), row('bare', steadyBare, fullBare))
    ratios.push(() => printRatio(one.name, full.perSecond, fullBare.perSecond, '>= 0.6'))
  }
  const steadyHead = `${options.rate}/s`
  printTable(
    [
      `requests of ${options.instances} instances`,
      `${steadyHead} p50 ms`,
      `${steadyHead} p95 ms`,
      'full /s',
      'p50 ms',
      'p95 ms',
      'errors',
      'bytes',
    ],
    rows,
  )
  for (const print of ratios) print()
})

async function makeCases(cloud: Cloud): Promise<Case[]> {
  const owner = await accountOf(cloud.db, cloud.credentials.email)
  const { body } = await cloud.call<{ email: string; apiKey: string }>('POST', '/havn/v1/accounts', {
    email: 'hundred@example.com',
  })
  const uuids = await seedFleet(cloud.db, { count: options.instances - LISTED, accountId: owner })
  await seedFleet(cloud.db, { count: LISTED, accountId: await accountOf(cloud.db, 'hundred@example.com') })
  const every = Math.max(1, Math.floor(uuids.length / options.sample))
  const some = uuids.filter((_, index) => index % every === 0)
  const key = cloud.ownerKey
  return [
    { name: 'native GET', paths: some.map((uuid) => `/havn/v1/instances/${uuid}`), key, rows: 1 },
    { name: `native LIST ${LISTED}`, paths: [`/havn/v1/instances?limit=${LISTED}`], key, rows: LISTED },
    { name: 'WAYSCloud GET', paths: some.map((uuid) => `/v1/vps/${uuid}`), key, rows: 1 },
    { name: `WAYSCloud LIST ${LISTED}`, paths: ['/v1/vps'], key: body.apiKey, rows: LISTED },
  ]
}

async function accountOf(db: Db, email: string): Promise<AccountId> {
  return (await db.selectFrom('account').select('id').where('email', '=', email).executeTakeFirstOrThrow()).id
}

async function startServer(scope: Scope, which: 'ours' | 'bare', env: NodeJS.ProcessEnv): Promise<string> {
  const child = fork(new URL('api-server.ts', import.meta.url), [which], { env })
  scope.after(async () => void child.kill('SIGKILL'))
  const [url] = await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(() => Promise.reject(new Error(`the ${which} server did not start`))),
  ])
  return url as string
}

/** What ours answers is what the bare one has in its table. */
async function recordAnswers(db: Db, url: string, cases: readonly Case[]): Promise<void> {
  await db.schema
    .createTable('bench_answer')
    .addColumn('url', 'text')
    .addColumn('position', 'integer')
    .addColumn('body', 'text')
    .addPrimaryKeyConstraint('bench_answer_pkey', ['url', 'position'])
    .execute()
  const table = db.withTables<{ bench_answer: { url: string; position: number; body: string } }>()
  for (const { paths, key, rows } of cases) {
    for (const path of paths) {
      const response = await fetch(url + path, { headers: { authorization: `Bearer ${key}` } })
      const text = await response.text()
      if (response.status !== 200) throw new Error(`${path} answered ${response.status}: ${text}`)
      const size = Math.ceil(text.length / rows)
      const pieces = Array.from({ length: rows }, (_, i) => text.slice(i * size, (i + 1) * size))
      await table
        .insertInto('bench_answer')
        .values(pieces.map((body, position) => ({ url: path, position, body })))
        .execute()
    }
  }
}
