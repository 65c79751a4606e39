/**
 * GET one and LIST 100 of many simulated instances, in our own API and in each dialect, beside a bare Fastify server
 * (bench/bare.ts) that answers the same bytes from the same PostgreSQL. WAYSCloud's list has no pages: it is always the
 * whole account, so it is asked by an account that has 100 of them. First at a steady rate (latency), then at saturation
 * (throughput, the ratio), both servers in turns.
 */
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import type { AccountId } from '../src/model/ids.ts'
import type { Db } from '../src/store/db.ts'
import { type Cloud, startCloud } from '../test/cloud.ts'
import type { BareOptions } from './bare.ts'
import { type Seeded, seedFleet } from './fleet.ts'
import { type LoadResult, runLoad } from './load.ts'
import { bench, cpuSeconds, postgresOf, printRatio, printTable, readOptions, round, type Scope } from './tools.ts'

const options = readOptions({ instances: 25_000, seconds: 3, rounds: 3, rate: 200, connections: 32, sample: 200 })
const LISTED = 100
const LISTED_OWNER = 'hundred@example.com'

/** Where each dialect shows one instance and a hundred. Its bare peer stands in bare/. */
const DIALECTS: readonly {
  name: string
  one(instance: Seeded): string
  list: string
  /** Its list is always the whole account. */
  listsAll?: boolean
}[] = [
  { name: 'native', one: ({ uuid }) => `/havn/v1/instances/${uuid}`, list: `/havn/v1/instances?limit=${LISTED}` },
  { name: 'WAYSCloud', one: ({ uuid }) => `/v1/vps/${uuid}`, list: '/v1/vps', listsAll: true },
  {
    name: 'VPS.org',
    one: ({ number }) => `/api/v1/servers/${number}/`,
    list: `/api/v1/servers/?page=1&page_size=${LISTED}`,
  },
  {
    name: 'Leaseweb',
    one: ({ number }) => `/cloud/v2/virtualServers/${number}`,
    list: `/cloud/v2/virtualServers?limit=${LISTED}`,
  },
]

interface Case {
  name: string
  paths: string[]
  key: string
  isList: boolean
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
  const bareOptions: BareOptions = {
    databaseUrl: cloud.context.databaseUrl,
    account: await accountOf(cloud.db, cloud.credentials.email),
    total: options.instances - LISTED,
    listedAccount: await accountOf(cloud.db, LISTED_OWNER),
  }
  const database = await postgresOf(cloud.db)
  const ours = await startServer(scope, env, 'ours')
  const bare = await startServer(scope, env, 'bare', bareOptions)
  await compareAnswers(ours.url, bare.url, cases)

  const rows: (string | number)[][] = []
  const ratios: (() => void)[] = []
  for (const one of cases) {
    const at = async ({ url, pid }: Server, rate: number, seconds = options.seconds): Promise<Measured> => {
      const before = { server: cpuSeconds(pid), database: cpuSeconds(database) }
      const load = await runLoad({
        url,
        paths: one.paths,
        headers: { authorization: `Bearer ${one.key}` },
        connections: options.connections,
        rate,
        seconds,
      })
      return {
        ...load,
        serverCpu: cpuSeconds(pid) - before.server,
        databaseCpu: cpuSeconds(database) - before.database,
      }
    }
    // Until the code that runs is the compiled code; ours is more, and so takes longer.
    for (const server of [ours, bare]) await at(server, 0, 2 * options.seconds)
    const steady = await at(ours, options.rate)
    const steadyBare = await at(bare, options.rate)
    const [full, fullBare] = await inTurns(
      () => at(ours, 0),
      () => at(bare, 0),
    )
    const row = (server: string, slow: Measured, { best, serverMs, databaseMs }: Rounds) => [
      `${one.name}, ${server}`,
      ...[slow.p50Ms, slow.p95Ms].map((ms) => round(ms)),
      round(best.perSecond, 0),
      ...[best.p50Ms, best.p95Ms].map((ms) => round(ms)),
      ...[serverMs, databaseMs].map((ms) => round(ms, 2)),
      slow.errors + best.errors,
      Math.round(best.bytes / Math.max(1, best.requests)),
    ]
    rows.push(row('Havn', steady, full), row('bare', steadyBare, fullBare))
    const aim = one.isList ? '>= 0.7' : '>= 0.6'
    ratios.push(() => printRatio(one.name, full.best.perSecond, fullBare.best.perSecond, aim))
    ratios.push(() => printRatio(`${one.name}, CPU`, cpuMs(fullBare), cpuMs(full), aim))
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
      'CPU ms each',
      'database',
      'errors',
      'bytes',
    ],
    rows,
  )
  for (const print of ratios) print()
})

interface Server {
  url: string
  pid: number
}
interface Measured extends LoadResult {
  /** Seconds. */
  serverCpu: number
  databaseCpu: number
}
interface Rounds {
  best: Measured
  /** CPU time of one request, of all rounds together. */
  serverMs: number
  databaseMs: number
}
function cpuMs({ serverMs, databaseMs }: Rounds): number {
  return serverMs + databaseMs
}

/** The best round of each; a neighbour on the machine that spoils one round spoils no figure. */
async function inTurns(...runs: [() => Promise<Measured>, () => Promise<Measured>]): Promise<[Rounds, Rounds]> {
  const results: [Measured[], Measured[]] = [[], []]
  for (let turn = 0; turn < options.rounds; turn++) {
    for (const side of [0, 1] as const) results[side].push(await runs[side]())
  }
  return [summary(results[0]), summary(results[1])]
}

function summary(rounds: readonly Measured[]): Rounds {
  const total = (of: (one: Measured) => number) => rounds.reduce((sum, one) => sum + of(one), 0)
  const requests = Math.max(
    1,
    total((one) => one.requests),
  )
  return {
    best: rounds.reduce((a, b) => (b.perSecond > a.perSecond ? b : a)),
    serverMs: (total(({ serverCpu }) => serverCpu) / requests) * 1_000,
    databaseMs: (total(({ databaseCpu }) => databaseCpu) / requests) * 1_000,
  }
}

async function makeCases(cloud: Cloud): Promise<Case[]> {
  const owner = await accountOf(cloud.db, cloud.credentials.email)
  const { body } = await cloud.call<{ email: string; apiKey: string }>('POST', '/havn/v1/accounts', {
    email: LISTED_OWNER,
  })
  const fleet = await seedFleet(cloud.db, { count: options.instances - LISTED, accountId: owner })
  await seedFleet(cloud.db, { count: LISTED, accountId: await accountOf(cloud.db, LISTED_OWNER) })
  const every = Math.max(1, Math.floor(fleet.length / options.sample))
  const some = fleet.filter((_, index) => index % every === 0)
  const key = cloud.ownerKey
  return DIALECTS.flatMap(({ name, one, list, listsAll }) => [
    { name: `${name} GET`, paths: some.map(one), key, isList: false },
    { name: `${name} LIST ${LISTED}`, paths: [list], key: listsAll ? body.apiKey : key, isList: true },
  ])
}

async function accountOf(db: Db, email: string): Promise<AccountId> {
  return (await db.selectFrom('account').select('id').where('email', '=', email).executeTakeFirstOrThrow()).id
}

async function startServer(
  scope: Scope,
  env: NodeJS.ProcessEnv,
  which: 'ours' | 'bare',
  given: BareOptions | null = null,
): Promise<Server> {
  const child = fork(new URL('api-server.ts', import.meta.url), [which, JSON.stringify(given)], { env })
  scope.after(async () => void child.kill('SIGKILL'))
  const [url] = await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(() => Promise.reject(new Error(`the ${which} server did not start`))),
  ])
  return { url: url as string, pid: child.pid! }
}

/** Else the two would not have done the same work. */
async function compareAnswers(ours: string, bare: string, cases: readonly Case[]): Promise<void> {
  for (const { paths, key } of cases) {
    for (const path of paths) {
      assert.equal(await answerOf(bare + path, key), await answerOf(ours + path, key), path)
    }
  }
}

async function answerOf(url: string, key: string): Promise<string> {
  const response = await fetch(url, { headers: { authorization: `Bearer ${key}` } })
  const text = await response.text()
  if (response.status !== 200) throw new Error(`${url} answered ${response.status}: ${text}`)
  return text
}
