/**
 * Closing a server within seconds. Node lets go of connections that are idle between two requests, but not of those
 * that never sent one, and browsers and HTTP libraries open such ahead of need; nor does an event stream end by itself.
 */
import type { Server } from 'node:http'
import type { Socket } from 'node:net'

const GRACE_MS = 5_000 // for answers that are under way

export interface Closing {
  /** Aborted when closing begins: long answers end. */
  signal: AbortSignal
  begin(): void
}

export function watchConnections(server: Server): Closing {
  const controller = new AbortController()
  const silent = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    silent.add(socket)
    socket.once('close', () => silent.delete(socket))
  })
  server.on('request', ({ socket }) => silent.delete(socket))
  return {
    signal: controller.signal,
    begin() {
      controller.abort()
      for (const socket of silent) socket.destroy()
      setTimeout(() => server.closeAllConnections(), GRACE_MS).unref()
    },
  }
}
