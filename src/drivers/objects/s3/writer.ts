/**
 * Writes a blob to the cluster: one PUT where the size is known, else parts that are gathered in memory. What fails is
 * taken back: an upload in parts is aborted, and a key that may have come into being is deleted.
 */
import type { BlobId, BlobWriter } from '../objects.ts'
import type { Client } from './client.ts'
import { asCloudError } from './failure.ts'
import { openUpload } from './upload.ts'
import { firstText } from './xml.ts'

const MIB = 1024 * 1024
const PUT_MAX_BYTES = 5 * 1024 * MIB // S3 API, PutObject
const PART_BYTES = 5 * MIB // the smallest that S3 allows; 10,000 of them are far beyond what one blob takes

export function createWriter(client: Client, key: string, id: BlobId, sizeBytes: number | null): Promise<BlobWriter> {
  const isSingle = sizeBytes !== null && sizeBytes <= PUT_MAX_BYTES
  return isSingle ? createSingle(client, key, id, sizeBytes) : Promise.resolve(createParts(client, key, id, sizeBytes))
}

async function createSingle(client: Client, key: string, id: BlobId, sizeBytes: number): Promise<BlobWriter> {
  const upload = await translated(() => openUpload(client, { method: 'PUT', key }, sizeBytes))
  let written = 0
  let isFinished = false
  let isDiscarded = false
  return {
    id,
    async write(bytes) {
      if (isDiscarded) throw new Error(`blob ${id} was discarded`)
      if (written + bytes.length > sizeBytes) throw new Error(`blob ${id} exceeds its size`)
      await translated(() => upload.write(bytes))
      written += bytes.length
    },
    async finish() {
      if (written !== sizeBytes) throw new Error(`blob ${id} has ${written} of ${sizeBytes} bytes`)
      await translated(() => upload.finish())
      isFinished = true
    },
    async discard() {
      if (isFinished || isDiscarded) return
      isDiscarded = true
      // A cluster that has all the bytes may go on without us, and would bring the key back after its removal.
      if (written === sizeBytes) await upload.finish().catch(() => {})
      upload.abort()
      await remove(client, key)
    },
  }
}

function createParts(client: Client, key: string, id: BlobId, sizeBytes: number | null): BlobWriter {
  let part: Buffer | null = null
  let filled = 0
  let written = 0
  let uploadId: string | null = null
  const etags: string[] = []
  let state: 'open' | 'finished' | 'discarded' = 'open'

  async function sendPart(): Promise<void> {
    uploadId ??= await startUpload(client, key)
    const query = [['partNumber', String(etags.length + 1)] as const, ['uploadId', uploadId] as const]
    const { headers } = await client.ask({ method: 'PUT', key, query, body: part!.subarray(0, filled) })
    etags.push(String(headers.etag))
    filled = 0
  }

  async function complete(): Promise<void> {
    if (uploadId === null) {
      await client.ask({ method: 'PUT', key, body: part?.subarray(0, filled) ?? Buffer.alloc(0) })
      return
    }
    if (filled > 0) await sendPart()
    const parts = etags.map(
      (etag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${escapeText(etag)}</ETag></Part>`,
    )
    const body = Buffer.from(`<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`)
    await client.ask({ method: 'POST', key, query: [['uploadId', uploadId]], body })
  }

  return {
    id,
    async write(bytes) {
      if (state !== 'open') throw new Error(`blob ${id} is ${state}`)
      if (sizeBytes !== null && written + bytes.length > sizeBytes) throw new Error(`blob ${id} exceeds its size`)
      part ??= Buffer.allocUnsafeSlow(PART_BYTES)
      for (let at = 0; at < bytes.length; ) {
        if (filled === PART_BYTES) await translated(sendPart)
        const length = Math.min(bytes.length - at, PART_BYTES - filled)
        part.set(bytes.subarray(at, at + length), filled)
        filled += length
        at += length
      }
      written += bytes.length
    },
    async finish() {
      if (sizeBytes !== null && written !== sizeBytes)
        throw new Error(`blob ${id} has ${written} of ${sizeBytes} bytes`)
      await translated(complete)
      state = 'finished'
    },
    async discard() {
      if (state !== 'open') return
      state = 'discarded'
      if (uploadId !== null) await abortUpload(client, key, uploadId).catch(() => {}) // else aborted at the next start
      await remove(client, key)
    },
  }
}

export async function startUpload(client: Client, key: string): Promise<string> {
  const { text } = await client.ask({ method: 'POST', key, query: [['uploads', '']] })
  const uploadId = firstText(text, 'UploadId')
  if (!uploadId) throw new Error('the cluster began an upload without an id')
  return uploadId
}

export async function abortUpload(client: Client, key: string, uploadId: string): Promise<void> {
  await client.ask({ method: 'DELETE', key, query: [['uploadId', uploadId]] })
}

/** A key that nobody knows of: what cannot be removed now is an orphan, and swept. */
async function remove(client: Client, key: string): Promise<void> {
  await client.ask({ method: 'DELETE', key }).catch(() => {})
}

const escapeText = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')

async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw asCloudError(error)
  }
}
