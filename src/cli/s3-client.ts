/**
 * A small client of the S3 protocol: signs, sends, tries again, and turns refusals into sentences. Over node:http,
 * because fetch would rewrite keys that hold dot segments. Bodies are buffers that are signed whole, so every one of
 * them can be sent again and none arrives changed.
 */
import { hash } from 'node:crypto'
import { Agent, type IncomingMessage, request as requestHttp } from 'node:http'
import { Agent as AgentTls, request as requestHttps } from 'node:https'
import { setTimeout as delay } from 'node:timers/promises'
import { canonicalQuery, encodePath, type Query } from '../lib/sigv4.ts'
import { type SigningKeys, signHeaders } from '../lib/sigv4-sign.ts'
import { CliError, type Exit } from './exit.ts'

export interface S3Access extends SigningKeys {
  s3Url: string
}

export interface S3Request {
  method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  bucket: string
  /** Absent: the bucket itself. */
  key?: string
  query?: Query
  /** Lower-case names. */
  headers?: Record<string, string>
  body?: Buffer
}

export interface S3Client {
  access: S3Access
  /** The answer with its body unread. Throws a `CliError` for every refusal. */
  open(request: S3Request): Promise<IncomingMessage>
  /** The answer with its body, for what is small. */
  send(request: S3Request): Promise<{ headers: IncomingMessage['headers']; text: string }>
  close(): void
}

const TRIES = 4
const IDLE_MS = 120_000
const BODY_TEXT_MAX = 16 * 1024 * 1024 // a page of a listing with the longest keys is below

export function createS3Client(access: S3Access): S3Client {
  const url = new URL(access.s3Url)
  const isSecure = url.protocol === 'https:'
  const agent = isSecure ? new AgentTls({ keepAlive: true }) : new Agent({ keepAlive: true })

  function exchange({ method, bucket, key, query = [], headers = {}, body }: S3Request): Promise<IncomingMessage> {
    const path = key === undefined ? `/${bucket}` : `/${bucket}/${key}`
    const given = { ...headers, ...(body && { 'content-length': String(body.length) }) }
    const signed = signHeaders({ method, host: url.host, path, query, headers: given }, sha256(body), access)
    const target = encodePath(path) + (query.length > 0 ? `?${canonicalQuery(query)}` : '')
    return new Promise((resolve, reject) => {
      const options = { method, host: url.hostname, port: url.port, path: target, headers: signed, agent }
      const request = isSecure ? requestHttps(options, resolve) : requestHttp(options, resolve)
      request.setTimeout(IDLE_MS, () => request.destroy(new Error(`nothing came for ${IDLE_MS / 1000} s`)))
      request.on('error', reject)
      request.end(body)
    })
  }

  async function open(request: S3Request): Promise<IncomingMessage> {
    for (let tried = 1; ; tried++) {
      const failure = await exchange(request).then(
        async (answer) => {
          if (answer.statusCode! < 300) return answer
          return refusal(answer, request)
        },
        (error: Error) =>
          new CliError('unreachable', `object storage does not answer at ${url.origin} (${error.message})`, {
            cause: error,
          }),
      )
      if (!(failure instanceof CliError)) return failure
      if (failure.exit !== 'unreachable' || tried === TRIES) throw failure
      await delay(200 * 2 ** tried)
    }
  }

  return {
    access,
    open,
    async send(request) {
      const answer = await open(request)
      const text = await readText(answer)
      // A long Complete or Copy has said 200 before it knew (API reference, "CompleteMultipartUpload").
      if (/^\s*(<\?xml[^>]*\?>\s*)?<Error>/.test(text)) throw sentence(text, answer.statusCode!, request)
      return { headers: answer.headers, text }
    },
    close: () => agent.destroy(),
  }
}

const sha256 = (body: Buffer | undefined) => hash('sha256', body ?? '', 'hex')

async function readText(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of answer) {
    bytes += (chunk as Buffer).length
    if (bytes > BODY_TEXT_MAX) throw new CliError('error', 'the answer is larger than any that S3 gives')
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks).toString('utf8')
}

async function refusal(answer: IncomingMessage, request: S3Request): Promise<CliError> {
  return sentence(await readText(answer).catch(() => ''), answer.statusCode!, request)
}

const EXIT_OF_CODE: Record<string, Exit> = {
  QuotaExceeded: 'noCapacity',
  TooManyBuckets: 'noCapacity',
  BucketNotEmpty: 'conflict',
  InternalError: 'unreachable',
}
const EXIT_OF_STATUS: Record<number, Exit> = {
  400: 'usage',
  401: 'denied',
  403: 'denied',
  404: 'notFound',
  409: 'conflict',
  412: 'conflict',
  500: 'unreachable',
  502: 'unreachable',
  503: 'unreachable',
  504: 'unreachable',
}

function sentence(text: string, status: number, { bucket, key }: S3Request): CliError {
  const [code, message] = [textOf(text, 'Code'), textOf(text, 'Message')]
  const place = key === undefined ? bucket : `${bucket}/${key}`
  const said = code ? `${message || code} (${code})` : `the server answered ${status}`
  const requestId = textOf(text, 'RequestId')
  return new CliError((code && EXIT_OF_CODE[code]) || (EXIT_OF_STATUS[status] ?? 'error'), `${place}: ${said}`, {
    ...(requestId && { requestId }),
  })
}

/** The text of the first element of that name; '' when there is none. Enough for documents that we know. */
export function textOf(xml: string, name: string): string {
  const match = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)
  return unescaped(match?.[1] ?? '')
}

/** What stands inside each element of that name, in order. */
export const elementsOf = (xml: string, ...names: string[]): { name: string; inner: string }[] =>
  [...xml.matchAll(new RegExp(`<(${names.join('|')})>(.*?)</\\1>`, 'gs'))].map(([, name, inner]) => ({
    name: name!,
    inner: inner!,
  }))

const NAMED: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

const unescaped = (text: string): string =>
  text.replace(/&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|(\w+));/gi, (whole, hex, decimal, name) => {
    if (name) return NAMED[name] ?? whole
    return String.fromCodePoint(hex ? Number.parseInt(hex, 16) : Number(decimal))
  })
