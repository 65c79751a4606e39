/**
 * The bytes of a request's body as they come off the socket, pulled: nobody reads ahead of who stores them, so a slow
 * disk slows its client down and a slow client costs one buffer. The first pull sends `100 Continue` to a client that
 * waits for it; until then all has been verified.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { S3Error } from '../../model/s3-error.ts'

export interface Source {
  bytes: AsyncIterable<Buffer>
  /** Of the wire, framing included. */
  received(): number
  /** Whether `100 Continue` was sent, or nobody waits for it. */
  isContinued(): boolean
}

/** Throws RequestTimeout after `idleMs` without a byte, IncompleteBody when the connection is lost. */
export function createSource(
  request: IncomingMessage,
  response: ServerResponse,
  isAwaited: boolean,
  idleMs: number,
): Source {
  let received = 0
  let isContinued = !isAwaited
  const change = createSignal(request)
  // A reader who stopped early never comes back to the end: a form's file is over before its body is.
  response.once('close', change.end)

  async function* read(): AsyncGenerator<Buffer> {
    if (!isContinued) {
      isContinued = true
      response.writeContinue()
    }
    try {
      for (;;) {
        const chunk = request.read() as Buffer | null
        if (chunk !== null) {
          received += chunk.length
          yield chunk
        } else if (request.readableEnded) {
          if (!request.complete) throw new S3Error('IncompleteBody')
          return
        } else if (request.destroyed || change.isOver()) {
          throw new S3Error('IncompleteBody', undefined, { cause: request.errored ?? undefined })
        } else if (!(await change.wait(idleMs)) && !change.isOver()) {
          throw new S3Error('RequestTimeout')
        }
      }
    } finally {
      change.end()
    }
  }
  return { bytes: { [Symbol.asyncIterator]: read }, received: () => received, isContinued: () => isContinued }
}

/** Wakes whoever waits for something to happen to the stream; true = it did, false = not in time. */
function createSignal(request: IncomingMessage) {
  let wake: ((happened: boolean) => void) | undefined
  let timer: NodeJS.Timeout | undefined
  const happened = () => wake?.(true)
  const EVENTS = ['readable', 'end', 'close', 'error'] as const
  let isListening = false
  let isOver = false
  return {
    isOver: () => isOver,
    wait(ms: number): Promise<boolean> {
      if (!isListening) {
        isListening = true
        for (const event of EVENTS) request.on(event, happened)
      }
      // One timer for the whole body, pushed back at every wait.
      if (timer) timer.refresh()
      else timer = setTimeout(() => wake?.(false), ms)
      return new Promise((resolve) => {
        wake = (answer) => {
          wake = undefined
          resolve(answer)
        }
      })
    },
    end(): void {
      isOver = true
      clearTimeout(timer)
      for (const event of EVENTS) request.off(event, happened)
      wake?.(false)
    },
  }
}

const LINGER_MAX_BYTES = 1024 * 1024
const LINGER_MAX_MS = 2_000

/**
 * Reads on for a moment and throws the bytes away, so that a client which is still sending sees the answer instead of a
 * connection reset. True when the body came to its end within the bounds: only then can the connection be used again.
 */
export function drain(request: IncomingMessage): Promise<boolean> {
  if (request.readableEnded || request.destroyed) return Promise.resolve(request.complete)
  return new Promise((resolve) => {
    let left = LINGER_MAX_BYTES
    const done = (isComplete: boolean) => {
      clearTimeout(timer)
      request.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose)
      request.pause()
      resolve(isComplete)
    }
    const onData = (chunk: Buffer) => {
      left -= chunk.length
      if (left < 0) done(false)
    }
    const onEnd = () => done(request.complete)
    const onClose = () => done(false)
    const timer = setTimeout(onClose, LINGER_MAX_MS)
    request.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose)
    request.resume()
  })
}
