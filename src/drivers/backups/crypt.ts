/** Naming, sealing and opening chunks off the event loop, on a few threads. */
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { FromCrypt, Sealed, ToCrypt } from './crypt-worker.ts'
import { EnvelopeDamaged } from './envelope.ts'
import type { BackupKeys } from './keys.ts'

export interface Crypt {
  /** Null for bytes that are all zeros. They must stay as they are until this is fulfilled. */
  digest(plain: Buffer): Promise<Buffer | null>
  /** Lays the sealed bytes over the plain ones at the slab's beginning. */
  seal(digest: Buffer, slab: Buffer, plainBytes: number): Promise<{ sealed: Buffer; md5: Buffer }>
  /**
   * Lays the plain bytes over the sealed ones at the slab's beginning. A slab that is not shared is taken away, and
   * comes back as the memory of what this returns. Throws `EnvelopeDamaged`.
   */
  open(digest: Buffer, slab: Buffer, opening: OpeningSizes): Promise<Buffer>
}

export interface OpeningSizes {
  sealedBytes: number
  plainBytes: number
  /** The caller compares the digest where the bytes go; then all of the rest is checked. Default: false. */
  isUnchecked?: boolean
}

export interface CryptPool {
  /** With one account's keys. */
  of(keys: BackupKeys): Crypt
  /** Fails what is under way. */
  close(): Promise<void>
}

interface Thread {
  worker: Worker
  waiting: { resolve(value: Uint8Array | Sealed | null): void; reject(error: Error): void }[]
  ended: Error | null
}

/** More would be faster than any store, and each has some 60 MiB. */
const THREADS_MAX = 4

export function createCryptPool(threads = Math.min(availableParallelism(), THREADS_MAX)): CryptPool {
  const all: Thread[] = []

  /** The idlest; a new one while all are busy and there may be more. */
  function pick(): Thread {
    const idlest = all.filter(({ ended }) => !ended).sort((a, b) => a.waiting.length - b.waiting.length)[0]
    if (idlest && (idlest.waiting.length === 0 || all.length >= threads)) return idlest
    const thread = startThread()
    all.push(thread)
    return thread
  }

  function ask(message: ToCrypt, moved: ArrayBuffer[] = []): Promise<Uint8Array | Sealed | null> {
    const thread = pick()
    return new Promise((resolve, reject) => {
      if (thread.waiting.push({ resolve, reject }) === 1) thread.worker.ref()
      thread.worker.postMessage(message, moved)
    })
  }

  return {
    of: (keys) => ({
      async digest(plain) {
        const digest = (await ask({ keys, do: 'digest', plain })) as Uint8Array | null
        return digest && asBuffer(digest)
      },
      async seal(digest, slab, plainBytes) {
        const { sealedBytes, md5 } = (await ask({ keys, do: 'seal', digest, slab, plainBytes })) as Sealed
        return { sealed: slab.subarray(0, sealedBytes), md5: Buffer.from(md5) }
      },
      async open(digest, slab, { sealedBytes, plainBytes, isUnchecked = false }) {
        const moved = slab.buffer instanceof ArrayBuffer ? [slab.buffer] : []
        const message = { keys, do: 'open' as const, digest, slab, sealedBytes, plainBytes, isUnchecked }
        const opened = asBuffer((await ask(message, moved)) as Uint8Array)
        return opened.subarray(0, plainBytes)
      },
    }),
    async close() {
      await Promise.all(all.map(({ worker }) => worker.terminate()))
    },
  }
}

function startThread(): Thread {
  const worker = new Worker(resolve(import.meta.dirname, './crypt-worker.ts'), { execArgv: [] })
  const thread: Thread = { worker, waiting: [], ended: null }
  const endWith = (error: Error) => {
    thread.ended ??= error
    for (const { reject } of thread.waiting.splice(0)) reject(thread.ended)
  }
  worker.unref() // only a question that waits for its answer keeps the process alive
  worker.on('message', (answer: FromCrypt) => {
    const asker = thread.waiting.shift()
    if (thread.waiting.length === 0) worker.unref()
    if ('value' in answer) asker?.resolve(answer.value)
    else asker?.reject(answer.isDamaged ? new EnvelopeDamaged(answer.error) : new Error(answer.error))
  })
  worker.on('error', (error) => endWith(new Error('a thread that encrypts failed', { cause: error })))
  worker.on('exit', (status) => endWith(new Error(`a thread that encrypts ended with ${status}`)))
  return thread
}

const asBuffer = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
