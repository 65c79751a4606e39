/** A bare S3 client that hides nothing: one signed request, one answer, no retries, and an error when the line is cut. */
import { createHash } from 'node:crypto'
import { Agent, request as send } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { encodePath, type Query, UNSIGNED_PAYLOAD } from '../../../src/lib/sigv4.ts'
import { type SigningKeys, signHeaders } from '../../../src/lib/sigv4-sign.ts'

export interface Call {
  query?: Query
  /** Lower-case names; every one is signed. */
  headers?: Readonly<Record<string, string>>
  body?: Buffer
  /** The body's SHA-256 is signed too. */
  signsBody?: boolean
}
export interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: Buffer
  /** Of an <Error> document; '' in every other. */
  code: string
}

export interface BareClient {
  /** `path` is `/bucket/key` before any encoding. */
  call(method: string, path: string, call?: Call): Promise<Answer>
  /** Where to send from now on: `http://host:port`. */
  url: string
  close(): void
}

export function createBareClient(url: string, keys: SigningKeys): BareClient {
  const agent = new Agent({ keepAlive: true })
  const client: BareClient = {
    url,
    async call(method, path, { query = [], headers = {}, body, signsBody = false } = {}) {
      const { hostname, port, host } = new URL(client.url)
      const payload = signsBody
        ? createHash('sha256')
            .update(body ?? '')
            .digest('hex')
        : UNSIGNED_PAYLOAD
      const signed = signHeaders({ method, host, path, query, headers }, payload, keys)
      const search = query.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join('&')
      const target = encodePath(path) + (search && `?${search}`)
      const length = body === undefined ? {} : { 'content-length': String(body.length) }
      return await new Promise((resolve, reject) => {
        const request = send({ agent, hostname, port, method, path: target, headers: { ...signed, ...length } })
        request.once('error', reject)
        request.once('response', (response) => {
          buffer(response).then((bytes) => resolve(answerOf(response.statusCode!, response.headers, bytes)), reject)
        })
        request.end(body)
      })
    },
    close: () => agent.destroy(),
  }
  return client
}

function answerOf(status: number, headers: Answer['headers'], body: Buffer): Answer {
  const code = status < 400 ? '' : (element(body, 'Code') ?? '')
  return { status, headers, body, code }
}

/** The text of the first such element; enough for answers whose shape is known. */
export const element = (xml: Buffer | string, name: string): string | undefined => elements(xml, name)[0]

export function elements(xml: Buffer | string, name: string): string[] {
  const found = xml.toString().matchAll(new RegExp(`<${name}>([^]*?)</${name}>`, 'g'))
  return [...found].map(([, text]) => text!)
}
