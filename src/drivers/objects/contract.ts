/** What every driver of objects must do, whatever it stands on. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { BlobDamaged, type BlobId, BlobMissing, type ObjectsDriver, type StoredBlob } from './objects.ts'

export interface ObjectsStore {
  driver: ObjectsDriver
  /** Another driver on the same store, as another process would have it; opened. */
  another(): Promise<ObjectsDriver>
  close(): Promise<void>
}

const KIB = 1024
const PIECE = 256 * KIB

export function objectsContract(name: string, openStore: () => Promise<ObjectsStore>): void {
  describe(`the contract of objects: ${name}`, () => {
    let store: ObjectsStore
    let driver: ObjectsDriver
    before(async () => {
      store = await openStore()
      driver = store.driver
    })
    after(() => store?.close())

    for (const bytes of [0, 1, 17 * KIB, PIECE, 1024 * KIB + 3, 20 * 1024 * KIB + 1]) {
      for (const known of [true, false]) {
        test(`${bytes} bytes of ${known ? 'known' : 'unknown'} size come back`, async () => {
          const body = randomBytes(bytes)
          const id = await put(driver, body, known ? bytes : null)
          assert.match(id, /^[0-9a-f]{32}$/)
          assert.equal(md5(await get(driver, id, 0, bytes)), md5(body))
          assert.equal((await find(driver, id))?.sizeBytes, bytes)
          await driver.remove([id])
        })
      }
    }

    test('any range of a blob', async () => {
      const body = randomBytes(600 * KIB)
      const id = await put(driver, body)
      for (const [start, length] of [
        [0, 1],
        [599 * KIB, KIB],
        [1, PIECE],
        [PIECE - 1, 2],
        [600 * KIB - 1, 1],
        [12_345, 0],
      ] as const) {
        assert.equal(md5(await get(driver, id, start, length)), md5(body.subarray(start, start + length)))
      }
    })

    test('another process sees a finished blob, and both write at once without meeting', async () => {
      const other = await store.another()
      const bodies = Array.from({ length: 20 }, (_, index) => randomBytes(20 * KIB + index))
      const ids = await Promise.all(bodies.map((body, index) => put(index % 2 ? driver : other, body)))
      assert.equal(new Set(ids).size, 20)
      const back = await Promise.all(
        ids.map((id, index) => get(index % 2 ? other : driver, id, 0, bodies[index]!.length)),
      )
      assert.deepEqual(back.map(md5), bodies.map(md5))
      await other.remove(ids)
      await other.close()
      await assert.rejects(driver.read(ids[0]!, 0, 1), BlobMissing)
    })

    test('what was discarded leaves nothing', async () => {
      for (const sizeBytes of [2 * PIECE, null]) {
        const untouched = await driver.create(sizeBytes)
        await untouched.discard()
        const begun = await driver.create(sizeBytes)
        await begun.write(randomBytes(PIECE))
        await begun.discard()
        await begun.discard()
        await assert.rejects(begun.write(randomBytes(1)))
        assert.equal(await find(driver, untouched.id), undefined)
        assert.equal(await find(driver, begun.id), undefined)
        await assert.rejects(driver.read(begun.id, 0, 1), BlobMissing)
      }
    })

    test('more or fewer bytes than announced are refused, and nothing is left', async () => {
      const short = await driver.create(PIECE)
      await short.write(randomBytes(PIECE - 1))
      await assert.rejects(short.finish())
      await short.discard()
      const long = await driver.create(PIECE)
      await assert.rejects(async () => {
        await long.write(randomBytes(PIECE))
        await long.write(randomBytes(1))
        await long.finish()
      })
      await long.discard()
      assert.equal(await find(driver, short.id), undefined)
      assert.equal(await find(driver, long.id), undefined)
    })

    test('a finished blob is not discarded any more', async () => {
      const writer = await driver.create(10)
      await writer.write(Buffer.from('0123456789'))
      await writer.finish()
      await writer.discard()
      assert.equal(String(await get(driver, writer.id, 2, 3)), '234')
    })

    test('a missing blob is named as missing, and a range beyond the end is no short answer', async () => {
      const id = await put(driver, randomBytes(100))
      await assert.rejects(driver.read('0'.repeat(32), 0, 1), BlobMissing)
      await assert.rejects(get(driver, id, 50, 51), BlobDamaged)
      await assert.rejects(get(driver, id, 100, 1), BlobDamaged)
      await assert.rejects(get(driver, id, 1000, 1), BlobDamaged)
    })

    test('a reader goes on when its blob is removed', async () => {
      const body = randomBytes(3 * PIECE)
      const id = await put(driver, body)
      const reader = await driver.read(id, 0, body.length)
      await driver.remove([id])
      const pieces: Buffer[] = []
      for (const into = Buffer.alloc(PIECE); ; ) {
        const length = await reader.read(into)
        if (length === 0) break
        pieces.push(Buffer.from(into.subarray(0, length)))
      }
      await reader.close()
      assert.equal(md5(Buffer.concat(pieces)), md5(body))
      assert.equal(await find(driver, id), undefined)
    })

    test('removing is safe to repeat and takes the unknown along', async () => {
      const ids = await Promise.all([put(driver, randomBytes(10)), put(driver, randomBytes(10))])
      await driver.remove([...ids, 'f'.repeat(32)])
      await driver.remove(ids)
      await driver.remove([])
      for (const id of ids) await assert.rejects(driver.read(id, 0, 1), BlobMissing)
    })

    test('a reader may be left in the middle and closed twice', async () => {
      const id = await put(driver, randomBytes(4 * PIECE))
      const reader = await driver.read(id, 0, 4 * PIECE)
      await reader.read(Buffer.alloc(10))
      await reader.close()
      await reader.close()
      assert.equal((await get(driver, id, 0, 4 * PIECE)).length, 4 * PIECE)
    })

    test('many readers and writers at once', async () => {
      const body = randomBytes(2 * PIECE)
      const id = await put(driver, body)
      const works = Array.from({ length: 40 }, async (_, index) => {
        if (index % 2)
          return assert.equal(md5(await get(driver, id, index, PIECE)), md5(body.subarray(index, index + PIECE)))
        const mine = randomBytes(40 * KIB)
        assert.equal(md5(await get(driver, await put(driver, mine), 0, mine.length)), md5(mine))
      })
      await Promise.all(works)
    })

    test('the list tells size and time of every blob, and ends when told to', async () => {
      const ids = [await put(driver, randomBytes(123)), await put(driver, randomBytes(20 * KIB))]
      const blobs = await all(driver)
      assert.deepEqual(
        ids.map((id) => blobs.get(id)?.sizeBytes),
        [123, 20 * KIB],
      )
      const age = Date.now() - (blobs.get(ids[0]!)?.modifiedAt.getTime() ?? 0)
      assert.ok(age > -5_000 && age < 600_000, `${age} ms old`)
      await assert.rejects(async () => {
        for await (const _ of driver.list(AbortSignal.abort())) assert.fail('went on')
      })
    })

    test('opening again changes nothing', async () => {
      const id = await put(driver, Buffer.from('still here'))
      await driver.open()
      assert.equal(String(await get(driver, id, 0, 10)), 'still here')
      const free = await driver.freeBytes()
      assert.ok(free === null || free > 0)
    })
  })
}

async function put(driver: ObjectsDriver, body: Buffer, sizeBytes: number | null = body.length): Promise<BlobId> {
  const writer = await driver.create(sizeBytes)
  const reused = Buffer.alloc(PIECE)
  for (let at = 0; at < body.length; at += PIECE) {
    const length = body.copy(reused, 0, at)
    await writer.write(reused.subarray(0, length))
    reused.fill(0) // whoever kept the buffer instead of its bytes is found out
  }
  await writer.finish()
  return writer.id
}

async function get(driver: ObjectsDriver, id: BlobId, start: number, length: number): Promise<Buffer> {
  const reader = await driver.read(id, start, length)
  try {
    const body = Buffer.alloc(length)
    let filled = 0
    for (let read = -1; read !== 0; filled += read) read = await reader.read(body.subarray(filled, filled + PIECE))
    assert.equal(filled, length)
    return body
  } finally {
    await reader.close()
  }
}

async function all(driver: ObjectsDriver): Promise<Map<BlobId, StoredBlob>> {
  const blobs = new Map<BlobId, StoredBlob>()
  for await (const blob of driver.list()) blobs.set(blob.id, blob)
  return blobs
}

const find = async (driver: ObjectsDriver, id: BlobId) => (await all(driver)).get(id)
const md5 = (bytes: Uint8Array) => createHash('md5').update(bytes).digest('hex')
