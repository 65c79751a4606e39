/**
 * The form in which chunks and manifests lie in the store: a small header, then AES-256-GCM of the bytes, compressed
 * with zstd where that makes them fewer. All of the header is authenticated, and so are a part that is stored in clear,
 * a manifest's sealed key, and a context that is not stored, a chunk's digest. Integers are big-endian.
 *
 *   0  magic, 4 bytes: `HVNC` a chunk, `HVNM` a manifest
 *   4  version: 1
 *   5  compression: 0 none, 1 zstd (RFC 8878)
 *   6  length of the clear part, 2 bytes
 *   8  length of the plain bytes, 4 bytes
 *  12  nonce, 12 bytes
 *  24  tag, 16 bytes
 *  40  the clear part, then the ciphertext
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'

export interface Envelope {
  magic: 'HVNC' | 'HVNM'
  key: Buffer
  context: Buffer
  /** Stored as it is, before the ciphertext; only for sealing. */
  clear?: Buffer
}

/** It is not what was sealed, or not with this key. */
export class EnvelopeDamaged extends Error {}

export const HEADER_BYTES = 40
const VERSION = 1
const AUTHENTICATED_BYTES = 12
const NOTHING = Buffer.alloc(0)
/** The fastest but one of zstd's: beyond, time grows much faster than what it saves on disks. */
const LEVEL = 1
const BOUND_BYTES = 512 // of what zstd may add to bytes that cannot be compressed

export function sealEnvelope({ magic, key, context, clear = NOTHING }: Envelope, plain: Uint8Array): Buffer {
  const compressed = zstdCompressSync(plain, {
    params: { [constants.ZSTD_c_compressionLevel]: LEVEL },
    chunkSize: plain.length + (plain.length >> 8) + BOUND_BYTES, // in one piece
    pledgedSrcSize: plain.length, // a fifth less time
  })
  const isSmaller = compressed.length < plain.length
  const body = isSmaller ? compressed : plain
  const bodyAt = HEADER_BYTES + clear.length
  const sealed = Buffer.allocUnsafeSlow(bodyAt + body.length)
  sealed.write(magic, 'latin1')
  sealed.writeUInt32BE((VERSION << 24) | ((isSmaller ? 1 : 0) << 16) | clear.length, 4)
  sealed.writeUInt32BE(plain.length, 8)
  const nonce = randomBytes(12)
  nonce.copy(sealed, AUTHENTICATED_BYTES)
  clear.copy(sealed, HEADER_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  cipher.setAAD(Buffer.concat([sealed.subarray(0, AUTHENTICATED_BYTES), clear, context]))
  cipher.update(body).copy(sealed, bodyAt)
  cipher.final()
  cipher.getAuthTag().copy(sealed, 24)
  return sealed
}

/** What is stored as it is. Not verified before the envelope was opened. */
export function clearPartOf(sealed: Buffer): Buffer {
  if (sealed.length < HEADER_BYTES) throw new EnvelopeDamaged('is too short')
  const end = HEADER_BYTES + sealed.readUInt16BE(6)
  if (sealed.length < end) throw new EnvelopeDamaged('is too short')
  return sealed.subarray(HEADER_BYTES, end)
}

/** Throws `EnvelopeDamaged`, also when the plain bytes would be more than `maxBytes`. */
export function openEnvelope({ magic, key, context }: Envelope, sealed: Buffer, maxBytes: number): Buffer {
  if (sealed.length < HEADER_BYTES) throw new EnvelopeDamaged('is too short')
  if (sealed.toString('latin1', 0, 4) !== magic) throw new EnvelopeDamaged(`does not begin with ${magic}`)
  const version = sealed[4]
  const compression = sealed[5]
  if (version !== VERSION) throw new EnvelopeDamaged(`has version ${version}, which this program does not know`)
  if (compression !== 0 && compression !== 1) throw new EnvelopeDamaged(`has unknown compression ${compression}`)
  const plainBytes = sealed.readUInt32BE(8)
  if (plainBytes > maxBytes) throw new EnvelopeDamaged(`says it holds ${plainBytes} bytes, more than ${maxBytes}`)
  const body = decrypt(key, context, sealed)
  const plain = compression === 1 ? decompress(body, plainBytes) : body
  if (plain.length !== plainBytes) throw new EnvelopeDamaged(`holds ${plain.length} bytes, not ${plainBytes}`)
  return plain
}

function decrypt(key: Buffer, context: Buffer, sealed: Buffer): Buffer {
  const clear = clearPartOf(sealed)
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(AUTHENTICATED_BYTES, 24), { authTagLength: 16 })
  decipher.setAAD(Buffer.concat([sealed.subarray(0, AUTHENTICATED_BYTES), clear, context]))
  decipher.setAuthTag(sealed.subarray(24, HEADER_BYTES))
  const body = decipher.update(sealed.subarray(HEADER_BYTES + clear.length))
  try {
    decipher.final()
  } catch (cause) {
    throw new EnvelopeDamaged('was changed, or is encrypted with another key', { cause })
  }
  return body
}

function decompress(body: Buffer, plainBytes: number): Buffer {
  try {
    return zstdDecompressSync(body, { maxOutputLength: plainBytes, chunkSize: Math.max(plainBytes, 64) })
  } catch (cause) {
    throw new EnvelopeDamaged('cannot be decompressed', { cause })
  }
}
