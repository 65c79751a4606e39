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
import { type CipherGCM, createCipheriv, createDecipheriv, type DecipherGCM, randomBytes } from 'node:crypto'
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { release, SLAB_BYTES } from './slab.ts'

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
const PIECE_BYTES = 96 * 1024 // more than Node pools: it can be given back
const SCRATCH_BYTES = SLAB_BYTES
const BOUND_BYTES = 512 // of what zstd may add to bytes that cannot be compressed

/**
 * The sealed bytes, at the beginning of `into` or in memory of their own. `into` needs room for the head and the plain
 * bytes, and may lie over them: then they are gone.
 */
export function sealEnvelope(
  { magic, key, context, clear = NOTHING }: Envelope,
  plain: Uint8Array,
  into?: Buffer,
): Buffer {
  const compressed = zstdCompressSync(plain, {
    params: { [constants.ZSTD_c_compressionLevel]: LEVEL },
    chunkSize: plain.length + (plain.length >> 8) + BOUND_BYTES, // in one piece
    pledgedSrcSize: plain.length, // a fifth less time
  })
  const isSmaller = compressed.length < plain.length
  const plainBytes = plain.length
  const nonce = randomBytes(12)
  const head = Buffer.alloc(HEADER_BYTES)
  head.write(magic, 'latin1')
  head.writeUInt32BE((VERSION << 24) | ((isSmaller ? 1 : 0) << 16) | clear.length, 4)
  head.writeUInt32BE(plainBytes, 8)
  nonce.copy(head, AUTHENTICATED_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  cipher.setAAD(Buffer.concat([head.subarray(0, AUTHENTICATED_BYTES), clear, context]))
  const body = isSmaller ? compressed : plain
  const bodyAt = HEADER_BYTES + clear.length
  const sealed = (into ?? Buffer.allocUnsafeSlow(bodyAt + body.length)).subarray(0, bodyAt + body.length)
  // Where they lie over the plain bytes, a head further on, each piece would cover the next one's first bytes.
  crypted(cipher, body, (piece, at) => piece.copy(sealed, bodyAt + at), { isDelayed: true })
  cipher.final()
  cipher.getAuthTag().copy(head, 24)
  head.copy(sealed)
  clear.copy(sealed, HEADER_BYTES)
  release(compressed)
  return sealed
}

/** What is stored as it is. Not verified before the envelope was opened. */
export function clearPartOf(sealed: Buffer): Buffer {
  if (sealed.length < HEADER_BYTES) throw new EnvelopeDamaged('is too short')
  const end = HEADER_BYTES + sealed.readUInt16BE(6)
  if (sealed.length < end) throw new EnvelopeDamaged('is too short')
  return sealed.subarray(HEADER_BYTES, end)
}

/**
 * The plain bytes, at the beginning of `into` or in memory of their own; `into` may lie over the sealed ones. Throws
 * `EnvelopeDamaged`, also when they would be more than `maxBytes`.
 */
export function openEnvelope(
  { magic, key, context }: Envelope,
  sealed: Buffer,
  maxBytes: number,
  into?: Buffer,
): Buffer {
  if (sealed.length < HEADER_BYTES) throw new EnvelopeDamaged('is too short')
  if (sealed.toString('latin1', 0, 4) !== magic) throw new EnvelopeDamaged(`does not begin with ${magic}`)
  const version = sealed[4]
  const compression = sealed[5]
  if (version !== VERSION) throw new EnvelopeDamaged(`has version ${version}, which this program does not know`)
  if (compression !== 0 && compression !== 1) throw new EnvelopeDamaged(`has unknown compression ${compression}`)
  const plainBytes = sealed.readUInt32BE(8)
  if (plainBytes > maxBytes) throw new EnvelopeDamaged(`says it holds ${plainBytes} bytes, more than ${maxBytes}`)
  const bodyBytes = sealed.length - HEADER_BYTES - clearPartOf(sealed).length
  if (compression === 0) {
    if (bodyBytes !== plainBytes) throw new EnvelopeDamaged(`holds ${bodyBytes} bytes, not ${plainBytes}`)
    const plain = (into ?? Buffer.allocUnsafeSlow(plainBytes)).subarray(0, plainBytes)
    decrypt(key, context, sealed, plain)
    return plain
  }
  const body = bodyBytes > SCRATCH_BYTES ? Buffer.allocUnsafeSlow(bodyBytes) : scratch().subarray(0, bodyBytes)
  decrypt(key, context, sealed, body)
  const plain = decompress(body, plainBytes)
  if (bodyBytes > SCRATCH_BYTES) release(body)
  if (plain.length !== plainBytes) throw new EnvelopeDamaged(`holds ${plain.length} bytes, not ${plainBytes}`)
  if (!into) return plain
  plain.copy(into)
  release(plain)
  return into.subarray(0, plainBytes)
}

/** Nobody may look at what it filled `into` with unless it returns. */
function decrypt(key: Buffer, context: Buffer, sealed: Buffer, into: Buffer): void {
  const clear = clearPartOf(sealed)
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(AUTHENTICATED_BYTES, 24), { authTagLength: 16 })
  decipher.setAAD(Buffer.concat([sealed.subarray(0, AUTHENTICATED_BYTES), clear, context]))
  decipher.setAuthTag(Buffer.from(sealed.subarray(24, HEADER_BYTES)))
  crypted(decipher, sealed.subarray(HEADER_BYTES + clear.length), (piece, at) => piece.copy(into, at), {
    isDelayed: false,
  })
  try {
    decipher.final()
  } catch (cause) {
    throw new EnvelopeDamaged('was changed, or is encrypted with another key', { cause })
  }
}

/** In pieces that fit a processor's cache: whole results of ever new sizes leave an allocator's memory in tatters. */
function crypted(
  cipher: CipherGCM | DecipherGCM,
  bytes: Uint8Array,
  lay: (piece: Buffer, at: number) => void,
  { isDelayed }: { isDelayed: boolean },
): void {
  const done: { piece: Buffer; at: number }[] = []
  const layOne = () => {
    const { piece, at } = done.shift()!
    lay(piece, at)
    release(piece)
  }
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    done.push({ piece: cipher.update(bytes.subarray(at, at + PIECE_BYTES)), at })
    if (!isDelayed || done.length > 1) layOne()
  }
  while (done.length > 0) layOne()
}

/** One for each thread. */
const scratch = (): Buffer => {
  memory ??= Buffer.allocUnsafeSlow(SCRATCH_BYTES)
  return memory
}
let memory: Buffer | null = null

function decompress(body: Buffer, plainBytes: number): Buffer {
  try {
    const chunkSize = Math.max(plainBytes + 1, 64) // once the first is full, Node makes another
    return zstdDecompressSync(body, { maxOutputLength: plainBytes, chunkSize })
  } catch (cause) {
    throw new EnvelopeDamaged('cannot be decompressed', { cause })
  }
}
