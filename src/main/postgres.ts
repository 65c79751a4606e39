/**
 * The private PostgreSQL: a real server with its own data folder that only Havn uses. It listens on a unix socket in
 * a folder that only its user may enter (that folder is the authentication), never on TCP, and it runs unprivileged.
 *
 * It outlives a killed supervisor on purpose: a server that is told to stop by nobody must not lose its connections.
 * The next start finds it by `postmaster.pid` and takes it over; a second server on the same folder never runs.
 * fsync and synchronous_commit stay on: what was answered was written. Callers see a URL and a promise of its end.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import {
  closeSync,
  existsSync,
  fsyncSync,
  globSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { ensureFolder } from '../lib/folders.ts'
import type { Paths } from '../lib/paths.ts'
import { identityOf, isAlive, type ProcessIdentity, processLink, signalProcess } from '../lib/process-identity.ts'
import { waitFor } from '../lib/wait.ts'
import type { Config } from './config.ts'
import { findPostgres, type PostgresBinaries } from './postgres-binaries.ts'
import { ensureSystemUser, type SystemUser } from './system-user.ts'

export interface PostgresPlace {
  /** The data folder; made when missing. Its parent exists. */
  data: string
  /** Folder of the socket: short, ours alone. Its parent exists. */
  sockets: string
  /** Where the server's own messages are appended. */
  log: string
  /** False for tests only: nothing is synced, a power cut loses everything. */
  durable?: boolean
}

export interface Postgres {
  /** For `connect()`. */
  url: string
  process: ProcessIdentity
  /** It ran already. */
  adopted: boolean
  major: number
  /** Settles when the server has ended, for whatever reason. */
  ended: Promise<void>
  /** Fast shutdown, then an immediate one; returns when it has ended. */
  stop(): Promise<void>
}

const SYSTEM_USER = 'havn-postgres'
const DATABASE = 'havn'
const FAST_STOP_MS = 10_000
const READY_MS = 600_000 // recovery after a power cut replays the log since the last checkpoint, at most 1 GiB by default
// After a kill -9 the old server's own children need a moment to see it; until then a new one refuses to start.
const PREDECESSOR_MS = 8_000
const PREDECESSOR_EVERY_MS = 100
const SETTINGS = {
  listen_addresses: '',
  unix_socket_permissions: '0700',
  max_connections: '200',
  log_min_messages: 'warning',
  log_line_prefix: '%m [%p] ',
  // Those who wait on a lock this long are a bug worth a line.
  log_lock_waits: 'on',
}
const NOT_DURABLE = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '500' }

/** Where the database is: the cluster that HAVN_DATABASE_URL names, or the private server under the home. */
export const databaseUrl = (config: Pick<Config, 'databaseUrl'>, paths: Paths): string =>
  config.databaseUrl ?? urlOf(paths.databaseSockets, DATABASE)

/** Starts the server, or takes over the one that runs on this folder, and returns once a connection succeeds. */
export async function startPostgres(place: PostgresPlace, signal?: AbortSignal): Promise<Postgres> {
  const user = ensureSystemUser(SYSTEM_USER)
  ensureFolder(place.sockets, { mode: 0o700, owner: user })
  const binaries = binariesFor(place.data)
  if (!existsSync(place.data)) await createCluster(place, binaries, user)

  const running = runningServer(place.data)
  if (running) {
    const adopted = await adopt(running, place, binaries.major, signal)
    if (adopted) return adopted
  }
  const end = performance.now() + PREDECESSOR_MS
  for (;;) {
    disownZombie(place.data)
    const child = spawnServer(place, binaries, user)
    const server = handle(await identityOfChild(child), place, binaries.major, false, endOfChild(child))
    try {
      await becomeReady(server, place, signal)
      return server
    } catch (error) {
      const isDead = !isAlive(server.process)
      await server.stop() // it is nobody's yet
      signal?.throwIfAborted()
      if (!isDead || performance.now() > end) throw error
      await delay(PREDECESSOR_EVERY_MS, undefined, { signal })
    }
  }
}

/** The programs that fit the data folder, or the newest for a folder that is still to be made. */
function binariesFor(data: string): PostgresBinaries {
  const versionFile = join(data, 'PG_VERSION')
  const made = existsSync(versionFile) ? Number(readFileSync(versionFile, 'utf8').trim()) : undefined
  const binaries = findPostgres(made)
  if (binaries) return binaries
  const newest = findPostgres()
  if (!newest) throw new Error('PostgreSQL is missing; on Debian: apt-get install --no-install-recommends postgresql')
  throw new Error(
    `the database in ${data} was made by PostgreSQL ${made}, and this machine has only PostgreSQL ${newest.major}: ` +
      `install version ${made} beside it (on Debian: apt-get install postgresql-${made}), or move the data with ` +
      'pg_dump on a machine that has the old version',
  )
}

/** Made aside and renamed: a folder with the final name is always a whole cluster. */
async function createCluster(
  { data, durable = true }: PostgresPlace,
  binaries: PostgresBinaries,
  user: SystemUser | undefined,
): Promise<void> {
  for (const left of globSync(`${data}.new-*`)) rmSync(left, { recursive: true, force: true })
  const fresh = `${data}.new-${process.pid}`
  ensureFolder(fresh, { mode: 0o700, owner: user })
  const args = ['-D', fresh, '-U', 'havn', '-A', 'trust', '--locale=C.UTF-8', '--encoding=UTF8', '--data-checksums']
  const child = spawn(join(binaries.folder, 'initdb'), durable ? args : [...args, '--no-sync'], {
    ...user,
    cwd: '/',
    env: serverEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (output += data))
  const code = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve))
  if (code !== 0) {
    rmSync(fresh, { recursive: true, force: true })
    if (output.includes('No space left on device')) {
      throw new Error(`the disk under ${dirname(data)} is full: free some space, or choose another HAVN_HOME`)
    }
    throw new Error(`initdb could not make the database in ${dirname(data)}:\n${output.trim()}`)
  }
  renameSync(fresh, data)
  const parent = openSync(dirname(data), 'r')
  fsyncSync(parent)
  closeSync(parent)
}

interface RunningServer extends ProcessIdentity {
  sockets: string
}

/**
 * The server that holds the data folder, if one lives. `postmaster.pid` (its own file: pid, data folder, start time,
 * port, socket folder, one a line) may be stale and its pid somebody else's, so the process has to look like it too:
 * the postgres program, working in that folder.
 */
function runningServer(data: string): RunningServer | null {
  const file = join(data, 'postmaster.pid')
  if (!existsSync(file)) return null
  const lines = readFileSync(file, 'utf8').split('\n')
  const identity = identityOf(Number(lines[0]))
  if (!identity) return null
  const program = basename(processLink(identity.pid, 'exe') ?? '').replace(/ \(deleted\)$/, '')
  if (program !== 'postgres' || processLink(identity.pid, 'cwd') !== data) return null
  return { ...identity, sockets: lines[4] ?? '' }
}

/**
 * PostgreSQL asks by signal 0 whether the process in its pid file lives, and a zombie answers; where nobody reaps, that
 * is for ever. It does not mind its own parent there, so the line gets our pid. The file stays: its other lines let
 * PostgreSQL see that the dead one's children have let go of the shared memory.
 */
function disownZombie(data: string): void {
  const file = join(data, 'postmaster.pid')
  if (!existsSync(file)) return
  const [pid, ...rest] = readFileSync(file, 'utf8').split('\n')
  if (identityOf(Number(pid)) !== null || !existsSync(`/proc/${pid}`)) return
  writeFileSync(file, [process.pid, ...rest].join('\n'))
}

/** Takes it over when it can be reached where we would have put it; otherwise stops it, and null says start anew. */
async function adopt(
  running: RunningServer,
  place: PostgresPlace,
  major: number,
  signal?: AbortSignal,
): Promise<Postgres | null> {
  const ended = endOfStranger(running)
  const server = handle(running, place, major, true, ended)
  if (running.sockets === place.sockets && existsSync(join(place.sockets, '.s.PGSQL.5432'))) {
    try {
      await becomeReady(server, place, signal)
      return server
    } catch {
      // It stopped while we looked, or hangs: a fresh one is the cure.
    }
  }
  await server.stop()
  return null
}

function spawnServer(place: PostgresPlace, binaries: PostgresBinaries, user: SystemUser | undefined): ChildProcess {
  const settings = { ...SETTINGS, unix_socket_directories: place.sockets, ...(place.durable === false && NOT_DURABLE) }
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const log = openSync(place.log, 'a', 0o600)
  try {
    // Its own session: Ctrl-C in the terminal is for the supervisor, who stops the clients first.
    const child = spawn(join(binaries.folder, 'postgres'), ['-D', place.data, ...args], {
      ...user,
      cwd: '/',
      env: serverEnvironment(),
      detached: true,
      stdio: ['ignore', log, log],
    })
    child.unref() // whoever waits for its end says so; by itself it keeps nobody from leaving
    return child
  } finally {
    closeSync(log)
  }
}

/** Nothing of the caller's PG… variables or language may leak in. */
const serverEnvironment = () => ({ PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C.UTF-8', TZ: 'UTC' })

function handle(
  identity: ProcessIdentity,
  place: PostgresPlace,
  major: number,
  adopted: boolean,
  ended: Promise<void>,
): Postgres {
  return {
    url: urlOf(place.sockets, DATABASE),
    process: identity,
    adopted,
    major,
    ended,
    async stop() {
      signalProcess(identity, 'SIGINT')
      const harder = setInterval(() => signalProcess(identity, 'SIGQUIT'), FAST_STOP_MS)
      await ended
      clearInterval(harder)
    },
  }
}

const urlOf = (sockets: string, database: string): string =>
  `postgres:///${database}?host=${encodeURIComponent(sockets)}&user=havn`

/** Waits for a connection, then sees to it that our database is there. */
async function becomeReady(server: Postgres, place: PostgresPlace, signal?: AbortSignal): Promise<void> {
  let dead = false
  void server.ended.then(() => (dead = true))
  const client = await waitFor(
    async () => {
      if (dead) throw new Error(`PostgreSQL ended while starting:\n${lastLines(place.log)}`)
      const attempt = new pg.Client({
        connectionString: urlOf(place.sockets, 'postgres'),
        connectionTimeoutMillis: 5_000,
      })
      attempt.on('error', () => {})
      return attempt.connect().then(() => attempt, () => null) // biome-ignore format: a pair
    },
    { timeoutMs: READY_MS, everyMs: 20, signal },
  )
  if (!client) throw new Error(`PostgreSQL takes no connections; its log is ${place.log}`)
  try {
    const { rows } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [DATABASE])
    if (rows.length === 0) await client.query(`CREATE DATABASE ${DATABASE}`)
  } finally {
    await client.end()
  }
}

async function identityOfChild(child: ChildProcess): Promise<ProcessIdentity> {
  if (child.pid === undefined) {
    throw await new Promise<Error>((resolve) => child.once('error', resolve))
  }
  return identityOf(child.pid) ?? { pid: child.pid, startTime: 'ended', bootId: '' }
}

const endOfChild = (child: ChildProcess): Promise<void> => new Promise((resolve) => child.once('exit', () => resolve()))

/** The end of a process that is not our child: there is nothing to wait on but to look. */
async function endOfStranger(identity: ProcessIdentity): Promise<void> {
  await waitFor(() => !isAlive(identity), { timeoutMs: Number.POSITIVE_INFINITY, everyMs: 200 })
}

function lastLines(file: string): string {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-8).join('\n')
  } catch {
    return '(no log)'
  }
}
