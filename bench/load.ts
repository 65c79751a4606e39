/**
 * A small HTTP/1.1 load generator in a thread of its own: keep-alive connections, one request at a time on each. At a
 * given rate a latency counts from the moment the request was due, so a server that stalls cannot hide it by being
 * asked less often. At saturation (`rate` 0) every connection asks again at once.
 */
import { connect, type Socket } from 'node:net'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { percentile } from './tools.ts'

export interface Load {
  url: string
  /** Asked in turn. */
  paths: readonly string[]
  headers: Record<string, string>
  connections: number
  /** Requests per second; 0 = as many as it takes. */
  rate: number
  seconds: number
}
export interface LoadResult {
  requests: number
  perSecond: number
  p50Ms: number
  p95Ms: number
  /** Answers that were not 200. */
  errors: number
  bytes: number
}

export function runLoad(load: Load): Promise<LoadResult> {
  return new Promise((resolve, reject) => {
    const thread = new Worker(new URL(import.meta.url), { workerData: load })
    thread.once('message', resolve)
    thread.once('error', reject)
  })
}

if (!isMainThread) parentPort?.postMessage(await generate(workerData as Load))

async function generate(load: Load): Promise<LoadResult> {
  const { rate, seconds, connections } = load
  const latencies: number[] = []
  const counts = { errors: 0, bytes: 0, sent: 0 }
  const began = performance.now()
  const end = began + seconds * 1_000

  async function client(): Promise<void> {
    const ask = await openConnection(load)
    for (;;) {
      const turn = counts.sent++
      const due = rate === 0 ? performance.now() : began + (turn * 1_000) / rate
      if (due >= end) break
      const early = due - performance.now()
      if (early > 0) await new Promise((resolve) => setTimeout(resolve, early))
      const { status, bytes } = await ask.request(load.paths[turn % load.paths.length]!)
      latencies.push(performance.now() - due)
      counts.bytes += bytes
      if (status !== 200) counts.errors += 1
    }
    ask.socket.destroy()
  }
  await Promise.all(Array.from({ length: connections }, client))
  const took = (performance.now() - began) / 1_000
  return {
    requests: latencies.length,
    perSecond: latencies.length / took,
    p50Ms: percentile(latencies, 0.5),
    p95Ms: percentile(latencies, 0.95),
    errors: counts.errors,
    bytes: counts.bytes,
  }
}

interface Answer {
  status: number
  bytes: number
}

/** Both servers say Content-Length, so an answer is its head and that many bytes. */
async function openConnection({
  url,
  headers,
}: Load): Promise<{ socket: Socket; request(path: string): Promise<Answer> }> {
  const { hostname, port, host } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port), noDelay: true })
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  const lines = Object.entries({ host, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`)
  const tail = ` HTTP/1.1\r\n${lines.join('')}\r\n`
  let chunks: Buffer[] = []
  let size = 0
  let expected = -1
  let status = 0
  let settle: { resolve(answer: Answer): void; reject(error: Error): void } | null = null

  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    size += chunk.length
    if (expected < 0) {
      const head = Buffer.concat(chunks).toString('latin1')
      const bodyAt = head.indexOf('\r\n\r\n')
      if (bodyAt < 0) return
      status = Number(head.slice(9, 12))
      expected = bodyAt + 4 + Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0)
    }
    if (size < expected) return
    const answer = { status, bytes: size }
    chunks = []
    size = 0
    expected = -1
    settle?.resolve(answer)
  })
  socket.on('close', () => settle?.reject(new Error('the server closed the connection')))
  socket.on('error', () => {})
  return {
    socket,
    request: (path) =>
      new Promise((resolve, reject) => {
        settle = { resolve, reject }
        socket.write(`GET ${path}${tail}`)
      }),
  }
}
