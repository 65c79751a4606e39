/**
 * Reads a body, or a range of it, piece by piece: from the row, or from one blob after the other. While a piece is
 * being used the next one is read, unless its user is slow: then one buffer must do.
 */
import type { ObjectsDriver } from '../../drivers/objects/objects.ts'
import type { Segment } from '../../model/object.ts'
import { outgoing } from './buffers.ts'
import { type BodyKey, createOpener } from './encryption.ts'
import { openStretch, type Stretch } from './stretch.ts'

export interface InlineBody {
  inline: Buffer
  wrappedKey: Buffer | null
}
export type StoredBody =
  | InlineBody
  /** In the order of the body. */
  | { segments: readonly Segment[] }

export interface ByteRange {
  start: number
  length: number
}

/** Whoever takes longer than this for a piece is not worth a second buffer. */
const SLOW_MS = 100

/**
 * A piece is valid until the next one is asked for. Throws BlobDamaged (of which BlobMissing is one) for what is not
 * as it was written, and CloudError `unavailable` when the store is away. `key` opens what is encrypted.
 */
export async function* readBody(
  objects: Pick<ObjectsDriver, 'read'>,
  body: StoredBody,
  range: ByteRange,
  key: BodyKey | null,
): AsyncGenerator<Buffer, void, void> {
  if (range.length === 0) return
  if ('inline' in body) {
    yield inlineBytes(body, range, key)
    return
  }
  const source = createSource(objects, body.segments, range, key)
  let next: Promise<Piece | null> | null = null
  let isSlow = false
  outgoing.enter()
  try {
    for (;;) {
      const piece: Piece | null = await (next ?? source.read())
      next = null
      if (!piece) return
      if (!isSlow && !outgoing.isCrowded()) next = source.read()
      next?.catch(() => {}) // thrown when it is its turn
      const given = performance.now()
      yield piece.bytes
      isSlow = performance.now() - given > SLOW_MS
      // Not when we are left in the middle: then the bytes may still be on their way out.
      outgoing.give(piece.memory)
    }
  } finally {
    outgoing.leave()
    await next?.catch(() => {})
    await source.close()
  }
}

/** A range of a body that is in its row. */
export function inlineBytes({ inline, wrappedKey }: InlineBody, range: ByteRange, key: BodyKey | null): Buffer {
  // Opening works in place, and the row's bytes are not ours.
  const plain = wrappedKey ? createOpener(key, wrappedKey, 0).open(Buffer.from(inline), 0) : inline
  if (plain.length < range.start + range.length) throw new Error('an inline body is shorter than its row says')
  return plain.subarray(range.start, range.start + range.length)
}

interface Piece {
  bytes: Buffer
  memory: Buffer
}

function createSource(
  objects: Pick<ObjectsDriver, 'read'>,
  segments: readonly Segment[],
  range: ByteRange,
  key: BodyKey | null,
) {
  const slices = sliceSegments(segments, range)
  let stretch: Stretch | null = null
  return {
    async read(): Promise<Piece | null> {
      if (!stretch) {
        const slice = slices.next().value
        if (!slice) return null
        stretch = await openStretch(objects, slice, key)
      }
      const memory = outgoing.take()
      const bytes = await stretch.read(memory)
      if (stretch.isRead()) {
        await stretch.close()
        stretch = null
      }
      return { bytes, memory }
    },
    close: async () => stretch?.close(),
  }
}

/** What a range takes of each segment, counted in its blob. */
function* sliceSegments(segments: readonly Segment[], range: ByteRange): Generator<Segment, void, void> {
  let skip = range.start
  let left = range.length
  for (const segment of segments) {
    if (left === 0) return
    const start = Math.min(skip, segment.length)
    const length = Math.min(left, segment.length - start)
    skip -= start
    left -= length
    if (length > 0) yield { ...segment, start: segment.start + start, length }
  }
  if (left > 0) throw new Error(`the segments of a body lack ${left} bytes`)
}
