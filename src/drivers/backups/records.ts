/**
 * Stored chunks as records of one length, for files and manifests: 32 bytes digest, 16 bytes blob id, 4 bytes stored
 * length, big-endian. A record of zeros stands for a hole.
 */
import type { StoredChunk } from './chunk.ts'

export const RECORD_BYTES = 52
const STORED_AT = 48
const STORED_MAX = 2 ** 32

export function writeRecord(into: Buffer, at: number, { digest, blobId, storedBytes }: StoredChunk): void {
  if (digest.length !== 32 || blobId.length !== 32 || !(storedBytes > 0 && storedBytes < STORED_MAX)) {
    throw new Error(`a chunk of ${storedBytes} bytes in blob ${blobId} cannot be noted`)
  }
  digest.copy(into, at)
  into.write(blobId, at + 32, 'hex')
  into.writeUInt32BE(storedBytes, at + STORED_AT)
}

/** Null for a hole. */
export function readRecord(from: Buffer, at: number): StoredChunk | null {
  const storedBytes = from.readUInt32BE(at + STORED_AT)
  if (storedBytes === 0) return null
  return {
    digest: from.subarray(at, at + 32),
    blobId: from.toString('hex', at + 32, at + STORED_AT),
    storedBytes,
  }
}
