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

/** As `sealEnvelope`: `into` may lie over the plain bytes. */
export const sealChunk = (keys: BackupKeys, digest: Buffer, plain: Uint8Array, into?: Buffer): Buffer =>
  sealEnvelope({ magic: 'HVNC', key: keys.chunk, context: digest }, plain, into)

/**
 * The plain bytes, as `openEnvelope` lays them down. Throws `EnvelopeDamaged` unless they are what somebody with the
 * key sealed under the digest. That they have it, as they do unless whoever sealed them erred, is for `checkDigest`.
 */
export function openChunk(keys: BackupKeys, digest: Buffer, sealed: Buffer, plainBytes: number, into?: Buffer): Buffer {
  const plain = openEnvelope({ magic: 'HVNC', key: keys.chunk, context: digest }, sealed, plainBytes, into)
  if (plain.length !== plainBytes) throw new EnvelopeDamaged(`holds ${plain.length} bytes, not ${plainBytes}`)
  return plain
}

/** Throws `EnvelopeDamaged`. */
export function checkDigest(keys: BackupKeys, digest: Buffer, plain: Uint8Array): void {
  if (!timingSafeEqual(digestOf(keys, plain), digest)) throw new EnvelopeDamaged('has another digest')
}
