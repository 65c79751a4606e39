/** A stretch of one blob as plain bytes, whether the blob is encrypted or not. */
import { BlobDamaged, type BlobReader, type ObjectsDriver } from '../../drivers/objects/objects.ts'
import type { Segment } from '../../model/object.ts'
import { BLOCK_BYTES, type BodyKey, createOpener, SEALED_BLOCK_BYTES, sealedBytes } from './encryption.ts'

export interface Stretch {
  /** The next bytes, somewhere in `memory`, which has room for whole sealed blocks; never none. */
  read(memory: Buffer): Promise<Buffer>
  isRead(): boolean
  close(): Promise<void>
}

export async function openStretch(
  objects: Pick<ObjectsDriver, 'read'>,
  segment: Segment,
  key: BodyKey | null,
): Promise<Stretch> {
  const { blobId, start, length, wrappedKey } = segment
  if (wrappedKey) return openSealed(objects, { ...segment, wrappedKey }, key)
  const reader = await objects.read(blobId, start, length)
  let left = length
  return {
    async read(memory) {
      const filled = await readSome(reader, blobId, memory.subarray(0, memory.length - (memory.length % BLOCK_BYTES)))
      left -= filled.length
      return filled
    },
    isRead: () => left === 0,
    close: () => reader.close(),
  }
}

async function openSealed(
  objects: Pick<ObjectsDriver, 'read'>,
  { blobId, start, length, wrappedKey, blobBytes }: Segment & { wrappedKey: Buffer },
  key: BodyKey | null,
): Promise<Stretch> {
  const opener = createOpener(key, wrappedKey, blobBytes)
  let block = Math.floor(start / BLOCK_BYTES)
  let skip = start - block * BLOCK_BYTES
  let left = length
  const sealedStart = block * SEALED_BLOCK_BYTES
  const sealedEnd = Math.min(Math.ceil((start + length) / BLOCK_BYTES) * SEALED_BLOCK_BYTES, sealedBytes(blobBytes))
  const reader = await objects.read(blobId, sealedStart, sealedEnd - sealedStart)
  return {
    async read(memory) {
      const sealed = await readSome(reader, blobId, memory)
      const plain = opened(blobId, () => opener.open(sealed, block)).subarray(skip, skip + left)
      block += Math.ceil(sealed.length / SEALED_BLOCK_BYTES)
      skip = 0
      left -= plain.length
      return plain
    },
    isRead: () => left === 0,
    close: () => reader.close(),
  }
}

async function readSome(reader: BlobReader, blobId: string, into: Buffer): Promise<Buffer> {
  const length = await reader.read(into)
  if (length === 0) throw new BlobDamaged(blobId, 'ended early')
  return into.subarray(0, length)
}

function opened(blobId: string, open: () => Buffer): Buffer {
  try {
    return open()
  } catch (error) {
    throw new BlobDamaged(blobId, 'cannot be decrypted', error)
  }
}
