/**
 * One connection that LISTENs. What it delivers is a hint; whoever listens also polls or checks, because nothing is
 * kept for a listener that is away. `onState(false)` says that hints may be lost from now on.
 */
import pg from 'pg'

export interface Listener {
  close(): Promise<void>
}

const RETRY_MS = 500

export function listen(
  url: string,
  channels: readonly string[],
  onNotify: (channel: string, payload: string) => void,
  onState: (isConnected: boolean) => void = () => {},
): Listener {
  let closed = false
  let client: pg.Client | null = null
  let timer: NodeJS.Timeout | undefined

  function retry(): void {
    onState(false)
    client = null
    if (!closed) timer = setTimeout(() => void connect(), RETRY_MS)
  }

  async function connect(): Promise<void> {
    const next = new pg.Client({ connectionString: url, application_name: 'havn listen', keepAlive: true })
    let ended = false
    const end = () => {
      if (ended) return
      ended = true
      next.removeAllListeners()
      next.on('error', () => {})
      void next.end().catch(() => {})
      retry()
    }
    next.on('error', end)
    next.on('end', end)
    next.on('notification', ({ channel, payload }) => onNotify(channel, payload ?? ''))
    try {
      await next.connect()
      for (const channel of channels) await next.query(`LISTEN ${next.escapeIdentifier(channel)}`)
      if (closed) return void next.end().catch(() => {})
      client = next
      onState(true)
    } catch {
      end()
    }
  }

  void connect()
  return {
    async close() {
      closed = true
      clearTimeout(timer)
      const last = client
      client = null
      last?.removeAllListeners('end')
      await last?.end().catch(() => {})
    },
  }
}
