/**
 * The supervisor: takes the home's lock, brings what is missing, and keeps the control plane running until it is told
 * to stop. Its children are PostgreSQL, the worker, the API, the S3 processes and, when wanted, rsync; machines and
 * long tasks are nobody's children and go on without it. A supervisor that was killed leaves a PostgreSQL, which the
 * next one takes over, and the others, which end by themselves or are ended here.
 */
import { join } from 'node:path'
import { createClient } from '../cli/client.ts'
import { sshLine, sshTarget } from '../cli/ssh-line.ts'
import { type Paths, pathsOf } from '../lib/paths.ts'
import { identityOf } from '../lib/process-identity.ts'
import { describeError } from '../model/errors.ts'
import * as settings from '../store/settings.ts'
import { type BootstrapResult, bootstrap } from './bootstrap.ts'
import { type Config, readConfig } from './config.ts'
import { authority, buildContext } from './context.ts'
import { endTasks } from './end-tasks.ts'
import { ensureFirstInstance, requestNextImage, waitUntilReady, waitUntilS3Answers } from './first-start.ts'
import { ensureHome } from './home.ts'
import { lockHome } from './home-lock.ts'
import { keepPostgres, type PostgresHooks } from './keep-postgres.ts'
import { type Kept, type KeptProgram, keepRunning } from './keep-running.ts'
import { ensureInstallationKeys, readInstallationKeys, sshKeyFile } from './keys.ts'
import { append, createLog, turnOverForeign } from './log.ts'
import { ensurePackages } from './packages.ts'
import { refuseTakenPort } from './port.ts'
import { createProcessTable, endStrays, type ProcessTable } from './process-table.ts'
import { openRsync, rsyncCommand, rsyncLog } from './rsync.ts'
import { S3_ENVIRONMENT, S3_NODE_FLAGS } from './s3-process.ts'
import { ensureSystemUser } from './system-user.ts'
import { readCertificate } from './tls.ts'

export interface UpOptions {
  /** Skip the first instance and the image builds. */
  isEmpty: boolean
  /** Every line of the log, for the terminal. */
  echo(line: string): void
  /** The control plane answers and, on a first start, `first` has shown its SSH banner (or could not be made). */
  settled(problem: string | null): void
}

interface Running {
  config: Config
  paths: Paths
  say(line: string): void
  /** The private PostgreSQL, once it runs. */
  database: Kept | null
  /** Those who use it. */
  clients: KeptProgram[]
  table: ProcessTable
  keep(name: 'api' | 'worker' | `s3-${number}`): KeptProgram
  keepOther(name: 'rsync', command: readonly [program: string, ...args: string[]]): KeptProgram
  hooks(name: string): PostgresHooks
}

const QEMU_USER = 'havn-qemu' // the driver's default
const LOG_CHECK_MS = 60_000

/** Runs until `signal` is aborted, then stops everything but the instances. Throws when the start fails. */
export async function up(options: UpOptions, signal: AbortSignal): Promise<void> {
  const config = readConfig(process.env)
  const paths = pathsOf(config.home)
  ensureHome(paths)
  const lock = await lockHome(paths)
  const running = prepare(config, paths, options)
  const { say, clients, table } = running
  const logTimer = setInterval(() => {
    for (const file of [join(paths.logs, 'postgres.log'), rsyncLog(paths)]) turnOverForeign(file)
  }, LOG_CHECK_MS)
  try {
    const began = performance.now()
    say(`Havn on ${paths.home}, compute ${config.compute}`)
    await endStrays(paths, say) // before our own note of processes takes the place of theirs
    table.set('havn', identityOf(process.pid)!)
    const { credentials } = await startControlPlane(running, signal)
    say(`ready at ${credentials.apiUrl} after ${((performance.now() - began) / 1000).toFixed(1)} s`)
    await settle(running, credentials, options, signal)
    await aborted(signal)
    say('stopping; instances go on running')
  } catch (error) {
    if (!signal.aborted) throw error
    say('stopping before the start was complete; the next ./havn up goes on from here')
  } finally {
    clearInterval(logTimer)
    await Promise.all(clients.map((client) => client.stop()))
    await endTasks(paths, say)
    await running.database?.stop()
    table.clear()
    lock.release()
    say('stopped')
  }
}

function prepare(config: Config, paths: Paths, options: UpOptions): Running {
  const log = createLog(paths.logs, options.echo)
  const table = createProcessTable(paths)
  const env = childEnvironment(config, paths)
  const hooks: Running['hooks'] = (name) => ({
    started: (identity) => table.set(name, identity),
    say: (line) => log.line(name, line),
  })
  const withOutput = (name: string) => ({
    ...hooks(name),
    printed(line: string) {
      append(join(paths.logs, `${name}.log`), `${new Date().toISOString()} ${line}`)
      log.line(name, line)
    },
  })
  return {
    config,
    paths,
    database: null,
    clients: [],
    table,
    hooks,
    say: (line) => log.line('havn', line),
    keep(name) {
      const isS3 = name.startsWith('s3-')
      const flags = ['--disable-warning=ExperimentalWarning', ...(isS3 ? S3_NODE_FLAGS : [])]
      const args = [...flags, join(import.meta.dirname, 'child.ts'), name]
      return keepRunning({ name, args, env: { ...env, ...(isS3 && S3_ENVIRONMENT) } }, withOutput(name))
    },
    // It reads what strangers send: it gets nothing of our environment.
    keepOther: (name, [command, ...args]) =>
      keepRunning({ name, command, args, env: { PATH: process.env.PATH, LC_ALL: 'C' } }, withOutput(name)),
  }
}

/** The children read the same settings. libpq's own variables would turn the private database's address around. */
function childEnvironment(config: Config, paths: Paths): NodeJS.ProcessEnv {
  const isPrivate = config.databaseUrl === null
  const kept = Object.entries(process.env).filter(([name]) => !(isPrivate && name.startsWith('PG')))
  return { ...Object.fromEntries(kept), HAVN_HOME: paths.home }
}

async function startControlPlane(running: Running, signal: AbortSignal): Promise<BootstrapResult> {
  const { config, paths, say, clients } = running
  await refuseTakenPort(config.api, 'HAVN_LISTEN')
  await refuseTakenPort(config.s3, 'HAVN_S3_LISTEN')
  const { tls } = config.storage
  if (tls) {
    await refuseTakenPort(tls, 'HAVN_S3_TLS_LISTEN')
    readCertificate(tls) // its processes would only say so in their logs
  }
  if (config.rsync) await refuseTakenPort(config.rsync, 'HAVN_RSYNC_LISTEN')
  const wanted = { machines: config.compute === 'qemu', rsync: config.rsync !== null }
  ensurePackages({ database: config.databaseUrl === null, ...wanted }, say)
  if (config.compute === 'qemu') ensureSystemUser(QEMU_USER)
  await ensureInstallationKeys(paths)
  // They load their code while the database starts.
  clients.push(running.keep('worker'), running.keep('api'))
  for (let number = 1; number <= config.storage.processes; number++) clients.push(running.keep(`s3-${number}`))
  if (config.rsync) {
    await openRsync(paths, (await readInstallationKeys(paths)).masterKey).open()
    clients.push(running.keepOther('rsync', rsyncCommand(paths, config.rsync)))
  }
  if (config.databaseUrl === null) {
    const place = { data: paths.database, sockets: paths.databaseSockets, log: join(paths.logs, 'postgres.log') }
    running.database = await keepPostgres(place, running.hooks('postgres'), signal)
  }
  const result = await prepareDatabase(running)
  signal.throwIfAborted()
  for (const client of clients) client.go()
  await waitUntilReady(result.credentials.apiUrl, signal)
  await waitUntilS3Answers(`http://${authority(config.s3)}`, signal)
  return result
}

async function prepareDatabase({ config, say }: Running): Promise<BootstrapResult> {
  const context = await buildContext(config, 'up')
  try {
    const result = await bootstrap(context)
    if (result.migrated.length > 0) say(`database schema: ${result.migrated.join(', ')}`)
    if (result.isFirst) say(`made the owner account ${result.credentials.email}, its keys are in credentials.json`)
    return result
  } finally {
    await context.close()
  }
}

/** The first start's own wishes, and the lines a newcomer looks for. The control plane runs on whatever happens here. */
async function settle(
  running: Running,
  credentials: BootstrapResult['credentials'],
  options: UpOptions,
  signal: AbortSignal,
): Promise<void> {
  const { say, paths } = running
  const greet = () => {
    say(`console  ${credentials.apiUrl}/`)
    options.echo(`API key  ${credentials.apiKey}`) // not into the log file: logs are handed around
  }
  if (await isFirstStartFinished(running, options.isEmpty)) {
    greet()
    options.settled(null)
    return
  }
  const first = { client: createClient(credentials), say, signal }
  try {
    const instance = await ensureFirstInstance(first)
    await finishFirstStart(running)
    const target = sshTarget(instance)
    if (target && running.config.compute !== 'simulator') say(`ssh      ${sshLine(target, sshKeyFile(paths))}`)
    greet()
    options.settled(null)
    await requestNextImage(first)
  } catch (error) {
    if (signal.aborted) throw error
    const problem = `the first instance could not be made: ${describeError(error)}`
    say(problem)
    greet()
    say('everything else runs; ./havn instance create makes one when the cause is gone')
    options.settled(problem)
  }
}

async function isFirstStartFinished(running: Running, isEmpty: boolean): Promise<boolean> {
  const context = await buildContext(running.config, 'up')
  try {
    if ((await settings.read(context.db, 'firstStart'))?.finished) return true
    if (isEmpty) await settings.write(context.db, 'firstStart', { finished: true })
    return isEmpty
  } finally {
    await context.close()
  }
}

async function finishFirstStart({ config }: Running): Promise<void> {
  const context = await buildContext(config, 'up')
  await settings.write(context.db, 'firstStart', { finished: true })
  await context.close()
}

const aborted = (signal: AbortSignal): Promise<void> =>
  signal.aborted
    ? Promise.resolve()
    : new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
