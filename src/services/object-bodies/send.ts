/** Sends a body, or a range of it, at the speed of whoever takes it. */
import type { Writable } from 'node:stream'
import type { ObjectsDriver } from '../../drivers/objects/objects.ts'
import type { BodyKey } from './encryption.ts'
import { type ByteRange, readBody, type StoredBody } from './read.ts'

export interface Sending {
  body: StoredBody
  range: ByteRange
  /** Opens what is encrypted; null when nothing is. */
  key: BodyKey | null
}

/**
 * Writes, and leaves ending or destroying the target to the caller. Nothing was written when the very first piece
 * cannot be read, so that there may still be an error answer; later the only honest thing is to cut the connection.
 * Rejects when the target closes or `signal` aborts.
 */
export async function sendBody(
  objects: Pick<ObjectsDriver, 'read'>,
  { body, range, key }: Sending,
  target: Writable,
  signal: AbortSignal,
): Promise<void> {
  const outlet = createOutlet(target, signal)
  try {
    for await (const piece of readBody(objects, body, range, key)) await outlet.write(piece)
  } finally {
    outlet.leave()
  }
}

/** A stream that closed may never call back, so its end is watched as well. */
function createOutlet(target: Writable, signal: AbortSignal) {
  let failure: Error | null = null
  let fail = (_: Error): void => {}
  const end = () => {
    failure ??= new Error('whoever the body was sent to went away')
    fail(failure)
  }
  if (signal.aborted || target.destroyed) end()
  target.once('close', end)
  signal.addEventListener('abort', end)
  return {
    write(piece: Buffer): Promise<void> {
      return new Promise((resolve, reject) => {
        if (failure) return reject(failure)
        fail = reject
        target.write(piece, (error) => (error ? reject(error) : resolve()))
      })
    },
    leave() {
      target.off('close', end)
      signal.removeEventListener('abort', end)
    },
  }
}
