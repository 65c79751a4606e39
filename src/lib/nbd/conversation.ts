/**
 * A protocol as a generator that yields the buffers it wants filled, in order: it reads like one that blocks, and bytes
 * go straight from the socket to where they belong.
 */
export type Talk<T> = Generator<Buffer, T, void>

export interface Conversation {
  start(talk: Talk<void>): void
  /** Throws what the talk throws, which is then over. The bytes are not kept. */
  feed(bytes: Buffer): void
}

export function createConversation(): Conversation {
  let talk: Talk<void> | null = null
  let wanted: Buffer | null = null
  let filled = 0
  const next = () => {
    filled = 0
    do wanted = talk?.next().value ?? null
    while (wanted?.length === 0)
  }
  return {
    start(begun) {
      talk = begun
      next()
    },
    feed(bytes) {
      for (let at = 0; at < bytes.length; ) {
        if (!wanted) throw new Error('there is more than was asked for')
        const length = bytes.copy(wanted, filled, at)
        at += length
        filled += length
        if (filled === wanted.length) next()
      }
    },
  }
}

/** Waits for so many bytes, in a buffer of their own. */
export function* take(length: number): Talk<Buffer> {
  const bytes = Buffer.alloc(length)
  yield bytes
  return bytes
}
