/**
 * What the control plane costs while nothing happens, and how fast it takes much at once: start time and memory of an
 * empty one; idle CPU and a full reconcile over many simulated instances; many creates at once. The control plane runs
 * in a process of its own (API and worker together), so that the asking does not count.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { createSimulator } from '../src/drivers/compute/simulator.ts'
import { type Cloud, startCloud } from '../test/cloud.ts'
import { seedFleet } from './fleet.ts'
import type { Reply, Request } from './idle-server.ts'
import {
  bench,
  cpuSeconds,
  memoryMib,
  percentile,
  postgresOf,
  printTable,
  readOptions,
  round,
  type Scope,
} from './tools.ts'

/** `settle`: after a start everything is looked at once; only then it is idle. */
const options = readOptions({ instances: 10_000, creates: 100, settle: 20, seconds: 20 })
const CREATE_LIMIT_MS = 120_000
const POLL_MS = 50

await bench(async (scope) => {
  const cloud = await startCloud(scope, { withoutWorker: true })
  const rows: [string, string, string][] = []

  const empty = await startControlPlane(scope, cloud)
  rows.push(['start of an empty control plane', `${round(empty.startMs, 0)} ms`, ''])
  rows.push(['memory of it, API and worker', `${round(memoryMib(empty.pid), 0)} MiB`, ''])
  rows.push([
    `${options.creates} creates at once, all running`,
    `${round((await createMany(empty.url, cloud)) / 1_000)} s`,
    '< 15 s',
  ])
  await empty.stop()

  const simulator = createSimulator({ folder: cloud.context.paths.simulator })
  await simulator.open()
  const { id: accountId } = await cloud.db.selectFrom('account').select('id').executeTakeFirstOrThrow()
  await seedFleet(cloud.db, { count: options.instances, accountId, simulator })
  await simulator.close()

  const full = await startControlPlane(scope, cloud)
  const fleet = `of ${options.instances} instances`
  rows.push([`start with a fleet ${fleet}`, `${round(full.startMs, 0)} ms`, ''])
  const reconciles: number[] = []
  for (let i = 0; i < 3; i++) reconciles.push((await full.ask({ reconcile: true })).ms)
  rows.push([`full reconcile ${fleet}`, `${round(percentile(reconciles, 0.5), 0)} ms`, '< 30 s'])
  await sleep(options.settle * 1_000)
  const postgres = await postgresOf(cloud.db)
  const before = { ours: cpuSeconds(full.pid), database: cpuSeconds(postgres) }
  const began = performance.now()
  await sleep(options.seconds * 1_000)
  const seconds = (performance.now() - began) / 1_000
  const ours = (cpuSeconds(full.pid) - before.ours) / seconds
  const database = (cpuSeconds(postgres) - before.database) / seconds
  rows.push([`idle CPU ${fleet}, API and worker`, `${round(ours, 3)} core`, ''])
  rows.push([`idle CPU ${fleet}, PostgreSQL`, `${round(database, 3)} core`, ''])
  rows.push([`idle CPU ${fleet}, together`, `${round(ours + database, 3)} core`, '< 0.25 core'])
  rows.push([`memory ${fleet}, API and worker`, `${round(memoryMib(full.pid), 0)} MiB`, ''])
  await full.stop()
  printTable(['idle control plane', 'measured', 'aim'], rows)
})

interface ControlPlane {
  pid: number
  url: string
  startMs: number
  ask(request: Request): Promise<Reply>
  stop(): Promise<void>
}

async function startControlPlane(scope: Scope, cloud: Cloud): Promise<ControlPlane> {
  const began = performance.now()
  const child = fork(new URL('idle-server.ts', import.meta.url), [], {
    env: {
      ...process.env,
      HAVN_HOME: cloud.config.home,
      HAVN_COMPUTE: 'simulator',
      HAVN_LISTEN: '127.0.0.1:0',
      HAVN_DATABASE_URL: cloud.context.databaseUrl,
    },
  })
  const ended = once(child, 'exit')
  scope.after(async () => void child.kill('SIGKILL'))
  const next = async (): Promise<Reply> => {
    const [reply] = await Promise.race([
      once(child, 'message'),
      ended.then(() => Promise.reject(new Error('the control plane ended'))),
    ])
    return reply as Reply
  }
  const { url } = await next()
  await fetch(`${url}/readyz`)
  return {
    pid: child.pid!,
    url,
    startMs: performance.now() - began,
    ask(request) {
      child.send(request)
      return next()
    },
    async stop() {
      child.disconnect()
      await ended
    },
  }
}

/** Milliseconds from the first request until the last instance runs. */
async function createMany(url: string, cloud: Cloud): Promise<number> {
  const headers = { authorization: `Bearer ${cloud.ownerKey}`, 'content-type': 'application/json' }
  const began = performance.now()
  const created = Array.from({ length: options.creates }, async (_, index) => {
    const body = JSON.stringify({ name: `many-${index}` })
    const response = await fetch(`${url}/havn/v1/instances`, { method: 'POST', headers, body })
    if (!response.ok) throw new Error(`a create answered ${response.status}: ${await response.text()}`)
  })
  await Promise.all(created)
  for (;;) {
    const response = await fetch(`${url}/havn/v1/instances?state=running&limit=1`, { headers })
    const { total } = (await response.json()) as { total: number }
    if (total >= options.creates) return performance.now() - began
    if (performance.now() - began > CREATE_LIMIT_MS) throw new Error(`only ${total} of ${options.creates} run`)
    await sleep(POLL_MS)
  }
}
