/**
 * Bodies at rest under AES-256-GCM (NIST SP 800-38D), in blocks of 64 KiB with a tag each, so that a range is read
 * from a block's border and nothing is given out unverified. Every blob has a random key of its own; the nonce is the
 * block's number and whether it is the last, so that blocks can be neither moved nor cut off at the end. The data key
 * lies wrapped in the row: by a key from the cloud's master key (SSE-S3), or by one from the customer's (SSE-C).
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto'
import type { Encryption } from '../../model/object.ts'

export interface BodyKey {
  by: Encryption['by']
  /** 32 bytes. */
  key: Buffer
}

export const BLOCK_BYTES = 64 * 1024
const TAG_BYTES = 16
export const SEALED_BLOCK_BYTES = BLOCK_BYTES + TAG_BYTES
const NONCE_BYTES = 12

/** What `plainBytes` take when they are sealed; nothing still takes a block. */
export const sealedBytes = (plainBytes: number): number =>
  plainBytes + TAG_BYTES * Math.max(1, Math.ceil(plainBytes / BLOCK_BYTES))

export interface Sealer {
  /** To be kept beside the blob. */
  wrappedKey: Buffer
  /** Whole blocks; only the last call, which says so, may end with a shorter one. */
  seal(plain: Uint8Array, isLast: boolean): Buffer
}

export function createSealer(key: BodyKey): Sealer {
  const dataKey = randomBytes(32)
  let index = 0
  return {
    wrappedKey: wrap(key, dataKey),
    seal(plain, isLast) {
      if (!isLast && plain.length % BLOCK_BYTES !== 0) throw new Error('only the last block may be short')
      const pieces: Buffer[] = []
      for (let at = 0; at < plain.length || at === 0; at += BLOCK_BYTES) {
        const block = plain.subarray(at, at + BLOCK_BYTES)
        const cipher = createCipheriv(
          'aes-256-gcm',
          dataKey,
          nonce(index++, isLast && at + BLOCK_BYTES >= plain.length),
        )
        pieces.push(cipher.update(block), cipher.final(), cipher.getAuthTag())
      }
      return Buffer.concat(pieces)
    },
  }
}

export interface Opener {
  /**
   * Opens whole sealed blocks in place, of which the first is block `index`, and returns the plain bytes at the front
   * of the same memory. Throws when anything in them is not as it was sealed.
   */
  open(sealed: Buffer, index: number): Buffer
}

/** `plainBytes` is the size of all that was sealed. Throws when its data key was not wrapped by this key. */
export function createOpener(key: BodyKey | null, wrappedKey: Buffer, plainBytes: number): Opener {
  if (!key) throw new Error('an encrypted body cannot be read without its key')
  const dataKey = unwrap(key, wrappedKey)
  const lastIndex = Math.max(0, Math.ceil(plainBytes / BLOCK_BYTES) - 1)
  return {
    open(sealed, index) {
      let filled = 0
      for (let at = 0; at < sealed.length; at += SEALED_BLOCK_BYTES) {
        const block = sealed.subarray(at, at + SEALED_BLOCK_BYTES)
        const decipher = createDecipheriv('aes-256-gcm', dataKey, nonce(index, index === lastIndex))
        decipher.setAuthTag(block.subarray(block.length - TAG_BYTES))
        const plain = decipher.update(block.subarray(0, block.length - TAG_BYTES))
        decipher.final()
        filled += plain.copy(sealed, filled)
        index++
      }
      return sealed.subarray(0, filled)
    },
  }
}

/** What is kept of a customer's key: enough to know it again, not to find it. */
export function customerEncryption(key: Buffer): Encryption {
  const salt = randomBytes(16)
  const keyMd5 = createHash('md5').update(key).digest('base64')
  return { by: 'customer', keyMd5, keySalt: salt.toString('base64'), keyMac: macOf(salt, key).toString('base64') }
}

export function isCustomerKey(encryption: Encryption, key: Buffer): boolean {
  if (encryption.by !== 'customer') return false
  const mac = macOf(Buffer.from(encryption.keySalt, 'base64'), key)
  const expected = Buffer.from(encryption.keyMac, 'base64')
  return mac.length === expected.length && timingSafeEqual(mac, expected)
}

const macOf = (salt: Buffer, key: Buffer) => createHmac('sha256', salt).update(key).digest()

function nonce(index: number, isLast: boolean): Buffer {
  const bytes = Buffer.alloc(NONCE_BYTES)
  bytes.writeUInt8(isLast ? 1 : 0, 0)
  bytes.writeUIntBE(index, NONCE_BYTES - 6, 6)
  return bytes
}

function wrap(key: BodyKey, dataKey: Buffer): Buffer {
  const iv = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', wrappingKey(key), iv)
  const body = Buffer.concat([cipher.update(dataKey), cipher.final()])
  return Buffer.concat([iv, cipher.getAuthTag(), body])
}

function unwrap(key: BodyKey, wrapped: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', wrappingKey(key), wrapped.subarray(0, NONCE_BYTES))
  decipher.setAuthTag(wrapped.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES))
  return Buffer.concat([decipher.update(wrapped.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()])
}

/** Never the key itself: the master key seals other things as well. */
const wrappingKey = ({ by, key }: BodyKey): Buffer =>
  Buffer.from(hkdfSync('sha256', key, '', `havn object data key, ${by}`, 32))
