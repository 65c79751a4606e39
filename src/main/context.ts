/** Builds everything by hand, in reading order. The processes and the tests start here. */
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ComputeDriver } from '../drivers/compute/compute.ts'
import { createQemuDriver } from '../drivers/compute/qemu/driver.ts'
import { createSimulator } from '../drivers/compute/simulator.ts'
import type { ObjectsDriver } from '../drivers/objects/objects.ts'
import type { BackupTools, ImageTools, TaskTools } from '../jobs/tools.ts'
import { type Paths, pathsOf } from '../lib/paths.ts'
import type { ServiceSettings } from '../services/ctx.ts'
import { connect, type Db } from '../store/db.ts'
import type { Config, Listen } from './config.ts'
import { createHostWork } from './host-work.ts'
import { readInstallationKeys } from './keys.ts'
import { createObjects } from './objects.ts'
import { databaseUrl } from './postgres.ts'

export interface AppContext {
  config: Config
  paths: Paths
  databaseUrl: string
  db: Db
  compute: ComputeDriver
  /** Not opened: whoever uses it does that. */
  objects: ObjectsDriver
  /** Detached work and image files of this host. */
  tasks: TaskTools
  images: ImageTools
  backups: BackupTools
  settings: ServiceSettings
  close(): Promise<void>
}

export interface Overrides {
  databaseUrl?: string
  compute?: ComputeDriver
}

export async function buildContext(
  config: Config,
  process: 'api' | 'worker' | 's3' | 'up',
  overrides: Overrides = {},
): Promise<AppContext> {
  const paths = pathsOf(config.home)
  const url = overrides.databaseUrl ?? databaseUrl(config, paths)
  const db = connect(url, { name: `havn ${process}`, max: connectionsOf(process, config) })
  const compute = overrides.compute ?? createCompute(config, paths)
  const objects = createObjects(config, paths)
  const settings = await readServiceSettings(config, paths)
  const hostWork = createHostWork(config, paths, settings.masterKey)
  return { config, paths, databaseUrl: url, db, compute, objects, ...hostWork, settings, close: () => db.destroy() }
}

const S3_CONNECTIONS_MAX = 96 // of all S3 processes together; the private PostgreSQL takes 200

function connectionsOf(process: 'api' | 'worker' | 's3' | 'up', { storage }: Config): number {
  if (process === 's3') return Math.max(4, Math.min(16, Math.floor(S3_CONNECTIONS_MAX / storage.processes)))
  return process === 'api' ? 20 : 16
}

export function createCompute(config: Config, paths: Paths): ComputeDriver {
  switch (config.compute) {
    case 'qemu':
      return createQemuDriver({ paths, prefix: config.prefix, accel: config.accel })
    case 'simulator':
      return createSimulator({ folder: paths.simulator })
    case 'incus':
      throw new Error('HAVN_COMPUTE=incus is not part of this version; use qemu or simulator')
  }
}

async function readServiceSettings(config: Config, paths: Paths): Promise<ServiceSettings> {
  const keys = await readInstallationKeys(paths)
  const { version } = JSON.parse(await readFile(join(import.meta.dirname, '../../package.json'), 'utf8')) as {
    version: string
  }
  await mkdir(paths.uploads, { recursive: true, mode: 0o700 })
  return {
    version,
    compute: config.compute,
    recoverHours: config.recoverHours,
    receiptDays: config.verify.receiptDays,
    ownSshKey: config.compute === 'simulator' ? null : keys.sshPublicKey,
    masterKey: keys.masterKey,
    apiUrl: `http://${authority(config.api)}`,
    s3Region: config.storage.regions[0],
    s3Url: config.storage.url ?? `http://${authority(config.s3)}`,
    dnsAddress: authority(config.dns),
    rsync: config.rsync && { host: reachable(config.rsync.host), port: config.rsync.port },
    uploadsFolder: paths.uploads,
  }
}

/** What a client on this machine connects to; a wildcard address is no destination. */
export function authority({ host, port }: Listen): string {
  const name = reachable(host)
  return `${name.includes(':') ? `[${name}]` : name}:${port}`
}

const reachable = (host: string): string => (host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host)
