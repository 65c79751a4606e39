import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { layoutQcow2, type Qcow2Shape } from './qcow2.ts'
import { run } from './run.ts'

const MIB = 1024 * 1024
const chunkBytes = 4 * MIB
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index)

/** Only the metadata are written: what chunks hold reads as zeros, and takes no room. */
async function write(file: string, shape: Qcow2Shape): Promise<number> {
  const layout = layoutQcow2(shape)
  const handle = await open(file, 'w')
  let at = 0
  for (const part of layout.parts(0, layout.sizeBytes)) {
    if (part.kind === 'metadata') await handle.write(part.bytes, 0, part.bytes.length, at)
    at += part.kind === 'metadata' ? part.bytes.length : part.length
  }
  await handle.truncate(layout.sizeBytes)
  await handle.close()
  assert.equal(at, layout.sizeBytes)
  return at
}

const SHAPES: Record<string, Omit<Qcow2Shape, 'chunkBytes'>> = {
  'an empty disk': { diskBytes: 1024 * MIB, chunks: [] },
  'its first and last chunk': { diskBytes: 1024 * MIB, chunks: [0, 255] },
  'both sides of an L2 table': { diskBytes: 2048 * MIB, chunks: [127, 128, 511] },
  'a disk that ends inside a cluster': { diskBytes: 70 * MIB + 512 * 7, chunks: [0, 17] },
  'a disk that ends with a chunk of one cluster': { diskBytes: 8 * MIB + 64 * 1024, chunks: [1, 2] },
  'more clusters than one refcount block counts': { diskBytes: 5 * 1024 * MIB, chunks: upTo(1280) },
  'exactly as many as one counts': { diskBytes: 4096 * MIB, chunks: upTo(511) },
  'an L1 table of more than one cluster': { diskBytes: 5 * 1024 * 1024 * MIB, chunks: [0, 1_300_000] },
}
for (const [what, shape] of Object.entries(SHAPES)) {
  test(`${what}: sound, and every chunk where the disk has it`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'qcow2-'))
    t.after(() => rm(folder, { recursive: true }))
    const file = join(folder, 'image')
    await write(file, { ...shape, chunkBytes })
    await run('qemu-img', ['check', '-q', '-f', 'qcow2', file])
    const layout = layoutQcow2({ ...shape, chunkBytes })
    const map = JSON.parse(await run('qemu-img', ['map', '--output=json', '-f', 'qcow2', file])) as {
      start: number
      length: number
      present: boolean
      offset?: number
    }[]
    assert.equal(
      map.reduce((sum, { length }) => sum + length, 0),
      shape.diskBytes,
    )
    for (const [rank, chunk] of [...shape.chunks].entries()) {
      const start = chunk * chunkBytes
      const piece = map.find((one) => one.start <= start && start < one.start + one.length)
      assert.equal((piece?.offset ?? 0) + start - (piece?.start ?? 0), layout.offsetOf(rank), `chunk ${chunk}`)
    }
    const present = map.filter((one) => one.present).reduce((sum, { length }) => sum + length, 0)
    const expected = [...shape.chunks].reduce(
      (sum, at) => sum + Math.min(chunkBytes, shape.diskBytes - at * chunkBytes),
      0,
    )
    assert.equal(present, expected)
  })
}

test('any range is the same bytes as the whole', () => {
  const layout = layoutQcow2({ diskBytes: 70 * MIB + 512, chunkBytes, chunks: [0, 3, 17] })
  const chunks = new Map([0, 3, 17].map((chunk) => [chunk, randomBytes(chunkBytes)]))
  const bytesOf = (start: number, end: number) =>
    Buffer.concat(
      [...layout.parts(start, end)].map((part) => {
        if (part.kind === 'metadata') return part.bytes
        if (part.kind === 'zeros') return Buffer.alloc(part.length)
        return chunks.get(part.chunk)!.subarray(part.from, part.from + part.length)
      }),
    )
  const whole = bytesOf(0, layout.sizeBytes)
  assert.equal(whole.length, layout.sizeBytes)
  for (const edge of [0, 1, 65_535, 65_537, layout.dataOffset - 3, layout.dataOffset, layout.offsetOf(1) - 1]) {
    for (const length of [1, 512, 70_000, 5 * MIB]) {
      const end = Math.min(edge + length, layout.sizeBytes)
      assert.ok(bytesOf(edge, end).equals(whole.subarray(edge, end)), `${edge} to ${end}`)
    }
  }
  assert.ok(bytesOf(layout.sizeBytes - 70_000, layout.sizeBytes + 9).equals(whole.subarray(-70_000)))
})

test('a disk that has no such layout is refused', () => {
  assert.throws(() => layoutQcow2({ diskBytes: 1000, chunkBytes, chunks: [] }))
  assert.throws(() => layoutQcow2({ diskBytes: MIB, chunkBytes: 1000, chunks: [] }))
})
