/**
 * Puts answers on the wire. Whatever happens to the request's body meanwhile, none of its bytes is ever taken for the
 * next request: what is not read is thrown away, up to a bound, or the connection is closed.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { finished } from 'node:stream/promises'
import type { S3Error } from '../../model/s3-error.ts'
import { asS3Error, errorDocument } from './errors.ts'
import type { S3Answer } from './operation.ts'
import { drain } from './source.ts'
import { DECLARATION } from './xml.ts'

export interface Exchange {
  request: IncomingMessage
  response: ServerResponse
  requestId: string
  hostId: string
  /** The client waits for `100 Continue` and did not get it. */
  awaitsContinue(): boolean
  /** Of the body, framing included. */
  received(): number
  /** Headers that every answer carries, errors too: CORS. */
  headers: Record<string, string>
}

const DRAIN_MAX_BYTES = 1024 * 1024
const STALLED_MS = 60_000 // a client that takes nothing for so long is gone
const SERVER = 'Havn'

/** Rejects only when the content breaks off; then the connection is closed, so that nobody takes it for whole. */
export async function sendAnswer(exchange: Exchange, answer: S3Answer): Promise<void> {
  const { request } = exchange
  const { xml, text, content, lateXml } = answer
  const body = xml ?? text
  const isEmpty = body === undefined && content === undefined && lateXml === undefined
  const status = answer.status ?? (isEmpty && request.method === 'DELETE' ? 204 : 200)
  const headers = baseHeaders(exchange)
  for (const [name, value] of Object.entries(answer.headers ?? {})) {
    if (value !== undefined) headers[name] = value
  }
  if (lateXml) return sendLate(exchange, { ...headers, 'content-type': 'application/xml' }, lateXml)
  if (content) {
    headers['content-length'] = String(content.lengthBytes)
    if (request.method === 'HEAD') return finish(exchange, status, headers, null)
    // All at once is one write, and nobody needs to watch over it.
    if (Buffer.isBuffer(content.body)) return finish(exchange, status, headers, content.body)
    return sendContent(exchange, status, headers, content.body)
  }
  if (xml !== undefined) headers['content-type'] ??= 'application/xml'
  return finish(exchange, status, headers, body === undefined ? null : Buffer.from(body))
}

/** `resource` is the path as sent. */
export function sendError(exchange: Exchange, error: S3Error, resource: string): Promise<void> {
  const headers = { ...baseHeaders(exchange), ...error.headers }
  const isSilent = error.status === 304 || error.status === 204
  // It sent nothing for long enough.
  const lingers = error.s3Code !== 'RequestTimeout'
  if (error.s3Code === 'SlowDown' || error.s3Code === 'ServiceUnavailable') headers['retry-after'] ??= '1'
  if (!isSilent) headers['content-type'] = 'application/xml'
  const { requestId, hostId } = exchange
  const body = isSilent ? null : Buffer.from(errorDocument(error, { resource, requestId, hostId }))
  return finish(exchange, error.status, headers, body, lingers)
}

const baseHeaders = ({ requestId, hostId, headers }: Exchange): Record<string, string> => ({
  'x-amz-request-id': requestId,
  'x-amz-id-2': hostId,
  server: SERVER,
  ...headers,
})

async function finish(
  exchange: Exchange,
  status: number,
  headers: Record<string, string>,
  body: Buffer | null,
  lingers = true,
): Promise<void> {
  const { request, response } = exchange
  if (response.destroyed) return
  const hasBody = body !== null && request.method !== 'HEAD'
  if (body !== null || (status !== 204 && status !== 304)) headers['content-length'] ??= String(body?.length ?? 0)
  if (request.complete) {
    response.writeHead(status, headers)
    response.end(hasBody ? body : undefined)
    return
  }
  const left = bytesLeft(exchange)
  const isSilent = !lingers || exchange.awaitsContinue()
  const mustClose = isSilent || left === null || left > DRAIN_MAX_BYTES
  if (mustClose) headers.connection = 'close'
  response.writeHead(status, headers)
  // All of the answer goes out before the end of the exchange does: the client may stop sending when it reads it.
  if (hasBody) response.write(body)
  else response.flushHeaders()
  const isDrained = isSilent ? false : await drain(request)
  const { socket } = response
  response.end()
  if (!isDrained && !mustClose) socket?.destroySoon()
}

/** Null: nobody knows. */
function bytesLeft({ request, received }: Exchange): number | null {
  if (request.headers['transfer-encoding'] !== undefined) return null
  return Number(request.headers['content-length'] ?? 0) - received()
}

const BREATH_MS = 5_000

/** 200, then a byte now and then, then the document or an error in its place (S3 API reference, "CopyObject"). */
async function sendLate(exchange: Exchange, headers: Record<string, string>, xml: Promise<string>): Promise<void> {
  const { request, response, requestId, hostId } = exchange
  if (!request.complete) headers.connection = 'close'
  response.writeHead(200, headers)
  // White space may not stand before the declaration.
  response.write(DECLARATION)
  const timer = setInterval(() => void response.write('\n'), BREATH_MS)
  try {
    response.end((await xml).slice(DECLARATION.length))
  } catch (thrown) {
    const resource = request.url?.replace(/\?.*$/s, '') ?? ''
    const document = errorDocument(asS3Error(thrown).error, { resource, requestId, hostId })
    response.end(document.slice(DECLARATION.length))
    await finished(response).catch(() => {}) // whoever logs it closes the connection
    throw thrown
  } finally {
    clearInterval(timer)
  }
}

async function sendContent(
  exchange: Exchange,
  status: number,
  headers: Record<string, string>,
  sendTo: (target: ServerResponse, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { request, response } = exchange
  const gone = new AbortController()
  const onClose = () => gone.abort(new Error('the client is gone'))
  const { socket } = response
  const onStall = () => socket?.destroy(new Error('the client reads nothing'))
  if (response.destroyed) onClose()
  response.once('close', onClose)
  socket?.setTimeout(STALLED_MS)
  socket?.once('timeout', onStall)
  // A body of a request that has none by its meaning; not worth the trouble of keeping the connection.
  if (!request.complete) headers.connection = 'close'
  let isBegun = false
  try {
    if (!response.destroyed) response.writeHead(status, headers)
    isBegun = true
    await sendTo(response, gone.signal)
    if (!response.destroyed) response.end()
  } catch (error) {
    if (!isBegun) {
      // There may still be an error answer; and only sending lets go of what was opened.
      gone.abort(error)
      await sendTo(response, gone.signal).catch(() => {})
      throw error
    }
    // A write that fails says so before the stream is told that it is closed.
    const isGone = gone.signal.aborted || response.destroyed || socket?.destroyed === true
    socket?.destroy()
    if (!isGone) throw error
  } finally {
    response.off('close', onClose)
    socket?.off('timeout', onStall)
    socket?.setTimeout(0)
  }
}
