/** Whole blobs in and out of the object store, patiently: a store that is away for a while does not fail a backup. */
import { setTimeout as delay } from 'node:timers/promises'
import { CloudError } from '../../model/errors.ts'
import { BlobDamaged, type BlobId, type BlobWriter, type ObjectsDriver } from '../objects/objects.ts'

export interface Patience {
  /** How long one blob is tried again while the store is away. */
  patienceMs: number
  signal: AbortSignal
}

const FIRST_DELAY_MS = 250
const DELAY_MAX_MS = 15_000

/** Durable when this returns; nothing is left of a try that failed. Throws `unavailable` when time is up. */
export function storeBlob(objects: ObjectsDriver, bytes: Uint8Array, patience: Patience): Promise<BlobId> {
  return patiently(patience, async () => {
    let writer: BlobWriter | null = null
    try {
      writer = await objects.create(bytes.length)
      await writer.write(bytes)
      await writer.finish()
      return writer.id
    } catch (error) {
      await writer?.discard()
      throw error
    }
  })
}

/** All of its bytes, at the beginning of `into`. Throws `BlobDamaged`, `BlobMissing`, `unavailable`. */
export function loadBlob(
  objects: ObjectsDriver,
  id: BlobId,
  sizeBytes: number,
  patience: Patience,
  into: Buffer = Buffer.allocUnsafeSlow(sizeBytes),
): Promise<Buffer> {
  return patiently(patience, async () => {
    const reader = await objects.read(id, 0, sizeBytes)
    try {
      const bytes = into.subarray(0, sizeBytes)
      for (let filled = 0; filled < sizeBytes; ) {
        const read = await reader.read(bytes.subarray(filled))
        if (read === 0) throw new BlobDamaged(id, `ends at ${filled}, not at ${sizeBytes}`)
        filled += read
      }
      return bytes
    } finally {
      await reader.close()
    }
  })
}

/** Does the work again while the store is away, as long as there is patience. */
export async function patiently<T>({ patienceMs, signal }: Patience, work: () => Promise<T>): Promise<T> {
  const end = performance.now() + patienceMs
  for (let pause = FIRST_DELAY_MS; ; pause = Math.min(pause * 2, DELAY_MAX_MS)) {
    signal.throwIfAborted()
    try {
      return await work()
    } catch (error) {
      const isAway = error instanceof CloudError && error.code === 'unavailable'
      if (!isAway || performance.now() + pause > end) throw error
      await delay(pause, undefined, { signal })
    }
  }
}
