/**
 * One QMP connection (QEMU Machine Protocol, docs/interop/qmp-spec): JSON lines over a unix socket. Replies carry the
 * id of their command; events come in between at any time. A QMP socket serves one client: a second one connects and
 * then hears nothing, hence the deadline on the greeting.
 */
import { connect, type Socket } from 'node:net'

export interface QmpEvent {
  event: string
  data: Record<string, unknown>
}

export interface Qmp {
  /** The command's `return`. Throws `QmpError` when QEMU refuses, `QmpGone` when it does not answer in time or went away. */
  execute<T = unknown>(command: string, args?: Record<string, unknown>, timeoutMs?: number): Promise<T>
  close(): void
  readonly isOpen: boolean
}

export interface QmpOptions {
  greetingMs?: number
  onEvent?: (event: QmpEvent) => void
  /** Once, when the connection is over, whoever ended it. */
  onClose?: () => void
}

/** QEMU's answer was an error; `kind` is its class (`GenericError`, `CommandNotFound`, `DeviceNotFound` …). */
export class QmpError extends Error {
  readonly kind: string
  constructor(command: string, kind: string, description: string) {
    super(`${command}: ${description}`)
    this.name = 'QmpError'
    this.kind = kind
  }
}

/** No answer: the process is gone, hangs, or somebody else holds the socket. */
export class QmpGone extends Error {
  override name = 'QmpGone'
}

const LINE_BYTES_MAX = 8 << 20 // query-qmp-schema, the longest answer there is, has about 200 kB
const COMMAND_MS = 5_000 // commands answer within a millisecond; a host in deep swap may take long
const GREETING_MS = 2_000

/** Connects, reads the greeting, leaves negotiation mode. Throws `QmpGone`. */
export async function connectQmp(path: string, options: QmpOptions = {}): Promise<Qmp> {
  const socket = connect(path)
  const session = new Session(socket, options)
  try {
    await session.greeted(options.greetingMs ?? GREETING_MS)
    await session.execute('qmp_capabilities')
    return session
  } catch (error) {
    session.close()
    throw error
  }
}

interface Waiting {
  command: string
  resolve: (value: unknown) => void
  reject: (error: Error) => void
  timer: NodeJS.Timeout
}
type Reply = Record<string, unknown> & { id?: number; error?: { class: string; desc: string } }

class Session implements Qmp {
  isOpen = true
  readonly #socket: Socket
  readonly #options: QmpOptions
  readonly #waiting = new Map<number, Waiting>()
  #nextId = 1
  #partial = ''
  #why = 'the connection was closed'
  #onGreeting: (() => void) | null = null
  #isGreeted = false

  constructor(socket: Socket, options: QmpOptions) {
    this.#socket = socket
    this.#options = options
    socket.setEncoding('utf8')
    socket.unref() // an idle connection keeps no program alive; whoever waits for an answer has a timer
    socket.on('data', (text: string) => this.#read(text))
    socket.on('error', (error) => {
      this.#why = error.message
    })
    socket.on('close', () => this.#end())
  }

  greeted(timeoutMs: number): Promise<void> {
    if (this.#isGreeted) return Promise.resolve()
    return this.#wait(0, 'greeting', timeoutMs, () => {}) as Promise<void>
  }

  execute<T>(command: string, args?: Record<string, unknown>, timeoutMs = COMMAND_MS): Promise<T> {
    const id = this.#nextId++
    const line = `${JSON.stringify({ execute: command, ...(args && { arguments: args }), id })}\r\n`
    return this.#wait(id, command, timeoutMs, () => this.#socket.write(line)) as Promise<T>
  }

  close(): void {
    this.#socket.destroy()
    this.#end()
  }

  #wait(id: number, command: string, timeoutMs: number, start: () => void): Promise<unknown> {
    if (!this.isOpen) return Promise.reject(new QmpGone(`${command}: ${this.#why}`))
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id)
        reject(new QmpGone(`${command}: no answer within ${timeoutMs} ms`))
      }, timeoutMs)
      this.#waiting.set(id, { command, resolve, reject, timer })
      if (id === 0) this.#onGreeting = () => this.#take(0)?.resolve(undefined)
      start()
    })
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id)
    if (waiting) clearTimeout(waiting.timer)
    this.#waiting.delete(id)
    return waiting
  }

  #read(text: string): void {
    const lines = (this.#partial + text).split('\n')
    this.#partial = lines.pop() ?? ''
    if (this.#partial.length > LINE_BYTES_MAX) this.#fail('QEMU sent a line without end')
    for (const line of lines) {
      if (line.trim() === '') continue
      try {
        this.#dispatch(JSON.parse(line) as Reply)
      } catch (error) {
        this.#fail(`QEMU sent something that is not QMP: ${(error as Error).message}`)
      }
    }
  }

  #dispatch(message: Reply): void {
    if ('QMP' in message) {
      this.#isGreeted = true
      this.#onGreeting?.()
    } else if (typeof message.event === 'string') {
      this.#options.onEvent?.({ event: message.event, data: (message.data ?? {}) as Record<string, unknown> })
    } else if (typeof message.id === 'number') {
      const waiting = this.#take(message.id) // absent when its deadline passed
      if (message.error) waiting?.reject(new QmpError(waiting.command, message.error.class, message.error.desc))
      else waiting?.resolve(message.return)
    }
  }

  #fail(why: string): void {
    this.#why = why
    this.close()
  }

  #end(): void {
    if (!this.isOpen) return
    this.isOpen = false
    for (const id of [...this.#waiting.keys()]) {
      const waiting = this.#take(id)
      waiting?.reject(new QmpGone(`${waiting.command}: ${this.#why}`))
    }
    this.#options.onClose?.()
  }
}
