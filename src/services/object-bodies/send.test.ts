import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, truncateSync } from 'node:fs'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import { after, before, test } from 'node:test'
import { eventually } from '../../../test/eventually.ts'
import { createFilesystemObjects } from '../../drivers/objects/filesystem.ts'
import { BlobDamaged, BlobMissing, type ObjectsDriver } from '../../drivers/objects/objects.ts'
import type { Segment } from '../../model/object.ts'
import { type BodyKey, createSealer, sealedBytes } from './encryption.ts'
import type { StoredBody } from './read.ts'
import { openBody, type Sending } from './send.ts'

const KIB = 1024
const folder = mkdtempSync(join(tmpdir(), 'havn-bodies-'))
let objects: ObjectsDriver
before(async () => {
  objects = createFilesystemObjects({ folder })
  await objects.open()
})
after(() => rmSync(folder, { recursive: true, force: true }))

const md5 = (bytes: Uint8Array) => createHash('md5').update(bytes).digest('hex')
const openFiles = () => readdirSync('/proc/self/fd').length

async function put(bytes: Buffer, key: BodyKey | null = null): Promise<Segment> {
  const sealer = key && createSealer(key)
  const writer = await objects.create(sealer ? sealedBytes(bytes.length) : bytes.length)
  await writer.write(sealer ? sealer.seal(bytes, true) : bytes)
  await writer.finish()
  const wrappedKey = sealer?.wrappedKey ?? null
  return { blobId: writer.id, start: 0, length: bytes.length, wrappedKey, blobBytes: bytes.length }
}

const sendBody = async (from: Pick<ObjectsDriver, 'read'>, sending: Sending, target: Writable, signal: AbortSignal) =>
  (await openBody(from, sending)).sendTo(target, signal)

interface Served {
  url: string
  /** How the sending ended: null = well. */
  ended: Promise<Error | null>
  close(): void
}
async function serve(sending: Sending): Promise<Served> {
  const { promise: ended, resolve } = Promise.withResolvers<Error | null>()
  const server = createServer((_, response) => {
    response.setHeader('content-length', sending.range.length)
    sendBody(objects, sending, response, new AbortController().signal).then(
      () => {
        response.end()
        resolve(null)
      },
      (error: Error) => {
        response.destroy()
        resolve(error)
      },
    )
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/`,
    ended,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}
async function fetchBody(sending: Sending): Promise<Buffer> {
  const served = await serve(sending)
  try {
    const body = Buffer.from(await (await fetch(served.url)).arrayBuffer())
    assert.equal(await served.ended, null)
    return body
  } finally {
    served.close()
  }
}

test('a body of several blobs, plain and encrypted, is sent whole and in any range', async () => {
  const key: BodyKey = { by: 'master', key: randomBytes(32) }
  const pieces = [300 * KIB, 1, 256 * KIB, 1000 * KIB + 3].map((bytes) => randomBytes(bytes))
  const whole = Buffer.concat([...pieces.map((piece) => piece), pieces[0]!.subarray(1000, 201_000)])
  const segments = await Promise.all(pieces.map((piece, index) => put(piece, index % 2 ? null : key)))
  segments.push({ ...segments[0]!, start: 1000, length: 200_000 })
  const body: StoredBody = { segments }
  const before = openFiles()
  const all = { start: 0, length: whole.length }
  const ranges = [
    all,
    { start: 300 * KIB - 1, length: 3 },
    { start: 400_000, length: 900_000 },
    { start: 5, length: 0 },
  ]
  ranges.push({ start: whole.length - 1, length: 1 }, { start: whole.length - 200_001, length: 2 })
  for (const range of ranges) {
    const got = await fetchBody({ body, range, key })
    assert.equal(md5(got), md5(whole.subarray(range.start, range.start + range.length)), JSON.stringify(range))
  }
  await eventually('no file is left open', () => openFiles() <= before)
})

test('an inline body', async () => {
  const inline = randomBytes(1000)
  const got = await fetchBody({ body: { inline, wrappedKey: null }, range: { start: 10, length: 20 }, key: null })
  assert.deepEqual(got, inline.subarray(10, 30))
})

test('a slow client costs what fits into the sockets and no more', async () => {
  const body = { segments: [await put(randomBytes(20 * 1024 * KIB))] }
  let given = 0
  const counting: ObjectsDriver = {
    ...objects,
    async read(...what) {
      const reader = await objects.read(...what)
      return {
        ...reader,
        async read(into) {
          const bytes = await reader.read(into)
          given += bytes
          return bytes
        },
      }
    },
  }
  const abort = new AbortController()
  const ended = Promise.withResolvers<Error | null>()
  const server = createServer((_, response) => {
    const sending = { body, range: { start: 0, length: 20 * 1024 * KIB }, key: null }
    sendBody(counting, sending, response, abort.signal).then(() => ended.resolve(null), ended.resolve)
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const { port } = server.address() as AddressInfo
  const call = request({ port, host: '127.0.0.1' }, (response) => response.pause()).end()
  let before = -1
  await eventually('it stands still', async () => {
    const still = given > 0 && given === before
    before = given
    await new Promise((resolve) => setTimeout(resolve, 200))
    return still && given === before
  })
  assert.ok(given < 16 * 1024 * KIB, `${given} bytes were read ahead`)
  const files = openFiles()
  abort.abort()
  assert.match(String(await ended.promise), /went away/)
  assert.ok(openFiles() < files)
  call.destroy()
  server.close()
  server.closeAllConnections()
})

test('a client that goes away ends the sending and frees the file', async () => {
  const bytes = 30 * 1024 * KIB
  const before = openFiles()
  const served = await serve({
    body: { segments: [await put(randomBytes(bytes))] },
    range: { start: 0, length: bytes },
    key: null,
  })
  await new Promise<void>((resolve) => {
    const call = request(served.url, (response) => {
      response.once('data', () => {
        call.destroy()
        resolve()
      })
    })
    call.on('error', () => {})
    call.end()
  })
  assert.ok((await served.ended) instanceof Error)
  served.close()
  await eventually('no file is left open', () => openFiles() <= before)
})

test('a missing or shortened blob is an error before the first byte, never less data', async () => {
  const whole = await put(randomBytes(600 * KIB))
  const file = join(folder, 'blobs', whole.blobId.slice(0, 1), whole.blobId.slice(1, 3), whole.blobId)
  const range = { start: 0, length: 600 * KIB }
  truncateSync(file, 500 * KIB)
  const short = await serve({ body: { segments: [whole] }, range, key: null })
  await assert.rejects(fetch(short.url))
  assert.ok((await short.ended) instanceof BlobDamaged)
  short.close()
  await objects.remove([whole.blobId])
  const missing = await serve({ body: { segments: [whole] }, range, key: null })
  await assert.rejects(fetch(missing.url))
  assert.ok((await missing.ended) instanceof BlobMissing)
  missing.close()
  const beyond = { start: 0, length: 601 * KIB }
  const lacking = await serve({ body: { segments: [await put(randomBytes(600 * KIB))] }, range: beyond, key: null })
  await assert.rejects(fetch(lacking.url).then((answer) => answer.arrayBuffer()))
  assert.match(String(await lacking.ended), /lack 1024 bytes/)
  lacking.close()
})
