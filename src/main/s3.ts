/**
 * An S3 process: the protocol's server on its own origin. It keeps no state but memories that are compared with the
 * database before anybody acts on them, so any number of them share the port.
 */
import { randomUUID } from 'node:crypto'
import { setInterval } from 'node:timers'
import { operations } from '../dialects/s3/operations.ts'
import { createS3Server, type S3Server } from '../dialects/s3/server.ts'
import { showWebsite } from '../dialects/s3/website.ts'
import { createHashing } from '../lib/hashing/hashing.ts'
import { DEFAULT_TIER } from '../model/bucket.ts'
import { describeError } from '../model/errors.ts'
import { createBackupImages } from '../services/backups/images.ts'
import { createBucketMemory } from '../services/buckets/memory.ts'
import { countTraffic } from '../services/buckets/traffic.ts'
import { createReaders } from '../services/objects/readers.ts'
import type { S3Settings } from '../services/s3-ctx.ts'
import { createSigners } from '../services/signers.ts'
import { storagePlaces } from '../services/storage-places.ts'
import { type AppContext, authority } from './context.ts'
import { readCertificate } from './tls.ts'

export interface S3 {
  /** `http://host:port`, with the port that was bound when the config says 0. */
  url: string
  /** The same over TLS, where it is configured. */
  tlsUrl: string | null
  /** Writes down what was counted so far; it happens by itself every few seconds. */
  flush(): Promise<void>
  stop(): Promise<void>
}

export interface S3Options {
  /** A line of JSON, as pino would write it: a request, or trouble. */
  log?: (line: string) => void
  /** Other processes listen on the same port. */
  sharesPort?: boolean
}

const TLS_CHECK_MS = 60_000

export async function startS3(context: AppContext, options: S3Options = {}): Promise<S3> {
  const { config, db, objects } = context
  const { storage } = config
  const log = options.log ?? (() => {})
  const warn = (message: string, error?: unknown) => {
    const chain = error === undefined ? undefined : describeError(error)
    log(JSON.stringify({ level: 40, time: new Date().toISOString(), msg: message, chain }))
  }
  await objects.open()
  const signers = createSigners(db, context.settings.masterKey, warn)
  const hashing = createHashing()
  const readers = await createReaders(db, randomUUID(), warn)
  const traffic = countTraffic(db, warn)
  const backupImages = createBackupImages({ db, objects, masterKey: context.settings.masterKey, warn })
  const server = createS3Server({
    parts: {
      db,
      objects,
      hashing,
      settings: await readSettings(context),
      buckets: createBucketMemory(db),
      reading: readers.reading,
      warn,
    },
    operations,
    showWebsite,
    backupImages,
    findKey: signers.find,
    domains: { s3: storage.domains, website: storage.websiteDomain },
    maxBodies: storage.maxBodies,
    log,
    count: traffic.count,
  })
  const isShared = options.sharesPort ?? false
  const port = await server.listen({ ...config.s3, isShared })
  const tls = await listenTls(server, storage.tls, isShared, warn)
  return {
    url: `http://${authority({ ...config.s3, port })}`,
    tlsUrl: tls && `https://${authority({ host: tls.host, port: tls.port })}`,
    flush: traffic.flush,
    async stop() {
      tls?.stop()
      await server.stop()
      await signers.stop()
      await traffic.stop()
      await hashing.close()
      await backupImages.stop()
      await readers.stop()
      await objects.close()
    },
  }
}

async function readSettings({ config, db, settings }: AppContext): Promise<S3Settings> {
  const { storage } = config
  return {
    regions: storage.regions,
    locations: await storagePlaces(db),
    defaultTier: DEFAULT_TIER,
    bucketNameReuse: storage.bucketNameReuse,
    masterKey: settings.masterKey,
    url: settings.s3Url.replace(/^https?:\/\//, ''),
    allowCustomerKeysOverHttp: storage.allowCustomerKeysOverHttp,
  }
}

/** The certificate is read again every minute, so that a renewal needs no restart. */
async function listenTls(
  server: S3Server,
  tls: AppContext['config']['storage']['tls'],
  isShared: boolean,
  warn: (message: string, error?: unknown) => void,
): Promise<{ host: string; port: number; stop(): void } | null> {
  if (!tls) return null
  let now = readCertificate(tls)
  const port = await server.listen({ host: tls.host, port: tls.port, isShared, tls: now })
  const timer = setInterval(() => {
    try {
      const next = readCertificate(tls)
      if (next.cert.equals(now.cert) && next.key.equals(now.key)) return
      server.renewTls(next)
      now = next
    } catch (error) {
      warn('the certificate stays what it was', error)
    }
  }, TLS_CHECK_MS).unref()
  return { host: tls.host, port, stop: () => clearInterval(timer) }
}
