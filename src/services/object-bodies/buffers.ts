/** The buffers that bodies pass through: 256 KiB each, or 64 KiB where many bodies are under way at once. */
import { createBufferPool } from '../../lib/buffers.ts'
import { BLOCK_BYTES, SEALED_BLOCK_BYTES } from './encryption.ts'

const BLOCKS = 4
/** Beyond so many bodies in one direction, each makes do with one small buffer: hundreds of slow ones stay cheap. */
const CROWD = 64

export interface BodyBuffers {
  /** To be called when a body takes its first buffer, and when it has ended. */
  enter(): void
  leave(): void
  isCrowded(): boolean
  take(): Buffer
  /** Only what nothing reads or writes any more. */
  give(buffer: Buffer): void
}

function createBodyBuffers(blockBytes: number, make: (bytes: number) => Buffer, keep: number): BodyBuffers {
  const large = createBufferPool(() => make(BLOCKS * blockBytes), keep)
  const small = createBufferPool(() => make(blockBytes), keep)
  let bodies = 0
  const isCrowded = () => bodies > CROWD
  return {
    enter: () => void bodies++,
    leave: () => void bodies--,
    isCrowded,
    take: () => (isCrowded() ? small : large).take(),
    give: (buffer) => (buffer.length === blockBytes ? small : large).give(buffer),
  }
}

/**
 * In memory that a hashing thread sees as well. All are kept: the collector does not feel the weight of shared memory,
 * so what was thrown away would pile up by the gigabyte (measured), while what is kept is what was once needed at once.
 */
const makeShared = (bytes: number) => Buffer.from(new SharedArrayBuffer(bytes))
export const incoming = createBodyBuffers(BLOCK_BYTES, makeShared, Number.POSITIVE_INFINITY)

/** With room for the tags of blocks that are encrypted. */
export const outgoing = createBodyBuffers(SEALED_BLOCK_BYTES, Buffer.allocUnsafeSlow, 32)
