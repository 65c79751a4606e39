/** Buffers that are used again and again. */
export interface BufferPool {
  /** Holds anything: zeroes, or what the last user left. */
  take(): Buffer
  /** Only what nothing reads or writes any more; a buffer in doubt is not given back, and freed. */
  give(buffer: Buffer): void
}

/** Keeps up to `keep` of them while nobody needs them. */
export function createBufferPool(make: () => Buffer, keep: number): BufferPool {
  const idle: Buffer[] = []
  return {
    take: () => idle.pop() ?? make(),
    give(buffer) {
      if (idle.length < keep) idle.push(buffer)
    },
  }
}
