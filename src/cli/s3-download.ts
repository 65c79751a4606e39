/**
 * Fetches an object. A lost connection is taken up where it broke, a file that an earlier run left half is continued,
 * and always the same version: it is asked for by its ETag. The file gets its name when it is whole.
 */
import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, rename, rm, stat } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { dirname } from 'node:path'
import type { Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { syncFolder } from '../lib/files.ts'
import { CliError } from './exit.ts'
import type { S3Client } from './s3-client.ts'

export interface Place {
  bucket: string
  key: string
}
export interface Fetched {
  sizeBytes: number
  etag: string
}
type OnProgress = (bytes: number, total: number) => void

const STALLS_MAX = 5

/** Where an unfinished download of that version waits. */
export const partName = (file: string, etag: string): string => `${file}.${etag.replaceAll(/[^\w-]/g, '')}.part`

export async function downloadFile(s3: S3Client, place: Place, file: string, onProgress: OnProgress): Promise<Fetched> {
  const { sizeBytes, etag } = await look(s3, place)
  const part = partName(file, etag)
  const digest = createHash('md5')
  const held = await resume(part, sizeBytes, digest)
  const handle = await open(part, held > 0 ? 'r+' : 'w')
  try {
    await fetchFrom(s3, place, { sizeBytes, etag }, held, async (chunk, at) => {
      digest.update(chunk)
      for (let done = 0; done < chunk.length; ) {
        done += (await handle.write(chunk, done, chunk.length - done, at + done)).bytesWritten
      }
      onProgress(at + chunk.length, sizeBytes)
    })
    await handle.sync()
  } finally {
    await handle.close()
  }
  await verify(digest, etag, () => rm(part, { force: true }))
  await rename(part, file)
  await syncFolder(dirname(file))
  return { sizeBytes, etag }
}

export async function downloadStream(
  s3: S3Client,
  place: Place,
  target: Writable,
  onProgress: OnProgress,
): Promise<Fetched> {
  const found = await look(s3, place)
  const digest = createHash('md5')
  await fetchFrom(s3, place, found, 0, async (chunk, at) => {
    digest.update(chunk)
    await new Promise<void>((resolve, reject) => {
      target.write(chunk, (error) => (error ? reject(error) : resolve()))
    })
    onProgress(at + chunk.length, found.sizeBytes)
  })
  await verify(digest, found.etag, async () => {})
  return found
}

async function look(s3: S3Client, place: Place): Promise<Fetched> {
  const { headers } = await s3.send({ method: 'HEAD', ...place })
  return { sizeBytes: Number(headers['content-length'] ?? 0), etag: (headers.etag ?? '').replaceAll('"', '') }
}

/** How much an earlier run left; its bytes go into the digest. */
async function resume(part: string, sizeBytes: number, digest: Hash): Promise<number> {
  const size = await stat(part).then(
    (found) => found.size,
    () => 0,
  )
  if (size === 0 || size > sizeBytes) return 0
  for await (const chunk of createReadStream(part)) digest.update(chunk as Buffer)
  return size
}

async function fetchFrom(
  s3: S3Client,
  place: Place,
  { sizeBytes, etag }: Fetched,
  start: number,
  take: (chunk: Buffer, at: number) => Promise<void>,
): Promise<void> {
  let at = start
  let stalls = 0
  while (at < sizeBytes) {
    const before = at
    const range = at > 0 ? { range: `bytes=${at}-` } : {}
    const answer = await s3.open({ method: 'GET', ...place, headers: { 'if-match': `"${etag}"`, ...range } })
    if (at > 0 && answer.statusCode !== 206) throw new CliError('error', 'the server does not continue a download')
    const broken = await pour(answer, async (chunk) => {
      await take(chunk, at)
      at += chunk.length
    })
    if (at >= sizeBytes) return
    stalls = at > before ? 0 : stalls + 1
    if (stalls >= STALLS_MAX) {
      throw new CliError(
        'unreachable',
        `the connection breaks again and again at byte ${at} (${broken?.message ?? 'end'})`,
      )
    }
    await delay(200 * 2 ** stalls)
  }
}

/** Null at a clean end; what broke otherwise. Errors of `take` are thrown: they are ours. */
async function pour(answer: IncomingMessage, take: (chunk: Buffer) => Promise<void>): Promise<Error | null> {
  const chunks = answer[Symbol.asyncIterator]()
  for (;;) {
    const next = await chunks.next().catch((error: Error) => error)
    if (next instanceof Error) return next
    if (next.done) return null
    try {
      await take(next.value as Buffer)
    } catch (error) {
      answer.destroy()
      throw error
    }
  }
}

/** A plain ETag is the MD5 of the bytes; that of an upload in parts, or of an object with a client's key, is not. */
async function verify(digest: Hash, etag: string, drop: () => Promise<void>): Promise<void> {
  if (!/^[0-9a-f]{32}$/.test(etag)) return
  if (digest.digest('hex') === etag) return
  await drop()
  throw new CliError('error', 'the bytes that came are not those of the object; nothing was kept')
}
