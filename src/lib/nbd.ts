/**
 * A small NBD client: reads an export over a unix socket, with any number of requests in flight, and asks which parts
 * of it hold data or have changed. Protocol: the NBD project's doc/proto.md, fixed newstyle negotiation and structured
 * replies. The server is a program we started, but nothing it says is trusted: lengths are bounded, and a request that
 * takes too long ends the connection.
 */
import { connect } from 'node:net'
import { createConversation } from './nbd/conversation.ts'
import { NbdError } from './nbd/error.ts'
import { negotiate } from './nbd/negotiate.ts'
import { blockStatusRequest, DISCONNECT, type NbdExtent, type Pending, readRequest, replies } from './nbd/transmit.ts'

export { NbdError, type NbdExtent }

export interface NbdOptions {
  socket: string
  exportName: string
  /** Meta contexts that are wanted: `base:allocation`, `qemu:dirty-bitmap:NAME`. */
  contexts?: readonly string[]
  /** For the negotiation, and for each request. */
  timeoutMs?: number
}

export interface NbdClient {
  readonly sizeBytes: number
  /** Those of the wanted contexts that the server has. */
  readonly contexts: readonly string[]
  /** Fills the buffer; at most 32 MiB. Throws `NbdError`. */
  read(offset: number, into: Buffer): Promise<void>
  /** By context, from `offset` on: at least one extent each, and none behind `offset + length`. Throws `NbdError`. */
  blockStatus(offset: number, length: number): Promise<Map<string, NbdExtent[]>>
  /** Fails what is under way. */
  close(): Promise<void>
}

const TIMEOUT_MS = 60_000
const READ_MAX_BYTES = 32 * 1024 * 1024 // what every server takes (proto.md, "Size constraints")
const STATUS_MAX_BYTES = 2 ** 31
const RECEIVE_BYTES = 512 * 1024

/** Throws `NbdError` when nobody answers, or the export is not there. */
export async function connectNbd(options: NbdOptions): Promise<NbdClient> {
  const { socket: path, exportName, contexts = [], timeoutMs = TIMEOUT_MS } = options
  const pending = new Map<bigint, Pending>()
  let ended: NbdError | null = null
  let failStart: ((error: NbdError) => void) | null = null
  let lastCookie = 0n

  const endWith = (message: string, cause?: unknown) => {
    ended ??= new NbdError(message, true, cause)
    socket.destroy()
    failStart?.(ended)
    for (const { fail } of pending.values()) fail(ended)
    pending.clear()
  }
  const socket = connect({
    path,
    onread: {
      buffer: Buffer.allocUnsafeSlow(RECEIVE_BYTES),
      callback(length, bytes) {
        try {
          conversation.feed((bytes as Buffer).subarray(0, length))
        } catch (error) {
          endWith(`the NBD server broke the protocol: ${(error as Error).message}`, error)
        }
        return true
      },
    },
  })
  socket.on('error', (error) => endWith('the connection to the NBD server failed', error))
  socket.on('close', () => endWith('the NBD server closed the connection'))

  const conversation = createConversation()
  const negotiated = await withTimeout(
    new Promise<Awaited<ReturnType<typeof talk>>>((resolve, reject) => {
      failStart = reject
      talk().then(resolve, reject)
    }),
  )
  failStart = null

  function talk() {
    return new Promise<{ sizeBytes: number; contexts: Map<number, string> }>((resolve) => {
      conversation.start(
        (function* () {
          const found = yield* negotiate((bytes) => void socket.write(bytes), exportName, contexts)
          resolve(found)
          yield* replies(pending, found.contexts)
        })(),
      )
    })
  }

  async function withTimeout<T>(work: Promise<T>): Promise<T> {
    const timer = setTimeout(() => endWith(`the NBD server did not answer within ${timeoutMs} ms`), timeoutMs)
    try {
      return await work
    } finally {
      clearTimeout(timer)
    }
  }

  function ask(request: (cookie: bigint) => Buffer, expected: Pick<Pending, 'offset' | 'length' | 'into'>) {
    const { offset, length } = expected
    if (!(length > 0) || offset < 0 || offset + length > negotiated.sizeBytes) {
      throw new NbdError(`${length} bytes from ${offset} are not within the export`, false)
    }
    if (ended) throw ended
    const cookie = ++lastCookie
    return withTimeout(
      new Promise<Map<string, NbdExtent[]>>((done, fail) => {
        pending.set(cookie, { ...expected, received: 0, extents: new Map(), error: null, done, fail })
        socket.write(request(cookie))
      }),
    )
  }

  return {
    sizeBytes: negotiated.sizeBytes,
    contexts: [...negotiated.contexts.values()],
    async read(offset, into) {
      if (into.length > READ_MAX_BYTES) throw new NbdError(`${into.length} bytes are too many to read at once`, false)
      await ask((cookie) => readRequest(cookie, offset, into.length), { offset, length: into.length, into })
    },
    async blockStatus(offset, length) {
      const asked = Math.min(length, STATUS_MAX_BYTES)
      return ask((cookie) => blockStatusRequest(cookie, offset, asked), { offset, length: asked, into: null })
    },
    async close() {
      if (!ended) socket.write(DISCONNECT)
      ended ??= new NbdError('the connection to the NBD server was closed', true)
      const isClosed = new Promise<void>((closed) =>
        socket.destroyed ? closed() : socket.once('close', () => closed()),
      )
      socket.destroySoon()
      setTimeout(() => socket.destroy(), 1_000).unref()
      await isClosed
    },
  }
}
