/**
 * Sends a stream of any length: what fits one part in one request, the rest in parts, some of them at a time. Memory
 * is bound by the parts under way. A failure takes the parts back, so that nothing unseen is left to be paid for.
 */
import type { Readable } from 'node:stream'
import { MIB, OBJECT_MAX_BYTES, PARTS_MAX } from '../model/object.ts'
import { CliError } from './exit.ts'
import { type S3Client, textOf } from './s3-client.ts'

export interface Upload {
  bucket: string
  key: string
  stream: Readable
  /** Null: it shows at the end. */
  sizeBytes: number | null
  contentType: string
  onProgress(sentBytes: number): void
}

const PART_BYTES = 16 * MIB
const AT_ONCE = 3

export async function upload(s3: S3Client, wish: Upload): Promise<{ etag: string; sizeBytes: number }> {
  const { bucket, key, contentType, sizeBytes } = wish
  if (sizeBytes !== null && sizeBytes > OBJECT_MAX_BYTES) {
    throw new CliError('usage', 'an object has at most 5 TiB')
  }
  const parts = cut(wish.stream, partBytes(sizeBytes))
  const first = await parts.next()
  const body = first.value ?? Buffer.alloc(0)
  const second = first.done ? first : await parts.next()
  const headers = { 'content-type': contentType }
  if (second.done) {
    if (sizeBytes !== null && body.length !== sizeBytes) throw changed()
    const { headers: answer } = await s3.send({ method: 'PUT', bucket, key, headers, body })
    wish.onProgress(body.length)
    return { etag: unquoted(answer.etag), sizeBytes: body.length }
  }
  const rest = (async function* () {
    yield body
    yield second.value as Buffer
    yield* parts
  })()
  return inParts(s3, wish, rest)
}

async function inParts(s3: S3Client, wish: Upload, parts: AsyncGenerator<Buffer>) {
  const { bucket, key, contentType, sizeBytes } = wish
  const begun = await s3.send({
    method: 'POST',
    bucket,
    key,
    query: [['uploads', '']],
    headers: { 'content-type': contentType },
  })
  const uploadId = textOf(begun.text, 'UploadId')
  try {
    const etags: string[] = []
    let sent = 0
    let number = 0
    let isOver = false
    async function sendNext(): Promise<void> {
      // Several senders take from one stream; a generator answers them one after the other.
      for (let part = await take(); part; part = await take()) {
        const query = [
          ['partNumber', String(part.number)],
          ['uploadId', uploadId],
        ] as const
        const sending = s3.send({ method: 'PUT', bucket, key, query, body: part.body })
        const { headers } = await sending.catch((error) => {
          isOver = true
          throw error
        })
        etags[part.number - 1] = headers.etag ?? ''
        sent += part.body.length
        wish.onProgress(sent)
      }
    }
    async function take(): Promise<{ number: number; body: Buffer } | null> {
      if (isOver) return null
      const next = await parts.next()
      if (next.done) return null
      number++
      if (number > PARTS_MAX) throw new CliError('usage', `more than ${PARTS_MAX} parts: say the size, or send a file`)
      return { number, body: next.value }
    }
    const results = await Promise.allSettled(Array.from({ length: AT_ONCE }, sendNext))
    const failed = results.find((result) => result.status === 'rejected')
    if (failed) throw failed.reason
    if (sizeBytes !== null && sent !== sizeBytes) throw changed()
    const list = etags.map((etag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${etag}</ETag></Part>`)
    const done = await s3.send({
      method: 'POST',
      bucket,
      key,
      query: [['uploadId', uploadId]],
      body: Buffer.from(`<CompleteMultipartUpload>${list.join('')}</CompleteMultipartUpload>`),
    })
    return { etag: unquoted(textOf(done.text, 'ETag')), sizeBytes: sent }
  } catch (error) {
    await s3.send({ method: 'DELETE', bucket, key, query: [['uploadId', uploadId]] }).catch(() => {})
    throw error
  } finally {
    await parts.return(undefined)
  }
}

const changed = () => new CliError('conflict', 'the file changed while it was read; nothing was stored')
const unquoted = (etag: string | undefined) => (etag ?? '').replaceAll('"', '')

/** A size in 10,000 parts at most. Of a stream without one they grow, so that 5 TiB fit as well. */
function partBytes(sizeBytes: number | null): (number: number) => number {
  if (sizeBytes === null) return (number) => PART_BYTES * 2 ** Math.min(5, Math.floor(number / 1000))
  const size = Math.max(PART_BYTES, Math.ceil(sizeBytes / PARTS_MAX / MIB) * MIB)
  return () => size
}

/** The stream in pieces of exactly that size, the last one shorter; an empty stream has none. */
async function* cut(stream: Readable, sizeOf: (number: number) => number): AsyncGenerator<Buffer, undefined> {
  let held: Buffer[] = []
  let bytes = 0
  let number = 1
  for await (const chunk of stream) {
    let rest = typeof chunk === 'string' ? Buffer.from(chunk) : (chunk as Buffer)
    while (bytes + rest.length >= sizeOf(number)) {
      const room = sizeOf(number) - bytes
      yield Buffer.concat([...held, rest.subarray(0, room)])
      rest = rest.subarray(room)
      held = []
      bytes = 0
      number++
    }
    if (rest.length > 0) held.push(rest)
    bytes += rest.length
  }
  if (bytes > 0) yield Buffer.concat(held)
}
