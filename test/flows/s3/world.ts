/**
 * Object storage as `up` runs it, in pieces that a test can kill: S3 server processes of their own on one home and one
 * database, and an owner with keys.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Paths, pathsOf } from '../../../src/lib/paths.ts'
import type { SigningKeys } from '../../../src/lib/sigv4-sign.ts'
import { bootstrap } from '../../../src/main/bootstrap.ts'
import { readConfig } from '../../../src/main/config.ts'
import { type AppContext, buildContext } from '../../../src/main/context.ts'
import { ensureInstallationKeys } from '../../../src/main/keys.ts'
import { S3_ENVIRONMENT, S3_NODE_FLAGS } from '../../../src/main/s3-process.ts'
import { emptyDatabase } from '../../database.ts'
import { eventually } from '../../eventually.ts'
import { freePorts } from '../../havn.ts'

export interface S3World {
  context: AppContext
  keys: SigningKeys
  servers: S3Process[]
}

export interface S3Process {
  url: string
  /** Of the living process, or of the last one. */
  readonly pid: number
  /** Returns when it answers. */
  start(): Promise<void>
  /** SIGKILL; returns when it is gone. */
  kill(): Promise<void>
}

export interface S3WorldOptions {
  servers?: number
  /** Another database than a clone of the test run's. */
  databaseUrl?: string
  env?: NodeJS.ProcessEnv
  /** What the server's command line begins with: `unshare` and its like, which end in exec. */
  wrapped?(paths: Paths): readonly string[]
}

type Ending = { after(end: () => Promise<void>): void }
const FLAGS = ['--disable-warning=ExperimentalWarning', ...S3_NODE_FLAGS]
const CHILD = join(import.meta.dirname, '../../../src/main/child.ts')

/** All servers have been started. */
export async function openS3World(t: Ending, options: S3WorldOptions = {}): Promise<S3World> {
  const home = await mkdtemp(join(tmpdir(), 'hv-s3-'))
  t.after(() => rm(home, { recursive: true, force: true }))
  const databaseUrl = options.databaseUrl ?? (await emptyDatabase(t)).url
  const env = { HAVN_HOME: home, HAVN_COMPUTE: 'simulator', HAVN_DATABASE_URL: databaseUrl, ...options.env }
  const config = readConfig({ ...env, HAVN_LISTEN: '127.0.0.1:0' })

  await ensureInstallationKeys(pathsOf(home))
  const context = await buildContext(config, 'up', { databaseUrl })
  t.after(() => context.close())
  const { credentials } = await bootstrap(context)
  const keys = {
    accessKeyId: credentials.s3AccessKeyId,
    secretAccessKey: credentials.s3SecretAccessKey,
    region: 'eu-north-1',
  }
  const ports = await freePorts(options.servers ?? 1)
  const servers = ports.map((port) => s3Process(t, port, env, options.wrapped?.(pathsOf(home)) ?? []))
  await Promise.all(servers.map((server) => server.start()))
  return { context, keys, servers }
}

function s3Process(t: Ending, port: number, settings: NodeJS.ProcessEnv, wrapped: readonly string[]): S3Process {
  let child: ChildProcess | undefined
  let output = ''
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('HAVN_') && !name.startsWith('PG'))
  const own = { ...S3_ENVIRONMENT, HAVN_S3_LISTEN: `127.0.0.1:${port}` }
  const env = { ...Object.fromEntries(inherited), ...settings, ...own }
  const isAlive = () => child !== undefined && child.exitCode === null && child.signalCode === null
  const server: S3Process = {
    url: `http://127.0.0.1:${port}`,
    get pid() {
      return child?.pid ?? 0
    },
    async start() {
      const [program, ...args] = [...wrapped, process.execPath, ...FLAGS, CHILD, `s3-${port}`]
      const started = spawn(program!, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
      child = started
      for (const stream of [started.stdout, started.stderr]) stream.on('data', (text) => (output += text))
      await eventually('the S3 server answers', () => {
        if (!isAlive()) throw new Error(`the S3 server ended: ${output}`)
        return isListening(port)
      })
    },
    async kill() {
      if (!isAlive()) return
      const ended = once(child!, 'exit')
      child!.kill('SIGKILL')
      await ended
    },
  }
  t.after(() => server.kill())
  return server
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}
