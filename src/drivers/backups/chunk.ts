/** One chunk of a disk: named by a keyed digest of its bytes, stored in an envelope that only that name opens. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { BlobId } from '../objects/objects.ts'
import { EnvelopeDamaged, openEnvelope, sealEnvelope } from './envelope.ts'
import type { BackupKeys } from './keys.ts'

/** Where a chunk of this digest lies. */
export interface StoredChunk {
  /** HMAC-SHA-256 of the plain bytes, 32 bytes. */
  digest: Buffer
  blobId: BlobId
  storedBytes: number
}

export const digestOf = (keys: BackupKeys, plain: Uint8Array): Buffer =>
  createHmac('sha256', keys.digest).update(plain).digest()

export const sealChunk = (keys: BackupKeys, digest: Buffer, plain: Uint8Array): Buffer =>
  sealEnvelope({ magic: 'HVNC', key: keys.chunk, context: digest }, plain)

/** The plain bytes. Throws `EnvelopeDamaged` unless they are exactly those that were sealed under the digest. */
export function openChunk(keys: BackupKeys, digest: Buffer, sealed: Buffer, plainBytes: number): Buffer {
  const plain = openEnvelope({ magic: 'HVNC', key: keys.chunk, context: digest }, sealed, plainBytes)
  if (plain.length !== plainBytes) throw new EnvelopeDamaged(`holds ${plain.length} bytes, not ${plainBytes}`)
  if (!timingSafeEqual(digestOf(keys, plain), digest)) throw new EnvelopeDamaged('has another digest')
  return plain
}
