/**
 * Blobs as objects of one bucket of an S3-compatible cluster: `<prefix><32 hex>`. Names, permissions and listings of
 * our clients stay in our database; the cluster sees random keys and one account.
 */
import { randomBytes } from 'node:crypto'
import type { BlobId, ObjectsDriver, StoredBlob } from './objects.ts'
import { type ClusterOptions, createClient } from './s3/client.ts'
import { asCloudError, ClusterRefusal } from './s3/failure.ts'
import { isProbe, probe, removeStaleProbes } from './s3/probe.ts'
import { openReader } from './s3/reader.ts'
import { abortUpload, createWriter } from './s3/writer.ts'
import { elements, firstText } from './s3/xml.ts'

export type S3ObjectsOptions = ClusterOptions

const PREFIX = /^[A-Za-z0-9/_.-]*$/ // needs neither encoding nor escaping anywhere
const BLOB_ID = /^[0-9a-f]{32}$/
const PAGE_KEYS = 1000 // fixed by the S3 API
const AT_ONCE = 8
/** No upload of ours takes as long; an older one was left by a process that died. */
const STALE_UPLOAD_MS = 48 * 3_600_000

export function createS3Objects(options: S3ObjectsOptions): ObjectsDriver {
  const { prefix } = options
  if (!PREFIX.test(prefix)) throw new Error(`${JSON.stringify(prefix)} cannot be the prefix of keys`)
  const client = createClient(options)
  const abilities: Record<string, boolean> = {}
  const keyOf = (id: BlobId): string => {
    if (!BLOB_ID.test(id)) throw new Error(`${JSON.stringify(id)} cannot name a blob`)
    return prefix + id
  }

  return {
    name: 's3',
    abilities,
    async open() {
      Object.assign(abilities, await probe(client, prefix))
      await abortStaleUploads()
      // What the cluster does not let us list or remove stays; everything else works.
      await removeStaleProbes(client, prefix).catch((error) => {
        if (!(error instanceof ClusterRefusal)) throw asCloudError(error)
      })
    },
    async close() {
      client.close()
    },
    async create(sizeBytes) {
      const id = randomBytes(16).toString('hex')
      return createWriter(client, keyOf(id), id, sizeBytes)
    },
    async read(id, start, length) {
      return openReader(client, keyOf(id), id, start, length)
    },
    async remove(ids) {
      const left = ids.values()
      const errors: unknown[] = []
      const walk = async () => {
        for (const id of left) await removeOne(id).catch((error) => errors.push(error))
      }
      await Promise.all(Array.from({ length: Math.min(AT_ONCE, ids.length) }, walk))
      if (errors.length > 0) throw errors[0]
    },
    list,
    freeBytes: async () => null,
  }

  async function removeOne(id: BlobId): Promise<void> {
    await client.ask({ method: 'DELETE', key: keyOf(id) }).catch((error) => {
      const isAbsent = error instanceof ClusterRefusal && error.status === 404 && error.code !== 'NoSuchBucket'
      if (!isAbsent) throw asCloudError(error)
    })
  }

  async function* list(signal?: AbortSignal): AsyncGenerator<StoredBlob> {
    let token: string | undefined
    do {
      signal?.throwIfAborted()
      const query: [string, string][] = [
        ['list-type', '2'],
        ['max-keys', String(PAGE_KEYS)],
        ['prefix', prefix],
      ]
      if (token !== undefined) query.push(['continuation-token', token])
      const { text } = await client.ask({ method: 'GET', key: null, query }).catch((error) => {
        throw asCloudError(error)
      })
      for (const entry of elements(text, 'Contents')) {
        const id = (firstText(entry, 'Key') ?? '').slice(prefix.length)
        const sizeBytes = Number(firstText(entry, 'Size'))
        if (BLOB_ID.test(id)) yield { id, sizeBytes, modifiedAt: new Date(firstText(entry, 'LastModified') ?? 0) }
      }
      token = firstText(text, 'IsTruncated') === 'true' ? firstText(text, 'NextContinuationToken') : undefined
    } while (token !== undefined)
  }

  /** As far as one answer goes: an upload in parts is rare, and the next start takes the next ones. */
  async function abortStaleUploads(): Promise<void> {
    try {
      const { text } = await client.ask({
        method: 'GET',
        key: null,
        query: [
          ['prefix', prefix],
          ['uploads', ''],
        ],
      })
      for (const upload of elements(text, 'Upload')) {
        const key = firstText(upload, 'Key') ?? ''
        const startedAt = new Date(firstText(upload, 'Initiated') ?? Date.now())
        const isOurs = (key.startsWith(prefix) && BLOB_ID.test(key.slice(prefix.length))) || isProbe(key, prefix)
        if (!isOurs || Date.now() - startedAt.getTime() < STALE_UPLOAD_MS) continue
        await abortUpload(client, key, firstText(upload, 'UploadId') ?? '')
      }
      abilities.listsUploads = true
    } catch (error) {
      // The cluster keeps what it cannot list; everything else works without.
      if (!(error instanceof ClusterRefusal)) throw asCloudError(error)
      abilities.listsUploads = false
    }
  }
}
