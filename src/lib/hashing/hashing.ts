/**
 * Digests of streams, off the event loop where that pays. What is known to be short is done at once; the rest goes to
 * a few threads, whose messages name memory that both sides see instead of copying it.
 */
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { createDigester, type DigestName, type Digests } from './digests.ts'
import { startThread, type Thread } from './thread.ts'

export interface Hashing {
  /** `sizeBytes` is what will come, null = unknown; it decides where the work is done, nothing else. */
  hasher<const N extends DigestName>(names: readonly N[], sizeBytes: number | null): Hasher<N>
  /** Ends the threads; hashers that still use them fail. */
  close(): Promise<void>
}

export interface Hasher<N extends DigestName = DigestName> {
  /** The bytes must stay as they are until this is fulfilled. Rejects when the thread died; then only discard. */
  update(bytes: Uint8Array): Promise<void> | void
  /** Once, at the end. */
  digest(): Promise<Digests<N>>
  /** Instead of `digest`, or after it; safe to repeat. */
  discard(): void
}

export interface HashingOptions {
  threads?: number
  /** The file that a thread runs. */
  entry?: string
}

/** Up to here the event loop is held for 2 ms at most, in pieces; beyond, a thread's two switches are cheaper. */
const AT_ONCE_MAX_BYTES = 1024 * 1024

/** No slower than copying the bytes: on the event loop, whose core is the one that MD5 leaves free. */
const QUICK: ReadonlySet<DigestName> = new Set(['crc32'])

export function createHashing(options: HashingOptions = {}): Hashing {
  const most = options.threads ?? availableParallelism()
  const entry = options.entry ?? resolve(import.meta.dirname, './worker.ts')
  const threads = new Set<Thread>()
  let streams = 0

  function pickThread(): Thread {
    const idlest = [...threads].sort((a, b) => a.streams - b.streams)[0]
    if (idlest && (idlest.streams === 0 || threads.size >= most)) return idlest
    const thread = startThread(entry, (ended) => threads.delete(ended))
    threads.add(thread)
    return thread
  }

  return {
    hasher(names, sizeBytes) {
      if (sizeBytes !== null && sizeBytes <= AT_ONCE_MAX_BYTES) return hashAtOnce(names)
      const quick = names.filter((name) => QUICK.has(name))
      const slow = names.filter((name) => !QUICK.has(name))
      return slow.length === 0 ? hashAtOnce(names) : hashInThread(pickThread(), ++streams, slow, hashAtOnce(quick))
    },
    async close() {
      await Promise.all([...threads].map((thread) => thread.end()))
    },
  }
}

function hashAtOnce<N extends DigestName>(names: readonly N[]): Hasher<N> {
  const digester = createDigester(names)
  return { update: (bytes) => digester.update(bytes), digest: async () => digester.digest(), discard() {} }
}

/** `here` does its part meanwhile. */
function hashInThread<N extends DigestName>(
  thread: Thread,
  stream: number,
  names: readonly N[],
  here: Hasher<N>,
): Hasher<N> {
  let isOpen = true
  thread.streams++
  thread.post({ do: 'start', stream, names })
  const leave = () => {
    if (isOpen) thread.streams--
    isOpen = false
  }
  return {
    async update(bytes) {
      const answer = thread.ask({ do: 'update', stream, bytes })
      await here.update(bytes)
      await answer
    },
    async digest() {
      leave()
      const digests = (await thread.ask({ do: 'digest', stream })) as Record<N, Uint8Array>
      // Messages carry Buffers as what they are made of.
      const buffers = names.map((name) => [name, Buffer.from(digests[name])])
      return { ...(await here.digest()), ...Object.fromEntries(buffers) } as Digests<N>
    },
    discard() {
      if (isOpen) thread.post({ do: 'discard', stream })
      leave()
    },
  }
}
