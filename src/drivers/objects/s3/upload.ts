/**
 * One request whose body is streamed. It announces itself first (Expect: 100-continue), so that a connection that was
 * already dead, or a cluster that is busy, shows before a byte was sent and the request can be tried again.
 */
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { ANSWER_MS, type Call, type Client, refusalOf } from './client.ts'
import { isPassing } from './failure.ts'

export interface Upload {
  /** The bytes are out of the buffer when this is fulfilled. */
  write(bytes: Uint8Array): Promise<void>
  /** After all bytes: the headers of the cluster's 200. */
  finish(): Promise<IncomingHttpHeaders>
  /** Cuts the connection, unless it has finished. */
  abort(): void
}

const TRIES = 3
const PAUSE_MS = 200
const GO_AHEAD_MS = 1_000 // some proxies swallow it; then the body is simply sent
const FINISH_MS = 300_000

export async function openUpload(client: Client, call: Call, sizeBytes: number): Promise<Upload> {
  for (let tries = 1; ; tries++) {
    const request = client.begin(call, sizeBytes)
    try {
      const { upload, ready } = createUpload(request, call)
      if (sizeBytes > 0) await ready
      return upload
    } catch (error) {
      request.destroy()
      if (tries >= TRIES || !isPassing(error)) throw error
      await sleep(PAUSE_MS * tries)
    }
  }
}

function createUpload(request: ClientRequest, call: Call): { upload: Upload; ready: Promise<void> } {
  let failure: Error | null = null
  let failWrite = (_: Error): void => {}
  let isDone = false
  const ready = Promise.withResolvers<void>()
  const answered = Promise.withResolvers<IncomingMessage>()
  ready.promise.catch(() => {})
  answered.promise.catch(() => {})
  const fail = (error: Error) => {
    failure ??= error
    ready.reject(failure)
    answered.reject(failure)
    failWrite(failure)
  }
  request.on('error', fail)
  request.on('close', () => fail(new Error('the connection closed')))
  request.on('response', (answer) => {
    if (answer.statusCode! < 300) return answered.resolve(answer)
    void refusalOf(call, answer).then(fail) // heard before all was sent, too: nobody wants the rest
  })
  awaitGoAhead(request, ready.resolve)

  const upload: Upload = {
    write(bytes) {
      return new Promise((resolve, reject) => {
        if (failure) return reject(failure)
        const late = setTimeout(() => request.destroy(new Error('the cluster takes no bytes')), ANSWER_MS)
        const settle = (error?: Error | null) => {
          clearTimeout(late)
          if (error) reject(failure ?? error)
          else resolve()
        }
        failWrite = settle
        request.write(bytes, settle)
      })
    },
    async finish() {
      if (failure) throw failure
      request.end()
      const late = setTimeout(() => request.destroy(new Error('no answer in time')), FINISH_MS)
      try {
        const answer = await answered.promise
        answer.resume()
        isDone = true
        return answer.headers
      } finally {
        clearTimeout(late)
      }
    },
    abort() {
      if (!isDone) request.destroy()
    },
  }
  return { upload, ready: ready.promise }
}

/** Calls back once the body may follow. The wait for the word begins when the request is out, not in the queue. */
function awaitGoAhead(request: ClientRequest, onReady: () => void): void {
  const timers: NodeJS.Timeout[] = []
  const later = (ms: number, work: () => void) => timers.push(setTimeout(work, ms))
  const stop = () => timers.splice(0).forEach(clearTimeout)
  later(ANSWER_MS, () => request.destroy(new Error('no connection in time')))
  request.once('socket', (socket) => {
    const sent = () => {
      stop()
      later(GO_AHEAD_MS, onReady)
    }
    if (socket.connecting) socket.once('connect', sent)
    else sent()
  })
  request.once('continue', () => {
    stop()
    onReady()
  })
  request.once('close', stop)
  request.flushHeaders()
}
