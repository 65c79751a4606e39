/** The inside of a thread that names, seals and opens chunks where they lie. Answers in order. */
import { createHash } from 'node:crypto'
import { parentPort } from 'node:worker_threads'
import { CHUNK_BYTES } from '../../model/backup.ts'
import { checkDigest, digestOf, openChunk, sealChunk } from './chunk.ts'
import { EnvelopeDamaged } from './envelope.ts'
import type { BackupKeys } from './keys.ts'

export type ToCrypt = { keys: BackupKeys } & (
  | /** Answered with the digest; null for bytes that are all zeros. */ { do: 'digest'; plain: Uint8Array }
  | /** Answered with a `Sealed`. */ { do: 'seal'; digest: Uint8Array; slab: Uint8Array; plainBytes: number }
  | /** Answered with the slab, the plain bytes in front, or with what is wrong with the stored ones. */ Opening
)
export interface Opening {
  do: 'open'
  digest: Uint8Array
  slab: Uint8Array
  sealedBytes: number
  plainBytes: number
  /** Somebody else compares the digest. */
  isUnchecked: boolean
}

export interface Sealed {
  /** From the slab's beginning. */
  sealedBytes: number
  /** Of the sealed bytes. */
  md5: Uint8Array
}
export type FromCrypt =
  | { value: Uint8Array | Sealed | null }
  /** `isDamaged`: the bytes are wrong, not the thread. */
  | { error: string; isDamaged: boolean }

const ZEROS = Buffer.alloc(CHUNK_BYTES)

parentPort?.on('message', (message: ToCrypt) => {
  try {
    const value = handle(message)
    const moved = value instanceof Uint8Array && value.buffer instanceof ArrayBuffer ? [value.buffer] : []
    parentPort?.postMessage({ value } satisfies FromCrypt, moved)
  } catch (error) {
    const isDamaged = error instanceof EnvelopeDamaged
    parentPort?.postMessage({ error: (error as Error).message, isDamaged } satisfies FromCrypt)
  }
})

function handle(message: ToCrypt): Uint8Array | Sealed | null {
  const keys = ownKeys(message.keys)
  switch (message.do) {
    case 'digest': {
      const plain = asBuffer(message.plain)
      const isZero = plain.compare(ZEROS, 0, plain.length) === 0
      return isZero ? null : new Uint8Array(digestOf(keys, plain))
    }
    case 'seal': {
      const slab = asBuffer(message.slab)
      const sealed = sealChunk(keys, asBuffer(message.digest), slab.subarray(0, message.plainBytes), slab)
      return { sealedBytes: sealed.length, md5: createHash('md5').update(sealed).digest() }
    }
    case 'open': {
      const { sealedBytes, plainBytes } = message
      const [digest, slab] = [asBuffer(message.digest), asBuffer(message.slab)]
      const plain = openChunk(keys, digest, slab.subarray(0, sealedBytes), plainBytes, slab)
      if (!message.isUnchecked) checkDigest(keys, digest, plain)
      return message.slab
    }
  }
}

/** Messages carry Buffers as what they are made of. */
const ownKeys = ({ digest, chunk, manifest }: BackupKeys): BackupKeys => ({
  digest: asBuffer(digest),
  chunk: asBuffer(chunk),
  manifest: asBuffer(manifest),
})

const asBuffer = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
