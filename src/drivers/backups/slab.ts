/**
 * Memory for chunks. Left to the collector, buffers of 4 MiB pile up by the hundred MiB: it counts objects, and these
 * are few. So a chunk of a task spends its whole way, read, sealed, stored or opened, in one slab that threads share
 * and the next chunk uses again; and what zstd and ciphers return in memory of their own is given back by hand.
 */
import { CHUNK_BYTES } from '../../model/backup.ts'

/** A chunk, sealed or plain. */
export const SLAB_BYTES = CHUNK_BYTES + 4096

/**
 * Shared memory, so it is never collected in time: make few and keep them. What can grow V8 lays at the beginning of a
 * page, which reads that pass the system's cache by need (open(2), O_DIRECT).
 */
export const createSlab = (): Buffer =>
  Buffer.from(new SharedArrayBuffer(SLAB_BYTES, { maxByteLength: SLAB_BYTES }), 0, SLAB_BYTES)

/** Frees what the bytes lie in now. Only for memory that nothing else uses; shared or pooled memory stays as it is. */
export function release(bytes: Uint8Array): void {
  const { buffer } = bytes
  if (buffer instanceof ArrayBuffer && buffer.byteLength > Buffer.poolSize) buffer.transfer(0)
}
