/**
 * Signed requests to one bucket of an S3-compatible cluster, path style, over a bounded number of connections that are
 * kept. Bodies go out with a plain Content-Length and UNSIGNED-PAYLOAD: released engines refuse the newer framings.
 */
import { createHash } from 'node:crypto'
import * as http from 'node:http'
import * as https from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { canonicalQuery, EMPTY_SHA256, encodePath, type Query, UNSIGNED_PAYLOAD } from '../../../lib/sigv4.ts'
import { signHeaders } from '../../../lib/sigv4-sign.ts'
import { ClusterRefusal, isPassing } from './failure.ts'

export interface ClusterOptions {
  /** `https://s3.example.net` or `http://10.0.0.7:7480`, perhaps with a path. */
  endpoint: string
  /** What requests are signed for; `us-east-1` where the cluster does not care. */
  region: string
  /** It must be there, and be used by nobody else under the prefix. */
  bucket: string
  /** In front of every key. */
  prefix: string
  accessKeyId: string
  secretAccessKey: string
}

export interface Call {
  method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  /** Null = the bucket itself. */
  key: string | null
  query?: Query
  headers?: Readonly<Record<string, string>>
  /** A small body, held in memory; undefined = none. */
  body?: Buffer
}

export interface Client {
  /** The answer's head, its body to be read or destroyed. Tried again when it failed in passing. */
  open(call: Call): Promise<http.IncomingMessage>
  /** The whole answer; `headers` in lower case. Tried again when it failed in passing. */
  ask(call: Call): Promise<{ status: number; headers: http.IncomingHttpHeaders; text: string }>
  /** A request whose body the caller writes: signed, not yet sent. */
  begin(call: Call, sizeBytes: number): http.ClientRequest
  close(): void
}

const CONNECTIONS_MAX = 256 // a transfer holds one; more at once wait their turn
const IDLE_CONNECTIONS_MAX = 32
const TRIES = 3
const PAUSE_MS = 200
export const ANSWER_MS = 60_000
const SIGNED_BODY_MAX_BYTES = 256 * 1024 // beyond, the hash would hold the event loop
const TEXT_MAX_BYTES = 8 * 1024 * 1024 // a page of 1,000 keys is below 1 MiB

export function createClient(options: ClusterOptions): Client {
  const endpoint = new URL(options.endpoint)
  const { request, Agent } = endpoint.protocol === 'https:' ? https : http
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS_MAX, maxFreeSockets: IDLE_CONNECTIONS_MAX })
  const base = `${endpoint.pathname.replace(/\/$/, '')}/${options.bucket}`

  function start(call: Call, payloadHash: string, unsigned: Record<string, string>): http.ClientRequest {
    const { method, query = [], headers = {} } = call
    const path = call.key === null ? base : `${base}/${call.key}`
    const signed = signHeaders({ method, host: endpoint.host, path, query, headers }, payloadHash, options)
    const search = query.length > 0 ? `?${canonicalQuery(query)}` : ''
    return request({
      agent,
      method,
      host: endpoint.hostname.replace(/^\[|\]$/g, ''),
      port: endpoint.port,
      path: encodePath(path) + search,
      headers: { ...signed, ...unsigned },
    })
  }

  function answerTo(call: Call): Promise<http.IncomingMessage> {
    const { body, method } = call
    const isLong = body !== undefined && body.length > SIGNED_BODY_MAX_BYTES
    const payloadHash = isLong ? UNSIGNED_PAYLOAD : body ? sha256(body) : EMPTY_SHA256
    const length = method === 'PUT' || method === 'POST' ? { 'content-length': String(body?.length ?? 0) } : {}
    return new Promise((resolve, reject) => {
      const sent = start(call, payloadHash, length)
      const late = setTimeout(() => sent.destroy(new Error('no answer in time')), ANSWER_MS)
      sent
        .on('error', reject)
        .on('response', resolve)
        .on('close', () => clearTimeout(late))
      sent.on('response', () => clearTimeout(late))
      sent.end(body)
    })
  }

  async function trying<T>(work: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await work()
      } catch (error) {
        if (tries >= TRIES || !isPassing(error)) throw error
        await sleep(PAUSE_MS * tries)
      }
    }
  }

  return {
    open: (call) =>
      trying(async () => {
        const answer = await answerTo(call)
        if (answer.statusCode! < 300) return answer
        throw await refusalOf(call, answer)
      }),
    ask: (call) =>
      trying(async () => {
        const answer = await answerTo(call)
        if (answer.statusCode! >= 300) throw await refusalOf(call, answer)
        const text = await textOf(answer)
        // Long work answers 200 first and may still fail.
        if (/<Error[\s>]/.test(text.slice(0, 1000))) throw refusal(call, answer, text)
        return { status: answer.statusCode!, headers: answer.headers, text }
      }),
    begin(call, sizeBytes) {
      const length = { 'content-length': String(sizeBytes) }
      return start(call, UNSIGNED_PAYLOAD, sizeBytes > 0 ? { ...length, expect: '100-continue' } : length)
    },
    close: () => agent.destroy(),
  }
}

const sha256 = (body: Buffer) => createHash('sha256').update(body).digest('hex')

export async function refusalOf(call: Call, answer: http.IncomingMessage): Promise<ClusterRefusal> {
  return refusal(call, answer, await textOf(answer).catch(() => ''))
}

function refusal({ method, key }: Call, answer: http.IncomingMessage, text: string): ClusterRefusal {
  const requestId = String(answer.headers['x-amz-request-id'] ?? '')
  return new ClusterRefusal(`${method} ${key ?? 'of the bucket'}`, answer.statusCode!, requestId, text)
}

async function textOf(answer: http.IncomingMessage): Promise<string> {
  const pieces: Buffer[] = []
  let bytes = 0
  const late = setTimeout(() => answer.destroy(new Error('the answer stopped')), ANSWER_MS)
  try {
    for await (const piece of answer as AsyncIterable<Buffer>) {
      bytes += piece.length
      if (bytes > TEXT_MAX_BYTES) throw new Error('the answer is too long')
      pieces.push(piece)
    }
    return Buffer.concat(pieces).toString()
  } finally {
    clearTimeout(late)
  }
}
