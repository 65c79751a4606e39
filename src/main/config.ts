/**
 * Environment to typed config, read once. Nothing else in the project looks at `process.env` for settings; every
 * variable stands in the README's table.
 */
import { createHash } from 'node:crypto'
import { availableParallelism, homedir } from 'node:os'
import { resolve } from 'node:path'
import { z } from 'zod'

export interface Listen {
  host: string
  port: number
}

export interface Config {
  /** All state lives under it. */
  home: string
  /** Four hex digits of the home's path: what two Havns on one machine put into interface, rule and cgroup names. */
  prefix: string
  api: Listen
  s3: Listen
  dns: Listen
  /** Null: no file backups by rsync. */
  rsync: Listen | null
  /** Null: the private PostgreSQL that `up` supervises. */
  databaseUrl: string | null
  compute: 'qemu' | 'simulator' | 'incus'
  accel: 'auto' | 'kvm' | 'tcg'
  catalogFile: string | null
  /** vCPUs sold per core. */
  cpuRatio: number
  /** Memory sold per MiB of the host; 1 = never overcommitted. */
  memoryRatio: number
  /** No new instance once this part of the disk is full. */
  diskHighWater: number
  /** How long a deleted instance keeps disk and addresses. */
  recoverHours: number
  /** A released address is given to nobody else before. */
  quarantineMinutes: number
  /** ACPI shutdown, then power off. */
  shutdownSeconds: number
  /** What no backup is made of any more stays as long in the store. */
  backupGraceMinutes: number
  verify: VerifyConfig
  limits: { perKey: number; perKeyBurst: number; createsPerKey: number; failedLoginsPerMinute: number }
  storage: StorageConfig
  /** How long measurements are kept; days and months of them for ever. */
  metrics: { sampleHours: number; fiveMinuteDays: number; hourDays: number }
}

export interface VerifyConfig {
  /** Backups are proved on a schedule, not only when somebody asks. */
  isScheduled: boolean
  /** How long a passed receipt proves its backup. */
  receiptDays: number
}

export interface StorageConfig {
  /** What S3 clients sign with: ours, then those we accept as well. */
  regions: readonly [string, ...string[]]
  /** Base domains of virtual-hosted buckets. */
  domains: readonly string[]
  websiteDomain: string
  /** What credentials tell clients to connect to; null = the address we listen on. */
  url: string | null
  processes: number
  tls: (Listen & { certFile: string; keyFile: string }) | null
  /** Bodies under way at a time, in each process. */
  maxBodies: number
  objects: { driver: 'filesystem' } | ({ driver: 's3' } & ClusterConfig)
  bucketNameReuse: 'never' | 'owner'
  /** How often lifecycle rules are applied. */
  lifecycleMinutes: number
  allowCustomerKeysOverHttp: boolean
}

/** An S3-compatible cluster that keeps the bytes. */
export interface ClusterConfig {
  endpoint: string
  region: string
  bucket: string
  prefix: string
  accessKeyId: string
  secretAccessKey: string
}

const PROCESSES_MAX = 8
const list = (fallback: string) =>
  z
    .string()
    .default(fallback)
    .transform((text) =>
      text
        .split(',')
        .map((one) => one.trim().toLowerCase())
        .filter((one) => one !== ''),
    )
    .refine((items) => items.length > 0, 'names nothing')

const authority = (example: string) =>
  z.string().transform((text, context) => {
    const match = /^(?:\[([0-9a-f:.]+)\]|([^:\s]+)):(\d{1,5})$/i.exec(text)
    const port = Number(match?.[3])
    if (match && port <= 65_535) return { host: (match[1] ?? match[2]) as string, port }
    context.addIssue({ code: 'custom', message: `${JSON.stringify(text)} is not HOST:PORT, for example ${example}` })
    return z.NEVER
  })
const listen = (fallback: string) => z.string().default(fallback).pipe(authority(fallback))
const number = (fallback: number, min: number, max: number) => z.coerce.number().min(min).max(max).default(fallback)

const Environment = z.object({
  HAVN_HOME: z.string().min(1).optional(),
  HAVN_LISTEN: listen('127.0.0.1:8080'),
  HAVN_S3_LISTEN: listen('127.0.0.1:9000'),
  HAVN_DNS_LISTEN: listen('127.0.0.1:5354'),
  HAVN_RSYNC_LISTEN: authority('127.0.0.1:8730').optional(),
  HAVN_DATABASE_URL: z.string().min(1).optional(),
  HAVN_COMPUTE: z.enum(['qemu', 'simulator', 'incus']).default('qemu'),
  HAVN_ACCEL: z.enum(['auto', 'kvm', 'tcg']).default('auto'),
  HAVN_CATALOG: z.string().min(1).optional(),
  HAVN_CPU_RATIO: number(8, 0.1, 1000),
  HAVN_MEMORY_RATIO: number(1, 0.1, 100),
  HAVN_DISK_HIGH_WATER: number(0.9, 0.05, 1),
  HAVN_RECOVER_HOURS: number(12, 0, 8760),
  HAVN_QUARANTINE_MINUTES: number(10, 0, 525_600),
  HAVN_SHUTDOWN_SECONDS: number(60, 1, 3600),
  HAVN_BACKUP_GRACE_MINUTES: number(60, 0, 525_600),
  HAVN_VERIFY: z.enum(['on', 'off']).default('on'),
  HAVN_RECEIPT_DAYS: number(30, 1, 3650),
  HAVN_RATE_PER_KEY: number(1000, 1, 1e9),
  HAVN_RATE_PER_KEY_BURST: number(2000, 1, 1e9),
  HAVN_RATE_CREATES: number(100, 1, 1e9),
  HAVN_RATE_FAILED_LOGINS: number(10, 1, 1e9),
  HAVN_S3_REGION: list('eu-north-1'),
  HAVN_S3_DOMAIN: list('localhost,s3.localhost'),
  HAVN_S3_WEBSITE_DOMAIN: z.string().default('website.localhost'),
  HAVN_S3_URL: z.url({ protocol: /^https?$/ }).optional(),
  HAVN_S3_PROCESSES: number(Math.min(availableParallelism(), PROCESSES_MAX), 1, 64).pipe(z.int()),
  HAVN_S3_TLS_LISTEN: listen('127.0.0.1:9443'),
  HAVN_S3_TLS_CERT: z.string().optional(),
  HAVN_S3_TLS_KEY: z.string().optional(),
  HAVN_S3_MAX_BODIES: number(512, 1, 100_000).pipe(z.int()),
  HAVN_OBJECTS: z.enum(['filesystem', 's3']).default('filesystem'),
  HAVN_OBJECTS_S3_ENDPOINT: z.url({ protocol: /^https?$/ }).optional(),
  HAVN_OBJECTS_S3_REGION: z.string().default('us-east-1'),
  HAVN_OBJECTS_S3_BUCKET: z.string().optional(),
  HAVN_OBJECTS_S3_PREFIX: z.string().default(''),
  HAVN_OBJECTS_S3_ACCESS_KEY_ID: z.string().optional(),
  HAVN_OBJECTS_S3_SECRET_ACCESS_KEY: z.string().optional(),
  HAVN_BUCKET_NAME_REUSE: z.enum(['never', 'owner']).default('never'),
  HAVN_LIFECYCLE_MINUTES: number(60, 0.01, 1440),
  HAVN_SSE_C_OVER_HTTP: z.enum(['no', 'yes']).default('no'),
  HAVN_METRICS_SAMPLE_HOURS: number(2, 1, 168),
  HAVN_METRICS_5MIN_DAYS: number(400, 1, 3660),
  HAVN_METRICS_HOUR_DAYS: number(730, 1, 36_600),
})

/** A setting is wrong; the message says which and how. */
export class ConfigError extends Error {}

/** Throws a `ConfigError` whose message names each wrong variable. An empty variable counts as unset. */
export function readConfig(env: NodeJS.ProcessEnv, isRoot = process.getuid?.() === 0): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''))
  const parsed = Environment.safeParse(given)
  if (!parsed.success) {
    throw new ConfigError(parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('\n'))
  }
  const e = parsed.data
  const home = resolve(e.HAVN_HOME ?? (isRoot ? '/var/lib/havn' : `${homedir()}/.havn`))
  if (e.HAVN_RSYNC_LISTEN?.port === 0) throw new ConfigError('HAVN_RSYNC_LISTEN: name a port, clients are told it')
  // Of rsyncd.conf(5): a value has no quotes; it ends with the line, and `%` and backslashes mean something in it.
  if (e.HAVN_RSYNC_LISTEN && !/^[\w./@+:,=~-]+$/.test(home)) {
    throw new ConfigError(`HAVN_RSYNC_LISTEN: the rsync server needs a HAVN_HOME of plain letters, not ${home}`)
  }
  return {
    home,
    prefix: createHash('sha256').update(home).digest('hex').slice(0, 4),
    api: e.HAVN_LISTEN,
    s3: e.HAVN_S3_LISTEN,
    dns: e.HAVN_DNS_LISTEN,
    rsync: e.HAVN_RSYNC_LISTEN ?? null,
    databaseUrl: e.HAVN_DATABASE_URL ?? null,
    compute: e.HAVN_COMPUTE,
    accel: e.HAVN_ACCEL,
    catalogFile: e.HAVN_CATALOG ?? null,
    cpuRatio: e.HAVN_CPU_RATIO,
    memoryRatio: e.HAVN_MEMORY_RATIO,
    diskHighWater: e.HAVN_DISK_HIGH_WATER,
    recoverHours: e.HAVN_RECOVER_HOURS,
    quarantineMinutes: e.HAVN_QUARANTINE_MINUTES,
    shutdownSeconds: e.HAVN_SHUTDOWN_SECONDS,
    backupGraceMinutes: e.HAVN_BACKUP_GRACE_MINUTES,
    verify: { isScheduled: e.HAVN_VERIFY === 'on', receiptDays: e.HAVN_RECEIPT_DAYS },
    limits: {
      perKey: e.HAVN_RATE_PER_KEY,
      perKeyBurst: e.HAVN_RATE_PER_KEY_BURST,
      createsPerKey: e.HAVN_RATE_CREATES,
      failedLoginsPerMinute: e.HAVN_RATE_FAILED_LOGINS,
    },
    storage: storageOf(e),
    metrics: {
      sampleHours: e.HAVN_METRICS_SAMPLE_HOURS,
      fiveMinuteDays: e.HAVN_METRICS_5MIN_DAYS,
      hourDays: e.HAVN_METRICS_HOUR_DAYS,
    },
  }
}

/** What a detached task needs of the settings, as the environment that `readConfig` reads. */
export function taskEnvironment({ home, storage: { objects } }: Config): NodeJS.ProcessEnv {
  if (objects.driver === 'filesystem') return { HAVN_HOME: home, HAVN_OBJECTS: 'filesystem' }
  return {
    HAVN_HOME: home,
    HAVN_OBJECTS: 's3',
    HAVN_OBJECTS_S3_ENDPOINT: objects.endpoint,
    HAVN_OBJECTS_S3_REGION: objects.region,
    HAVN_OBJECTS_S3_BUCKET: objects.bucket,
    HAVN_OBJECTS_S3_PREFIX: objects.prefix,
    HAVN_OBJECTS_S3_ACCESS_KEY_ID: objects.accessKeyId,
    HAVN_OBJECTS_S3_SECRET_ACCESS_KEY: objects.secretAccessKey,
  }
}

function storageOf(e: z.infer<typeof Environment>): StorageConfig {
  return {
    regions: e.HAVN_S3_REGION as [string, ...string[]],
    domains: e.HAVN_S3_DOMAIN,
    websiteDomain: e.HAVN_S3_WEBSITE_DOMAIN.toLowerCase(),
    url: e.HAVN_S3_URL?.replace(/\/+$/, '') ?? null,
    processes: e.HAVN_S3_PROCESSES,
    tls: tlsOf(e),
    maxBodies: e.HAVN_S3_MAX_BODIES,
    objects: objectsOf(e),
    bucketNameReuse: e.HAVN_BUCKET_NAME_REUSE,
    lifecycleMinutes: e.HAVN_LIFECYCLE_MINUTES,
    allowCustomerKeysOverHttp: e.HAVN_SSE_C_OVER_HTTP === 'yes',
  }
}

function tlsOf(e: z.infer<typeof Environment>): StorageConfig['tls'] {
  const [certFile, keyFile] = [e.HAVN_S3_TLS_CERT, e.HAVN_S3_TLS_KEY]
  if (certFile === undefined && keyFile === undefined) return null
  if (certFile === undefined || keyFile === undefined) {
    throw new ConfigError('HAVN_S3_TLS_CERT and HAVN_S3_TLS_KEY name a certificate and its key: set both or none')
  }
  return { ...e.HAVN_S3_TLS_LISTEN, certFile: resolve(certFile), keyFile: resolve(keyFile) }
}

function objectsOf(e: z.infer<typeof Environment>): StorageConfig['objects'] {
  if (e.HAVN_OBJECTS === 'filesystem') return { driver: 'filesystem' }
  const need = (name: keyof typeof e & `HAVN_OBJECTS_S3_${string}`): string => {
    const value = e[name]
    if (value === undefined) throw new ConfigError(`${name}: HAVN_OBJECTS=s3 needs it`)
    return value
  }
  return {
    driver: 's3',
    endpoint: need('HAVN_OBJECTS_S3_ENDPOINT').replace(/\/+$/, ''),
    region: need('HAVN_OBJECTS_S3_REGION'),
    bucket: need('HAVN_OBJECTS_S3_BUCKET'),
    prefix: need('HAVN_OBJECTS_S3_PREFIX'),
    accessKeyId: need('HAVN_OBJECTS_S3_ACCESS_KEY_ID'),
    secretAccessKey: need('HAVN_OBJECTS_S3_SECRET_ACCESS_KEY'),
  }
}
