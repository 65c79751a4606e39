/** Bytes on a socket, for what no HTTP client would send. */
import { connect, type Socket } from 'node:net'
import { waitFor } from '../../src/lib/wait.ts'

export interface RawAnswer {
  status: number
  headers: Record<string, string>
  body: string
  /** `<Code>` of an error document. */
  code: string | null
}

export interface RawConnection {
  socket: Socket
  send(bytes: string | Buffer): void
  /** The next answer, `100 Continue` too. Null: the connection was closed before one came. `HEAD` answers have no body. */
  answer(options?: { isHead?: boolean }): Promise<RawAnswer | null>
  /** The other side has closed. */
  closed(): Promise<boolean>
  end(): void
}

const LIMIT_MS = 15_000

export function rawConnection(url: string): RawConnection {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  let received = Buffer.alloc(0)
  let isClosed = false
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk])
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    isClosed = true
  })

  function take(isHead: boolean): RawAnswer | null {
    const end = received.indexOf('\r\n\r\n')
    if (end === -1) return null
    const [first = '', ...lines] = received.toString('latin1', 0, end).split('\r\n')
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    )
    const status = Number(first.split(' ')[1])
    const length = isHead || status === 100 ? 0 : Number(headers['content-length'] ?? 0)
    if (received.length < end + 4 + length) return null
    const body = received.toString('utf8', end + 4, end + 4 + length)
    received = received.subarray(end + 4 + length)
    return { status, headers, body, code: /<Code>(\w+)<\/Code>/.exec(body)?.[1] ?? null }
  }

  return {
    socket,
    send: (bytes) => void socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes),
    async answer({ isHead = false } = {}) {
      let found: RawAnswer | null = null
      await waitFor(
        () => {
          found = take(isHead)
          return found !== null || isClosed
        },
        { timeoutMs: LIMIT_MS },
      )
      return found
    },
    closed: async () => (await waitFor(() => isClosed, { timeoutMs: LIMIT_MS })) === true,
    end: () => void socket.destroy(),
  }
}
