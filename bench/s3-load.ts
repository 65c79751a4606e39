/**
 * The load generator of bench/s3.ts, in a thread of its own: raw keep-alive sockets that send requests signed
 * beforehand, one at a time on each, and count the bytes of the answers into one buffer that is used again and again.
 * It shares the machine's cores with the servers, so what it does not do is measured too.
 */
import { connect } from 'node:net'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import type { LoadResult } from './load.ts'
import { percentile } from './tools.ts'

const READ_BYTES = 256 * 1024

export interface S3Load {
  host: string
  port: number
  /** Whole heads, blank line included; asked in turn. */
  heads: readonly string[]
  /** What follows every head; in shared memory, so that nobody copies it. */
  body: Uint8Array<SharedArrayBuffer> | null
  connections: number
  seconds: number
}

export function runS3Load(load: S3Load): Promise<LoadResult> {
  return new Promise((resolve, reject) => {
    const thread = new Worker(new URL(import.meta.url), { workerData: load })
    thread.once('message', resolve)
    thread.once('error', reject)
  })
}

if (!isMainThread) parentPort?.postMessage(await generate(workerData as S3Load))

async function generate(load: S3Load): Promise<LoadResult> {
  const heads = load.heads.map((head) => Buffer.from(head, 'latin1'))
  const body = load.body === null ? null : Buffer.from(load.body.buffer)
  // A small body goes out with its head in one piece.
  const whole = body && body.length < READ_BYTES ? heads.map((head) => Buffer.concat([head, body])) : heads
  const follows = body && whole === heads ? body : null
  const latencies: number[] = []
  const counts = { errors: 0, bytes: 0, sent: 0 }
  const began = performance.now()
  const end = began + load.seconds * 1_000

  const clients = Array.from({ length: load.connections }, () => {
    return new Promise<void>((resolve, reject) => {
      const answer = answerReader()
      let asked = 0
      const ask = () => {
        asked = performance.now()
        if (asked >= end) {
          socket.destroy()
          return resolve()
        }
        const head = whole[counts.sent++ % whole.length]!
        if (follows) socket.cork()
        socket.write(head)
        if (follows) {
          socket.write(follows)
          socket.uncork()
        }
      }
      const onread = {
        buffer: Buffer.allocUnsafe(READ_BYTES),
        callback(size: number, bytes: Uint8Array) {
          counts.bytes += size
          const status = answer.take(bytes as Buffer, size)
          if (status === 0) return true
          latencies.push(performance.now() - asked)
          if (status < 200 || status > 299) counts.errors += 1
          ask()
          return true
        },
      }
      const socket = connect({ host: load.host, port: load.port, noDelay: true, onread })
      socket.once('connect', ask)
      socket.once('error', reject)
      socket.once('close', () => reject(new Error('the server closed the connection')))
    })
  })
  await Promise.all(clients)
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

/** Tells when an answer is whole: its status, or 0 while there is more to come. */
function answerReader() {
  let begun = Buffer.alloc(0) as Buffer
  let status = 0
  let left = 0
  /** Of an answer without a length, the last bytes seen. */
  let tail: string | null = null

  function takeHead(bytes: Buffer): Buffer | null {
    const seen = begun.length === 0 ? bytes : Buffer.concat([begun, bytes])
    const end = seen.indexOf('\r\n\r\n')
    if (end < 0) {
      begun = Buffer.from(seen)
      return null
    }
    begun = Buffer.alloc(0)
    const head = seen.toString('latin1', 0, end)
    status = Number(head.slice(9, 12))
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)
    tail = length || !/\r\ntransfer-encoding: *chunked/i.test(head) ? null : ''
    left = Number(length?.[1] ?? 0)
    return seen.subarray(end + 4)
  }
  return {
    take(buffer: Buffer, size: number): number {
      let bytes = buffer.subarray(0, size)
      if (status === 0) {
        const rest = takeHead(bytes)
        if (rest === null) return 0
        bytes = rest
      }
      if (tail === null) left -= bytes.length
      else tail = (tail + bytes.subarray(-7).toString('latin1')).slice(-7)
      if (tail === null ? left > 0 : !tail.endsWith('0\r\n\r\n')) return 0
      const whole = status
      status = 0
      tail = null
      return whole
    },
  }
}
