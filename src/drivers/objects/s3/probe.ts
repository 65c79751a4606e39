/** Tries out, on a key that nobody else knows, whether the cluster can do what the driver needs. */
import { randomBytes } from 'node:crypto'
import { CloudError } from '../../../model/errors.ts'
import type { Client } from './client.ts'
import { asCloudError, ClusterRefusal } from './failure.ts'
import { abortUpload, startUpload } from './writer.ts'
import { elements, firstText, texts } from './xml.ts'

const BODY = Buffer.from('havn tries out this cluster')
const WRONG_CRC32 = 'AAAAAA==' // that of nothing
const NAME = 'probe-'
/** A probe takes a second; an older one was left by a process that died, or by a cluster that went away. */
const STALE_MS = 3_600_000

/**
 * What it can do beyond the indispensable. Throws `unavailable` when it is away, does not let us in, or lacks one of
 * PUT, ranged GET, ListObjectsV2, DELETE and uploads in parts.
 */
export async function probe(client: Client, prefix: string): Promise<Record<string, boolean>> {
  const key = `${prefix}${NAME}${randomBytes(8).toString('hex')}`
  try {
    await client.ask({ method: 'PUT', key, body: BODY })
    const ranged = await client.ask({ method: 'GET', key, headers: { range: 'bytes=5-9' } })
    need(ranged.status === 206 && ranged.text === String(BODY.subarray(5, 10)), 'ranged GET')
    const query = [['list-type', '2'] as const, ['max-keys', '10'] as const, ['prefix', key] as const]
    const { text } = await client.ask({ method: 'GET', key: null, query })
    need(texts(text, 'Key').includes(key) && texts(text, 'Size').includes(String(BODY.length)), 'ListObjectsV2')
    try {
      await abortUpload(client, key, await startUpload(client, key))
    } catch (error) {
      need(!isLacking(error), 'uploads in parts')
      throw error
    }
    const isRefused = (headers: Record<string, string>) =>
      client.ask({ method: 'PUT', key, headers, body: BODY }).then(
        () => false,
        (error) => {
          if (error instanceof ClusterRefusal && error.status < 500) return true
          if (isLacking(error)) return false
          throw error
        },
      )
    const conditionalWrites = await isRefused({ 'if-none-match': '*' })
    const checksums = await isRefused({ 'x-amz-checksum-crc32': WRONG_CRC32 })
    await client.ask({ method: 'DELETE', key })
    const isGone = await client.ask({ method: 'HEAD', key }).then(
      () => false,
      (error) => error instanceof ClusterRefusal && error.status === 404,
    )
    need(isGone, 'DELETE')
    return { conditionalWrites, checksums }
  } catch (error) {
    await client.ask({ method: 'DELETE', key }).catch(() => {})
    throw asCloudError(error)
  }
}

/** Of processes that were killed while they tried; as far as one answer goes, and the next start takes the next ones. */
export async function removeStaleProbes(client: Client, prefix: string): Promise<void> {
  const query = [['list-type', '2'] as const, ['prefix', `${prefix}${NAME}`] as const]
  const { text } = await client.ask({ method: 'GET', key: null, query })
  for (const entry of elements(text, 'Contents')) {
    const modifiedAt = new Date(firstText(entry, 'LastModified') ?? Date.now())
    const key = firstText(entry, 'Key') ?? ''
    if (isProbe(key, prefix) && Date.now() - modifiedAt.getTime() > STALE_MS)
      await client.ask({ method: 'DELETE', key })
  }
}

export const isProbe = (key: string, prefix: string): boolean =>
  key.startsWith(prefix) && /^probe-[0-9a-f]{16}$/.test(key.slice(prefix.length))

/** Not an outage: the cluster does not know the call. */
const isLacking = (error: unknown) =>
  error instanceof ClusterRefusal && error.status !== 403 && (error.status < 500 || error.status === 501)

function need(holds: boolean, what: string): void {
  if (!holds) throw new CloudError('unavailable', `the storage cluster cannot do what Havn needs: ${what}`)
}
