/**
 * Buffers that are used again and again. They lie in shared memory, so that a thread can hash what is being written to
 * disk or sent at the same time.
 */
export interface BufferPool {
  readonly bytes: number
  /** Holds anything: zeroes, or what the last user left. */
  take(): Buffer
  /** Only what nothing reads or writes any more; a buffer that is in doubt is not given back, and freed. */
  give(buffer: Buffer): void
}

export function createBufferPool(bytes: number, keep: number): BufferPool {
  const idle: Buffer[] = []
  return {
    bytes,
    take: () => idle.pop() ?? Buffer.from(new SharedArrayBuffer(bytes)),
    give(buffer) {
      if (buffer.length !== bytes) throw new Error(`a buffer of ${buffer.length} bytes is not of this pool`)
      if (idle.length < keep) idle.push(buffer)
    },
  }
}
