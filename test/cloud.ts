/**
 * The whole cloud in this process, on the simulator and a database of its own: what `up` starts, without the
 * supervisor. Driven over HTTP like any other; the worker can be killed and started again.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SimulatorOptions } from '../src/drivers/compute/simulator.ts'
import { createSimulator, type Simulator } from '../src/drivers/compute/simulator.ts'
import { pathsOf } from '../src/lib/paths.ts'
import { type Api, startApi } from '../src/main/api.ts'
import { bootstrap } from '../src/main/bootstrap.ts'
import { type Config, readConfig } from '../src/main/config.ts'
import { type AppContext, buildContext } from '../src/main/context.ts'
import { endTasks } from '../src/main/end-tasks.ts'
import { ensureInstallationKeys } from '../src/main/keys.ts'
import { type S3, startS3 } from '../src/main/s3.ts'
import { startWorker, type Worker } from '../src/main/worker.ts'
import type { Credentials } from '../src/services/accounts.ts'
import { type Db, execute } from '../src/store/db.ts'
import { testDatabase } from './database.ts'

export interface Cloud {
  apiUrl: string
  /** The S3 server's origin; the owner's keys are in `credentials`. */
  s3Url: string
  credentials: Credentials
  /** Of the owner, who is an operator. */
  ownerKey: string
  db: Db
  context: AppContext
  config: Config
  api: Api
  s3: S3
  /** What the S3 server logged, a JSON line each. */
  s3Log: readonly string[]
  worker: Worker
  simulator: Simulator
  /** A JSON call to the native API as the owner, or with another key. */
  call<T = Record<string, unknown>>(
    method: string,
    path: string,
    body?: unknown,
    key?: string | null,
  ): Promise<Reply<T>>
  /** Moves the cloud's clock on. */
  advance(ms: number): Promise<void>
  close(): Promise<void>
}

export interface Reply<T> {
  status: number
  headers: Headers
  body: T
}

export interface CloudOptions {
  env?: NodeJS.ProcessEnv
  simulator?: Partial<SimulatorOptions>
  /** Without a worker, for what only the API does. */
  withoutWorker?: boolean
}

export async function startCloud(
  t: { after(fn: () => Promise<void>): void },
  options: CloudOptions = {},
): Promise<Cloud> {
  const cleanups: (() => Promise<void>)[] = []
  const { url: databaseUrl } = await testDatabase({ after: (fn) => void cleanups.push(fn) })
  const home = await mkdtemp(join(tmpdir(), 'havn-test-'))
  const config = readConfig({
    HAVN_HOME: home,
    HAVN_COMPUTE: 'simulator',
    HAVN_LISTEN: '127.0.0.1:0',
    HAVN_S3_LISTEN: '127.0.0.1:0',
    HAVN_VERIFY: 'off', // nothing happens by itself that a test does not want
    ...options.env,
  })
  const paths = pathsOf(home)
  await mkdir(paths.simulator, { recursive: true })
  await ensureInstallationKeys(paths)
  const simulator = createSimulator({ folder: paths.simulator, ...options.simulator })
  const context = await buildContext(config, 'api', { databaseUrl, compute: simulator })
  const { credentials } = await bootstrap(context)
  const worker = options.withoutWorker ? null : await startWorker(context, { log: () => {} })
  const api = await startApi(context, { checksAnswers: true })

  const s3Log: string[] = []
  const s3 = await startS3(context, { log: (line) => void s3Log.push(line) })
  // Nobody knows the port before.
  context.settings.s3Url = s3.url

  const cloud: Cloud = {
    apiUrl: api.url,
    s3Url: s3.url,
    s3Log,
    credentials: { ...credentials, s3Url: s3.url },
    ownerKey: credentials.apiKey,
    db: context.db,
    context,
    config,
    api,
    s3,
    worker: worker as Worker,
    simulator,
    async call<T>(method: string, path: string, body?: unknown, key: string | null = credentials.apiKey) {
      const response = await fetch(api.url + path, {
        method,
        headers: {
          ...(key === null ? {} : { authorization: `Bearer ${key}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const text = await response.text()
      return { status: response.status, headers: response.headers, body: (text ? JSON.parse(text) : null) as T }
    },
    advance: (ms) => execute(context.db, `UPDATE clock SET time_offset = time_offset + interval '${ms} ms'`),
    async close() {
      await s3.stop()
      await api.stop()
      await cloud.worker?.stop()
      await endTasks(paths, () => {}) // a backup under way writes into the home
      await context.close()
      for (const clean of cleanups) await clean()
      await rm(home, { recursive: true, force: true })
    },
  }
  t.after(() => cloud.close())
  return cloud
}
