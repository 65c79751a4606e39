/**
 * The S3 server: sockets in, answers out, for as many origins as it listens on. What is between is handle.ts. Node's
 * own parser refuses requests that could be read in two ways (both lengths, two lengths, bare line ends); what it
 * refuses is answered in the shape of S3, and the connection closed.
 */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type ServerOptions as TlsOptions } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { hostname } from 'node:os'
import { S3Error } from '../../model/s3-error.ts'
import type { BackupImages } from '../../services/backups/images.ts'
import type { Moved } from '../../services/buckets/traffic.ts'
import { watchConnections } from '../http/closing.ts'
import { type AccessEntry, accessLine, printable } from './access-log.ts'
import { type Exchange, sendAnswer, sendError } from './answer.ts'
import { crossOriginHeaders } from './cross-origin.ts'
import { createDispatcher } from './dispatch.ts'
import { asS3Error, chainOf, errorDocument } from './errors.ts'
import { addressOf, type HandleParts, handle, type Incoming, type S3Parts, type Trace } from './handle.ts'
import { type RequestHeaders, readHeaders } from './headers.ts'
import type { Operation, ShowWebsite } from './operation.ts'
import { newRequestId } from './request-id.ts'
import { createVerifier, type VerifierOptions } from './sigv4.ts'
import { createSource } from './source.ts'
import { type Domains, parseTarget, type Target } from './target.ts'

export interface S3ServerOptions {
  parts: S3Parts
  operations: readonly Operation[]
  /** Answers for the website domain. */
  showWebsite?: ShowWebsite
  /** Answers links to backups' disk images. */
  backupImages?: BackupImages
  findKey: VerifierOptions['findKey']
  domains: Domains
  /** Bodies under way at a time, both ways; more are told to slow down. */
  maxBodies: number
  /** A line of the access log, or one about trouble. */
  log(line: string): void
  /** After each request on a bucket that was let in. */
  count?(moved: Moved): void
  now?: () => Date
  idleMs?: number
}

export interface S3Listen {
  host: string
  port: number
  /** Several processes take turns at the same port. */
  isShared?: boolean
  tls?: TlsOptions
}

export interface S3Server {
  /** Resolves with the port. */
  listen(where: S3Listen): Promise<number>
  /** New certificates for connections to come. */
  renewTls(tls: TlsOptions): void
  /** Requests under way may end within a few seconds. */
  stop(): Promise<void>
}

const HTTP: ServerOptions = {
  headersTimeout: 20_000,
  requestTimeout: 0, // uploads take hours; a body that stands still is ended by idleMs
  keepAliveTimeout: 65_000, // longer than SDKs keep theirs, so that they, not we, close
  maxHeaderSize: 16 * 1024,
  highWaterMark: 64 * 1024,
  insecureHTTPParser: false,
  requireHostHeader: false, // refused by refuseUnclear, in the shape of S3
}
const IDLE_BODY_MS = 60_000
const HOST_ID = createHash('sha256').update(`${hostname()} ${process.pid}`).digest('base64')

export function createS3Server(options: S3ServerOptions): S3Server {
  const { parts, domains, now = () => new Date() } = options
  const inside: HandleParts = {
    parts,
    verifier: createVerifier({ regions: parts.settings.regions, findKey: options.findKey, now }),
    dispatcher: createDispatcher(options.operations),
    showWebsite: options.showWebsite,
    backupImages: options.backupImages,
  }
  const servers: { server: Server; closing: ReturnType<typeof watchConnections> }[] = []
  let bodies = 0
  let isStopping = false

  async function serve(request: IncomingMessage, response: ServerResponse, isAwaited: boolean): Promise<void> {
    const began = performance.now()
    const bytesBefore = request.socket.bytesWritten
    const source = createSource(request, response, isAwaited, options.idleMs ?? IDLE_BODY_MS)
    const exchange: Exchange = {
      request,
      response,
      requestId: newRequestId(),
      hostId: HOST_ID,
      awaitsContinue: () => isAwaited && !source.isContinued(),
      received: source.received,
      headers: {},
    }
    const trace: Trace = { operation: null, caller: null, bucket: null }
    let target: Target | null = null
    let errorCode: string | null = null
    let takesSlot = false
    try {
      const headers = readHeaders(request.rawHeaders)
      refuseUnclear(headers, exchange)
      target = parseTarget(request.url ?? '', headers.get('host'), domains)
      const incoming: Incoming = {
        id: exchange.requestId,
        message: request,
        headers,
        target,
        isSecure: 'encrypted' in request.socket,
        bytes: source.bytes,
      }
      if (request.method !== 'OPTIONS') {
        exchange.headers = await crossOriginHeaders(parts.buckets, target, headers, request.method ?? '')
      }
      takesSlot = movesBytes(request)
      if (takesSlot && ++bodies > options.maxBodies) throw new S3Error('SlowDown')
      const answer = await handle(inside, incoming, trace)
      if (isStopping) exchange.headers.connection = 'close'
      await sendAnswer(exchange, answer)
    } catch (thrown) {
      const { error, isBug } = asS3Error(thrown)
      errorCode = error.s3Code
      if (isStopping) exchange.headers.connection = 'close'
      if (isBug) report('error', `bug in request ${exchange.requestId}`, error)
      // The client learns nothing of it, so the operator must: a full disk, a cluster or a database that is away.
      else if (error.s3Code === 'ServiceUnavailable') report('warn', `request ${exchange.requestId} refused`, error)
      if (response.headersSent) response.socket?.destroy()
      else await sendError(exchange, error, resourceOf(target, request))
    } finally {
      if (takesSlot) bodies--
      const bytesOut = Math.max(0, request.socket.bytesWritten - bytesBefore)
      note({
        request,
        exchange,
        trace,
        target,
        errorCode,
        ms: performance.now() - began,
        bytesIn: source.received(),
        bytesOut,
      })
    }
  }

  function note(seen: {
    request: IncomingMessage
    exchange: Exchange
    trace: Trace
    target: Target | null
    errorCode: string | null
    ms: number
    bytesIn: number
    bytesOut: number
  }): void {
    const { request, exchange, trace, target, bytesIn, bytesOut } = seen
    const method = request.method ?? ''
    const entry: AccessEntry = {
      requestId: exchange.requestId,
      method,
      path: request.url ?? '',
      operation: trace.operation?.name ?? null,
      bucket: target?.bucket ?? null,
      status: exchange.response.statusCode,
      errorCode: seen.errorCode,
      ms: Math.round(seen.ms * 10) / 10,
      bytesIn,
      bytesOut,
      accessKeyId: trace.caller?.accessKeyId ?? null,
      accountId: trace.caller?.accountId ?? null,
      address: addressOf(request),
      agent: request.headers['user-agent'] ?? null,
    }
    options.log(accessLine(entry, now()))
    // Who is not let in is not on the owner's bill.
    if (trace.bucket && exchange.response.statusCode !== 403) {
      const isWrite = method !== 'GET' && method !== 'HEAD'
      options.count?.({ bucket: trace.bucket, isWrite, bytesIn, bytesOut })
    }
  }

  /** pino's numbers, as in the API's log. */
  function report(level: 'warn' | 'error', msg: string, error: S3Error): void {
    const entry = { level: level === 'warn' ? 40 : 50, time: now().toISOString(), msg, chain: chainOf(error) }
    options.log(printable(JSON.stringify(entry)))
  }

  const lastAnswer = new WeakMap<object, ServerResponse>()

  function open({ tls }: S3Listen): Server {
    const server = tls ? createTlsServer({ ...HTTP, ...tls }) : createServer(HTTP)
    const start = (isAwaited: boolean) => (request: IncomingMessage, response: ServerResponse) => {
      // What breaks off is noticed by whoever reads or writes; without a listener it would end the process.
      request.on('error', () => {})
      response.on('error', () => {})
      lastAnswer.set(request.socket, response)
      serve(request, response, isAwaited).catch((error) => {
        report('error', 'cannot answer', asS3Error(error).error)
        request.socket.destroy()
      })
    }
    server.on('request', start(false))
    server.on('checkContinue', start(true))
    server.on('checkExpectation', start(true))
    server.on('clientError', (error, socket) => refuseUnreadable(error, socket as Socket, lastAnswer.get(socket)))
    return server
  }

  return {
    async listen(where) {
      const server = open(where)
      const closing = watchConnections(server)
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen(
          { host: where.host, port: where.port, reusePort: where.isShared ?? false, backlog: 1024 },
          resolve,
        )
      })
      servers.push({ server, closing })
      return (server.address() as AddressInfo).port
    },
    renewTls(tls) {
      for (const { server } of servers) {
        if ('setSecureContext' in server) (server as unknown as import('node:tls').Server).setSecureContext(tls)
      }
    },
    async stop() {
      isStopping = true
      await Promise.all(
        servers.map(({ server, closing }) => {
          const closed = new Promise((resolve) => server.close(resolve))
          server.closeIdleConnections()
          closing.begin()
          return closed
        }),
      )
    },
  }
}

/** Node refuses the worst itself; these it lets through. Whoever sends them may mean more than one thing. */
function refuseUnclear(headers: RequestHeaders, exchange: Exchange): void {
  const why = unclear(headers, exchange.request.httpVersion)
  if (!why) return
  exchange.headers.connection = 'close'
  throw why
}

function unclear(headers: RequestHeaders, httpVersion: string): S3Error | null {
  const coding = headers.get('transfer-encoding')
  if (coding !== undefined && coding.trim().toLowerCase() !== 'chunked') {
    return new S3Error('NotImplemented', 'The only transfer coding is chunked.')
  }
  const hosts = headers.all('host').length
  if (hosts > 1) return new S3Error('InvalidRequest', 'There are several Host headers.')
  if (hosts === 0 && httpVersion !== '1.0') return new S3Error('InvalidRequest', 'There is no Host header.')
  const expected = headers.get('expect')
  if (expected === undefined || expected.trim().toLowerCase() === '100-continue') return null
  return new S3Error('InvalidRequest', 'The only expectation is 100-continue.')
}

/** Uploads, and what may become a download. */
const movesBytes = ({ method }: IncomingMessage): boolean => method === 'PUT' || method === 'POST' || method === 'GET'

const resourceOf = (target: Target | null, request: IncomingMessage): string =>
  target?.path ?? (request.url ?? '').replace(/\?.*/s, '')

/**
 * Not HTTP that we can read, so there is no request to answer; the socket gets the answer's text. A request before it
 * that came whole gets its own answer still, and that is the last one.
 */
function refuseUnreadable(error: NodeJS.ErrnoException, socket: Socket, last: ServerResponse | undefined): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  if (last && !last.writableFinished && last.req.complete) {
    last.shouldKeepAlive = false
    last.once('close', () => socket.destroySoon())
    return
  }
  // In the middle of an answer, or after one that was the last, there is nothing to say.
  if (last?.headersSent && (!last.writableFinished || !last.shouldKeepAlive)) {
    socket.destroySoon()
    return
  }
  const requestId = newRequestId()
  const known = unreadable(error.code ?? '')
  const body = errorDocument(known, { resource: '', requestId, hostId: HOST_ID })
  const head = [
    'HTTP/1.1 400 Bad Request',
    'Content-Type: application/xml',
    `x-amz-request-id: ${requestId}`,
    `x-amz-id-2: ${HOST_ID}`,
    `Date: ${new Date().toUTCString()}`,
    'Server: Havn',
    'Connection: close',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroySoon())
}

function unreadable(code: string): S3Error {
  if (code === 'HPE_HEADER_OVERFLOW') return new S3Error('MetadataTooLarge', 'Your request’s headers are too large.')
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new S3Error('RequestTimeout')
  return new S3Error('BadRequest', 'An error occurred when parsing the HTTP request.')
}
