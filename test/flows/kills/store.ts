/** The object store as a server of its own that can be taken away at any moment and come back with all it had. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type Cluster, startCluster } from '../../cluster.ts'

export interface Store {
  cluster: Cluster
  endpoint: string
  /** From now on every connection dies, those that are open at once. */
  goAway(): void
  comeBack(): void
  /** How many have asked in vain since it went away. */
  turnedAway(): number
  close(): Promise<void>
}

export async function startStore(): Promise<Store> {
  const cluster = await startCluster()
  const { hostname, port } = new URL(cluster.options.endpoint)
  const sockets = new Set<Socket>()
  let isAway = false
  let turnedAway = 0
  const server = createServer((client) => {
    if (isAway) {
      turnedAway += 1
      return client.destroy()
    }
    const inner = connect(Number(port), hostname)
    for (const [one, other] of [
      [client, inner],
      [inner, client],
    ] as const) {
      sockets.add(one)
      one.pipe(other)
      one.on('error', () => {})
      one.on('close', () => {
        sockets.delete(one)
        other.destroy()
      })
    }
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  return {
    cluster,
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    goAway() {
      isAway = true
      turnedAway = 0
      for (const socket of sockets) socket.destroy()
    },
    comeBack() {
      isAway = false
    },
    turnedAway: () => turnedAway,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((closed) => server.close(closed))
      await cluster.close()
    },
  }
}
