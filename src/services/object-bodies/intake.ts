/**
 * What a body flows into: memory while it is small, then buffers, each written and hashed at the same time
 * while the next one fills. A slow client costs one buffer; the second exists only while the first is worked on.
 */
import type { BlobWriter } from '../../drivers/objects/objects.ts'
import type { DigestName, Digests } from '../../lib/hashing/digests.ts'
import type { Hasher } from '../../lib/hashing/hashing.ts'
import { together } from '../../lib/together.ts'
import type { S3Ctx } from '../s3-ctx.ts'
import { incoming } from './buffers.ts'
import { type Sealer, sealedBytes } from './encryption.ts'

export interface IntakeOptions {
  names: readonly DigestName[]
  sizeBytes: number | null
  inlineMaxBytes: number
  sealer: Sealer | null
}

export interface Intake {
  /** Whether a buffer will have to be written with this. */
  isFullWith(chunk: Buffer): boolean
  /** Keeps nothing of the chunk. Throws what failed in the meantime. */
  add(chunk: Buffer): Promise<void>
  /** The digests of all that came. */
  end(): Promise<Digests>
  /** After `end`: durable when this returns. */
  keep(): Promise<{ inline: Buffer | null; blob: { id: string; storedBytes: number } | null }>
  discard(): Promise<void>
}

interface Filling {
  /** Our own memory: a chunk of a socket may hold on to much more than it shows. */
  memory: Buffer
  capacity: number
  filled: number
  isPooled: boolean
}

export function createIntake(tools: Pick<S3Ctx, 'objects' | 'hashing'>, options: IntakeOptions): Intake {
  const { names, sizeBytes, inlineMaxBytes, sealer } = options
  let filling: Filling | null = null
  let working: Promise<void> = Promise.resolve()
  let writer: BlobWriter | null = null
  let hasher: Hasher | null = null
  let storedBytes = 0
  let inline: Buffer | null = null
  let isUnderWay = false

  const enter = () => {
    if (!isUnderWay) incoming.enter()
    isUnderWay = true
  }
  const leave = () => {
    if (isUnderWay) incoming.leave()
    isUnderWay = false
  }

  async function makeRoom(): Promise<Filling> {
    if (filling?.isPooled) await flush(filling, false)
    else if (filling === null && writer === null && (sizeBytes ?? 0) <= inlineMaxBytes) {
      const capacity = sizeBytes ?? inlineMaxBytes
      return { memory: Buffer.allocUnsafeSlow(capacity), capacity, filled: 0, isPooled: false }
    }
    enter()
    const memory = incoming.take()
    const next = { memory, capacity: memory.length, filled: 0, isPooled: true }
    if (filling) next.filled = filling.memory.copy(next.memory, 0, 0, filling.filled)
    return next
  }

  /** Starts the work on a buffer once that on the one before is done. */
  async function flush({ memory, filled, isPooled }: Filling, isLast: boolean): Promise<void> {
    filling = null
    const release = () => {
      if (isPooled) incoming.give(memory)
    }
    try {
      await working
      const size = sizeBytes ?? (isLast && writer === null ? filled : null)
      writer ??= await tools.objects.create(size !== null && sealer ? sealedBytes(size) : size)
      hasher ??= tools.hashing.hasher(names, size)
    } catch (error) {
      release()
      throw error
    }
    const plain = memory.subarray(0, filled)
    const stored = sealer ? sealer.seal(plain, isLast) : plain
    storedBytes += stored.length
    working = together(writer.write(stored), hasher.update(plain)).then(release, (error) => {
      release()
      throw error
    })
    working.catch(() => {}) // the next flush throws it, unless the upload has ended by then
    if (incoming.isCrowded()) await working
  }

  return {
    isFullWith: (chunk) => filling !== null && filling.filled + chunk.length > filling.capacity,

    async add(chunk) {
      for (let at = 0; at < chunk.length; ) {
        if (!filling || filling.filled === filling.capacity) filling = await makeRoom()
        const copied = chunk.copy(filling.memory, filling.filled, at, at + filling.capacity - filling.filled)
        filling.filled += copied
        at += copied
      }
    },

    async end() {
      const last = filling ?? { memory: Buffer.alloc(0), capacity: 0, filled: 0, isPooled: false }
      if (writer === null && last.filled <= inlineMaxBytes) {
        const plain = last.memory.subarray(0, last.filled)
        inline = sealer ? sealer.seal(plain, true) : plain
        hasher = tools.hashing.hasher(names, plain.length)
        await hasher.update(plain)
      } else {
        await flush(last, true)
        await working
      }
      return hasher!.digest()
    },

    async keep() {
      if (writer === null) return { inline, blob: null }
      leave()
      await writer.finish()
      return { inline: null, blob: { id: writer.id, storedBytes } }
    },

    async discard() {
      leave()
      await working.catch(() => {})
      hasher?.discard()
      await writer?.discard()
      if (filling?.isPooled) incoming.give(filling.memory)
    },
  }
}
