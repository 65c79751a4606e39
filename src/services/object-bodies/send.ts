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

export interface OpenBody {
  /**
   * Writes, and leaves ending or destroying the target to the caller. Rejects when the target closes or `signal`
   * aborts, or when the rest cannot be read: then the only honest thing is to cut the connection.
   */
  sendTo(target: Writable, signal: AbortSignal): Promise<void>
  /** Instead of `sendTo`, or after it. Never throws. */
  close(): Promise<void>
}

/** Rejects when the very first piece cannot be read, while there may still be an error answer. */
export async function openBody(objects: Pick<ObjectsDriver, 'read'>, { body, range, key }: Sending): Promise<OpenBody> {
  const pieces = readBody(objects, body, range, key)
  const first = await pieces.next()
  const close = async () => void (await pieces.return().catch(() => {}))
  return {
    async sendTo(target, signal) {
      const outlet = createOutlet(target, signal)
      try {
        for (let piece = first; !piece.done; piece = await pieces.next()) await outlet.write(piece.value)
      } finally {
        outlet.leave()
        await close()
      }
    },
    close,
  }
}

/** A stream that closed may never call back, so its end is watched as well. */
export function createOutlet(target: Writable, signal: AbortSignal) {
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
