/** The inside of a thread that names, seals and opens chunks. Answers in order. */
import { createHash } from 'node:crypto'
import { parentPort } from 'node:worker_threads'
import { CHUNK_BYTES } from '../../model/backup.ts'
import { digestOf, openChunk, sealChunk } from './chunk.ts'
import { EnvelopeDamaged } from './envelope.ts'
import type { BackupKeys } from './keys.ts'

export type ToCrypt = { keys: BackupKeys } & (
  | /** Answered with the digest; null for bytes that are all zeros. */ { do: 'digest'; plain: Uint8Array }
  | /** Answered with a `Sealed`. */ { do: 'seal'; digest: Uint8Array; plain: Uint8Array }
  /** Answered with the plain bytes, or with what is wrong with the stored ones. */
  | { do: 'open'; digest: Uint8Array; sealed: Uint8Array; plainBytes: number }
)

export interface Sealed {
  sealed: Uint8Array
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
    const { answer, moved } = handle(message)
    parentPort?.postMessage({ value: answer } satisfies FromCrypt, moved)
  } catch (error) {
    const isDamaged = error instanceof EnvelopeDamaged
    parentPort?.postMessage({ error: (error as Error).message, isDamaged } satisfies FromCrypt)
  }
})

function handle(message: ToCrypt): { answer: Uint8Array | Sealed | null; moved: ArrayBuffer[] } {
  const keys = ownKeys(message.keys)
  switch (message.do) {
    case 'digest': {
      const plain = asBuffer(message.plain)
      const isZero = plain.compare(ZEROS, 0, plain.length) === 0
      return { answer: isZero ? null : digestOf(keys, plain), moved: [] }
    }
    case 'seal': {
      const sealed = owned(sealChunk(keys, asBuffer(message.digest), asBuffer(message.plain)))
      return { answer: { sealed, md5: createHash('md5').update(sealed).digest() }, moved: [sealed.buffer] }
    }
    case 'open': {
      const { digest, sealed, plainBytes } = message
      const plain = owned(openChunk(keys, asBuffer(digest), asBuffer(sealed), plainBytes))
      return { answer: plain, moved: [plain.buffer] }
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

/** Only memory that is nobody else's can be handed over. */
function owned(bytes: Buffer): Uint8Array<ArrayBuffer> {
  const isWhole = bytes.byteLength === bytes.buffer.byteLength
  return (isWhole ? bytes : new Uint8Array(bytes)) as Uint8Array<ArrayBuffer>
}
