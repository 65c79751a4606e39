import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, test } from 'node:test'
import { crc32 } from 'node:zlib'
import { eventually } from '../../../test/eventually.ts'
import { createFilesystemObjects } from '../../drivers/objects/filesystem.ts'
import type { ObjectsDriver } from '../../drivers/objects/objects.ts'
import { createHashing } from '../../lib/hashing/hashing.ts'
import { CHECKSUM_ALGORITHMS, CHECKSUM_BYTES, type IncomingBody, type Segment } from '../../model/object.ts'
import { S3Error, type S3ErrorCode } from '../../model/s3-error.ts'
import { type BodyKey, sealedBytes } from './encryption.ts'
import { readBody, type StoredBody } from './read.ts'
import { type ReceivedBody, receiveBody } from './receive.ts'

const KIB = 1024
const SIZES = [0, 1, 16 * KIB, 16 * KIB + 1, 256 * KIB, 256 * KIB + 1, 1024 * KIB, 3 * 1024 * KIB + 7]
const LIMITS = { maxBytes: 100 * 1024 * KIB }

const folder = mkdtempSync(join(tmpdir(), 'havn-bodies-'))
const hashing = createHashing({ threads: 1 })
let objects: ObjectsDriver
let filesAtRest: number
before(async () => {
  const driver = createFilesystemObjects({ folder })
  await driver.open()
  objects = {
    ...driver,
    async create(sizeBytes) {
      const writer = await driver.create(sizeBytes)
      created.push(writer.id)
      return writer
    },
  }
  await hashing.hasher(['md5'], null).digest() // a thread has files of its own
  filesAtRest = openFiles()
})
afterEach(async () => void (await eventually('no file is left open', () => openFiles() <= filesAtRest)))
after(async () => {
  await hashing.close()
  rmSync(folder, { recursive: true, force: true })
})

const openFiles = () => readdirSync('/proc/self/fd').length
const digest = (name: string, bytes: Uint8Array) => createHash(name).update(bytes).digest()
const crc32Of = (bytes: Uint8Array) => {
  const value = Buffer.alloc(4)
  value.writeUInt32BE(crc32(bytes))
  return value
}

interface Sent {
  pieceBytes?: number
  announced?: number | null
  expected?: IncomingBody['expected']
  trailer?: ReturnType<IncomingBody['trailer']>
  failAt?: number
}
function bodyOf(
  bytes: Buffer,
  { pieceBytes = 50_000, announced, expected = {}, trailer = null, failAt }: Sent = {},
): IncomingBody {
  async function* pieces() {
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      if (failAt !== undefined && at >= failAt) throw new S3Error('IncompleteBody')
      yield Buffer.from(bytes.subarray(at, at + pieceBytes))
    }
  }
  return {
    bytes: pieces(),
    sizeBytes: announced === undefined ? bytes.length : announced,
    expected,
    trailer: () => trailer,
  }
}
const receive = (body: IncomingBody, options = {}) => receiveBody({ objects, hashing }, body, { ...LIMITS, ...options })

function stored(received: ReceivedBody): StoredBody {
  const { inline, blob, wrappedKey, sizeBytes } = received
  if (inline) return { inline, wrappedKey }
  assert.ok(blob)
  const segment: Segment = { blobId: blob.id, start: 0, length: sizeBytes, wrappedKey, blobBytes: sizeBytes }
  return { segments: [segment] }
}
async function readBack(body: StoredBody, length: number, key: BodyKey | null = null, start = 0): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of readBody(objects, body, { start, length }, key)) pieces.push(Buffer.from(piece))
  return Buffer.concat(pieces)
}
const created: string[] = []
const fileOf = (id: string) => join(folder, 'blobs', id.slice(0, 1), id.slice(1, 3), id)
const blobs = () => created.filter((id) => existsSync(fileOf(id))).length
async function refused(code: S3ErrorCode, work: () => Promise<unknown>): Promise<S3Error> {
  const before = blobs()
  let thrown: unknown
  await assert.rejects(work, (error) => {
    thrown = error
    return true
  })
  assert.ok(thrown instanceof S3Error, String(thrown))
  assert.equal(thrown.s3Code, code)
  assert.equal(blobs(), before)
  return thrown
}

for (const announced of ['known', 'unknown'] as const) {
  test(`bodies of ${announced} size come back as they were sent, small ones without a file`, async () => {
    for (const size of SIZES) {
      const bytes = randomBytes(size)
      const sent = announced === 'known' ? {} : { announced: null }
      const received = await receive(bodyOf(bytes, sent), { checksums: CHECKSUM_ALGORITHMS })
      assert.equal(received.sizeBytes, size)
      assert.deepEqual(received.md5, digest('md5', bytes))
      assert.deepEqual(received.checksums.CRC32, crc32Of(bytes))
      assert.deepEqual(received.checksums.SHA1, digest('sha1', bytes))
      assert.deepEqual(received.checksums.SHA256, digest('sha256', bytes))
      for (const name of CHECKSUM_ALGORITHMS) assert.equal(received.checksums[name]?.length, CHECKSUM_BYTES[name])
      assert.equal(received.inline !== null, size <= 16 * KIB)
      assert.equal(received.blob?.storedBytes, size <= 16 * KIB ? undefined : size)
      assert.ok((await readBack(stored(received), size)).equals(bytes))
    }
  })

  test(`encrypted bodies of ${announced} size come back in any range, and only with their key`, async () => {
    const key: BodyKey = { by: 'customer', key: randomBytes(32) }
    for (const size of SIZES) {
      const bytes = randomBytes(size)
      const sent = announced === 'known' ? {} : { announced: null }
      const received = await receive(bodyOf(bytes, sent), { key })
      const body = stored(received)
      assert.deepEqual(received.md5, digest('md5', bytes))
      assert.equal(received.blob?.storedBytes, size <= 16 * KIB ? undefined : sealedBytes(size))
      for (const start of [0, 1, 65_535, 65_536, 262_143, size - 1].filter((at) => at >= 0 && at < size)) {
        for (const length of [1, 70_000, 262_145, size - start].filter((many) => start + many <= size)) {
          assert.ok((await readBack(body, length, key, start)).equals(bytes.subarray(start, start + length)))
        }
      }
      if (size > 0) await assert.rejects(readBack(body, size, { ...key, key: randomBytes(32) }))
      if (size > 0) await assert.rejects(readBack(body, size, null))
    }
  })
}

test('pieces of one byte and of many buffers make the same body', async () => {
  const bytes = randomBytes(600 * KIB)
  const small = await receive(bodyOf(bytes.subarray(0, 20 * KIB), { pieceBytes: 1, announced: null }))
  assert.deepEqual(small.md5, digest('md5', bytes.subarray(0, 20 * KIB)))
  const large = await receive(bodyOf(bytes, { pieceBytes: bytes.length }))
  assert.ok((await readBack(stored(large), bytes.length)).equals(bytes))
})

test('a crowd of bodies, plain and encrypted, comes in and goes out whole', async () => {
  const crowd = Array.from({ length: 100 }, async (_, index) => {
    const bytes = randomBytes(150_000 + index * 5_000)
    const key: BodyKey | null = index % 2 ? { by: 'master', key: randomBytes(32) } : null
    const received = await receive(bodyOf(bytes, { announced: index % 3 ? null : bytes.length }), { key })
    assert.deepEqual(received.md5, digest('md5', bytes))
    return { bytes, key, body: stored(received) }
  })
  const arrived = await Promise.all(crowd)
  const back = await Promise.all(arrived.map(({ bytes, key, body }) => readBack(body, bytes.length, key)))
  for (const [index, bytes] of back.entries()) assert.ok(bytes.equals(arrived[index]!.bytes))
})

test('a part is a blob however small', async () => {
  for (const announced of [0, 5, null]) {
    const bytes = Buffer.from('hello').subarray(0, announced ?? 5)
    const received = await receive(bodyOf(bytes, { announced }), { inlineMaxBytes: -1 })
    assert.equal(received.inline, null)
    assert.equal(String(await readBack(stored(received), bytes.length)), String(bytes))
  }
})

test('digests that agree are no obstacle, wherever they come from', async () => {
  const bytes = randomBytes(300 * KIB)
  const expected = {
    md5: digest('md5', bytes),
    sha256: digest('sha256', bytes),
    checksum: { algorithm: 'CRC32' as const, value: null },
  }
  const received = await receive(bodyOf(bytes, { expected, trailer: { algorithm: 'CRC32', value: crc32Of(bytes) } }))
  assert.deepEqual(Object.keys(received.checksums), ['CRC32'])
})

for (const size of [100, 100 * KIB, 2 * 1024 * KIB]) {
  test(`wrong digests and sizes of ${size} bytes are refused and leave nothing`, async () => {
    const bytes = randomBytes(size)
    const wrong = (bytes: number) => Buffer.alloc(bytes, 1)
    const crc = 'The CRC32 you specified did not match the calculated checksum.'
    const checksum = { algorithm: 'CRC32' as const, value: wrong(4) }
    const refusal = await refused('BadDigest', () => receive(bodyOf(bytes, { expected: { checksum } })))
    assert.equal(refusal.message, crc)
    const late = { expected: { checksum: { ...checksum, value: null } }, trailer: checksum }
    assert.equal((await refused('BadDigest', () => receive(bodyOf(bytes, late)))).message, crc)
    await refused('BadDigest', () => receive(bodyOf(bytes, { expected: { md5: wrong(16) } })))
    await refused('XAmzContentSHA256Mismatch', () => receive(bodyOf(bytes, { expected: { sha256: wrong(32) } })))
    await refused('IncompleteBody', () => receive(bodyOf(bytes, { announced: size + 1 })))
    await refused('IncompleteBody', () => receive(bodyOf(bytes, { announced: size - 1 })))
    await refused('IncompleteBody', () => receive(bodyOf(bytes, { failAt: size / 2, pieceBytes: size / 4 })))
    await refused('EntityTooLarge', () => receive(bodyOf(bytes, { announced: null }), { maxBytes: size - 1 }))
  })
}

test('a size that is announced too large is refused before a byte is read', async () => {
  const body = bodyOf(randomBytes(10), { announced: 2 ** 40 })
  const untouched = { ...body, bytes: { [Symbol.asyncIterator]: () => assert.fail('was read') } }
  const error = await refused('EntityTooLarge', () => receive(untouched))
  assert.deepEqual(error.elements, { ProposedSize: String(2 ** 40), MaxSizeAllowed: String(LIMITS.maxBytes) })
})

test('a quota is asked while the body streams, and its refusal is what the caller sees', async () => {
  const seen: number[] = []
  const check = (sizeBytes: number) => {
    seen.push(sizeBytes)
    if (sizeBytes > 1_000_000) throw new S3Error('QuotaExceeded')
  }
  await refused('QuotaExceeded', () => receive(bodyOf(randomBytes(5_000_000), { announced: null }), { check }))
  assert.ok(seen.length >= 3 && seen.at(-1)! < 1_400_000, String(seen))
  seen.length = 0
  await receive(bodyOf(randomBytes(100)), { check })
  assert.deepEqual(seen, [100])
})

test('a store that fails in the middle ends the upload, not the process', async () => {
  const bytes = randomBytes(3_000_000)
  for (const failing of ['create', 'write', 'finish'] as const) {
    const broken: Pick<ObjectsDriver, 'create'> = {
      async create(sizeBytes) {
        if (failing === 'create') throw new Error('no create')
        const writer = await objects.create(sizeBytes)
        return {
          ...writer,
          write: (piece) => (failing === 'write' ? Promise.reject(new Error('no write')) : writer.write(piece)),
          finish: () => (failing === 'finish' ? Promise.reject(new Error('no finish')) : writer.finish()),
        }
      },
    }
    const before = blobs()
    const tools = { objects: { ...objects, ...broken }, hashing }
    await assert.rejects(receiveBody(tools, bodyOf(bytes), LIMITS), new RegExp(`no ${failing}`))
    assert.equal(blobs(), before)
  }
})

test('a hashing thread that is gone ends the upload', async () => {
  const gone = createHashing({ threads: 1 })
  const before = blobs()
  async function* endless() {
    for (let round = 0; ; round++) {
      if (round === 5) await gone.close()
      yield randomBytes(200_000)
    }
  }
  const body = { ...bodyOf(Buffer.alloc(0), { announced: null }), bytes: endless() }
  await assert.rejects(receiveBody({ objects, hashing: gone }, body, LIMITS), /a hashing thread/)
  assert.equal(blobs(), before)
})
