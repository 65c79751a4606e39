/** Bytes for the tests of object storage: as many as one likes, from a name. */
import assert from 'node:assert/strict'
import { createCipheriv, createHash } from 'node:crypto'

/** They do not compress, and are the same at every run. */
export function bytesOf(name: string, length: number): Buffer {
  const key = createHash('sha256').update(name).digest()
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(length))
}

/** Without printing megabytes when they differ. */
export function assertSameBytes(actual: Uint8Array, expected: Uint8Array, what: string): void {
  assert.equal(actual.length, expected.length, `${what}: length`)
  assert.ok(Buffer.compare(actual, expected) === 0, `${what}: its bytes differ`)
}

/** Numbers from 0 to below 1, the same for the same seed (mulberry32, a well-known small generator). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
