/**
 * The HTTP server: takes dialects as data and does for all of them what must be the same: request ids, authentication,
 * rate limits, parsing, the transaction of a change, errors in the dialect's shape, logs, metrics and OpenAPI. Nothing
 * here knows a dialect by name.
 *
 * The order of a request: request id, route, credential (401), limits (429), scope (403), body (413, 415, syntax),
 * schema, service. So a stranger learns nothing about what a call would have said. Where a route says what its path names
(`names`), that is looked for before the body and the schema are complained of.
 */
import { randomUUID } from 'node:crypto'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest, LogController } from 'fastify'
import { CloudError, describeError } from '../../model/errors.ts'
import { createAuthenticator } from './auth.ts'
import { BODY_BYTES_MAX, parseBody, refuseEncoding } from './body.ts'
import { type ApiContext, auditEntry, type Call, pathOf, type RoomContext } from './call.ts'
import { idempotencyKey } from './change.ts'
import { watchConnections } from './closing.ts'
import { docsIndex, docsPage } from './docs.ts'
import { asCloudError, BLANK_PROBLEM, type Problem, RequestError } from './errors.ts'
import { handle, refusalOf } from './handle.ts'
import { healthRoutes } from './health.ts'
import { createLimits, limitHeaders, spend } from './limits.ts'
import { createMetrics } from './metrics.ts'
import { openApi } from './openapi.ts'
import { type Dialect, JSON_TYPE, MUTATING, type Route } from './route.ts'

const SANE_REQUEST_ID = /^[A-Za-z0-9_.:-]{8,128}$/
const HEADERS_TIMEOUT_MS = 20_000
const BODY_TIMEOUT_MS = 30_000 // 1 MiB at 35 kB/s
const IDLE_SOCKET_MS = 120_000 // event streams send a comment every 15 s
const PARAM_LENGTH_MAX = 16_384 // Node refuses longer request lines itself; shorter than that a path gets the dialect's 404
const OTHER_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'] as const

/** `dialects[0]` also answers what no dialect owns. */
export function createApi(context: ApiContext, dialects: readonly Dialect[]): FastifyInstance {
  const fallback = dialects[0]!
  const dialectOf = (path: string): Dialect => dialects.find(({ owns }) => owns(path)) ?? fallback
  const limits = createLimits(context.limits)
  const metrics = context.metrics ?? createMetrics()

  const app = Fastify({
    logger: context.logger ?? false,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    genReqId: (request) => requestId(dialectOf(pathOf(request.url ?? '/')), request.headers),
    bodyLimit: BODY_BYTES_MAX,
    connectionTimeout: IDLE_SOCKET_MS,
    forceCloseConnections: 'idle',
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: PARAM_LENGTH_MAX },
    http: { headersTimeout: HEADERS_TIMEOUT_MS },
    frameworkErrors: (error, request, reply) => {
      sign(begin(request), request, reply)
      return reply.send(refuse(error, request, reply) as never)
    },
    clientErrorHandler(error, socket) {
      // Not even HTTP: there is no path, so the fallback's shape it is.
      if (error.code === 'ECONNRESET' || !socket.writable) return
      const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400
      const { body } = fallback.errors({
        ...BLANK_PROBLEM,
        code: 'invalid',
        message: 'this is not an HTTP request we can read',
      })
      const text = JSON.stringify(body)
      const head = [
        `HTTP/1.1 ${status} Bad Request`,
        'Content-Type: application/json; charset=utf-8',
        'Connection: close',
      ]
      socket.end(`${[...head, `Content-Length: ${Buffer.byteLength(text)}`].join('\r\n')}\r\n\r\n${text}`)
    },
  })

  const authenticate = createAuthenticator({
    access: context.access,
    onKeyChange: context.onKeyChange,
    onError: (error) => app.log.warn({ err: error }, 'cannot note the use of a key'),
  })

  function begin(request: FastifyRequest): Call {
    const { config } = request.routeOptions
    request.call ??= {
      dialect: config?.dialect ?? dialectOf(pathOf(request.url)),
      route: config?.route ?? null,
      principal: null,
      hasCredential: false,
      allowedMethods: config?.allowedMethods ?? [],
      bodyBytes: undefined,
      resourceId: null,
      errorCode: null,
    }
    return request.call
  }

  function sign({ dialect }: Call, { id }: FastifyRequest, reply: FastifyReply): void {
    reply.header('x-request-id', id)
    if (dialect.requestId) reply.header(dialect.requestId.header, id)
  }

  async function admit(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const call = begin(request)
    const { dialect, route } = call
    sign(call, request, reply)
    const refusesMethod = call.allowedMethods.length > 0 && request.method !== 'OPTIONS'
    if (!route && !(refusesMethod && dialect.hidesMethods)) return
    const isOpen = route !== null && (route.scope === null || (route.openTo === 'loopback' && isLocal(request)))
    const tokens = isOpen ? [] : dialect.tokens.flatMap((read) => read(request.headers) ?? [])
    call.hasCredential = tokens.length > 0
    call.principal = await authenticate(tokens)
    if (!call.principal) {
      if (tokens.length > 0) spend(limits.failedLogins.take(request.ip), 'failed logins')
      const budget = limits.addresses.take(request.ip)
      reply.headers(limitHeaders(budget))
      spend(budget, 'requests')
      if (isOpen) return
      throw new CloudError('unauthenticated', tokens.length > 0 ? 'this key is not known' : 'send an API key')
    }
    const budget = limits.keys.take(call.principal.apiKeyId)
    reply.headers(limitHeaders(budget))
    spend(budget, 'requests')
    if (!route) return
    if (!call.principal.scopes.has(route.scope!)) {
      throw new CloudError('forbidden', `this key lacks the scope ${route.scope}`)
    }
    if (route.isCreate) spend(limits.creates.take(call.principal.apiKeyId), 'creates')
    idempotencyKey(request.method, request.headers['idempotency-key'])
  }

  /** Status and headers are set; returns the body. */
  function refuse(error: unknown, request: FastifyRequest, reply: FastifyReply): string {
    const { call } = request
    const known = asCloudError(error)
    const problem = problemOf(known, request)
    call.errorCode = problem.code
    if (!known) request.log.error({ err: error, chain: describeError(error) }, 'bug')
    // Not aloud: an outage would say it for every request.
    else if (known.code === 'unavailable') request.log.info({ err: error }, 'unavailable')
    const { status, body, headers = {} } = call.dialect.errors(problem)
    // Else the rest of a file that nobody wants would have to be read to its end.
    if (call.route?.takes === 'stream') reply.header('connection', 'close')
    const retryAfter = known?.details.retryAfterSeconds
    if (retryAfter !== undefined) reply.header('retry-after', String(retryAfter))
    if (problem.allowedMethods.length > 0) reply.header('allow', problem.allowedMethods.join(', '))
    reply.code(status).headers(headers).type(JSON_TYPE)
    return JSON.stringify(body)
  }

  app.decorateRequest('call', null as unknown as Call)
  app.addHook('onRequest', admit)
  app.addHook('onResponse', async (request, reply) => {
    const { dialect, route, principal, errorCode } = request.call ?? begin(request)
    const ms = reply.elapsedTime
    metrics.request(dialect.name, route ? `${route.method} ${route.path}` : 'none', reply.statusCode, ms / 1000)
    request.log.info({
      dialect: dialect.name,
      method: request.method,
      path: pathOf(request.url),
      status: reply.statusCode,
      ms: Math.round(ms * 10) / 10,
      account: principal?.accountId,
      key: principal?.apiKeyId,
      address: request.ip,
      error: errorCode ?? undefined,
    })
  })
  app.setErrorHandler(async (error, request, reply) => {
    begin(request)
    const text = refuse(await refusalOf(context, request, error), request, reply)
    // Before the answer: who was refused finds it on record.
    await noteRefusal(context, request, reply.statusCode, app)
    return reply.send(text)
  })
  app.setNotFoundHandler((request, reply) => {
    begin(request)
    const error = new CloudError('not_found', `there is no ${request.method} ${pathOf(request.url)}`)
    return reply.send(refuse(error, request, reply))
  })

  const closing = watchConnections(app.server)
  app.addHook('preClose', async () => closing.begin())
  const inside = { ...context, closing: closing.signal }

  register(app, inside, { ...fallback, routes: healthRoutes(metrics) })
  for (const dialect of dialects) register(app, inside, dialect)
  registerDocs(app, dialects)
  return app
}

/** Each kind of body in a plugin of its own: content type parsers belong to a plugin, not to a route. */
function register(app: FastifyInstance, context: RoomContext, dialect: Dialect): void {
  void app.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, (request, bytes, done) => {
      try {
        refuseEncoding(request.headers['content-encoding'])
        request.call.bodyBytes = bytes as Buffer
        done(null, parseBody(bytes as Buffer, request.headers['content-type'], dialect.takesForms ?? false))
      } catch (error) {
        done(error as Error)
      }
    })
    // A body that trickles would hold its connection for ever: Node's own deadline is off, uploads need longer.
    scope.addHook('preParsing', async (request) => {
      if (request.raw.complete || (!request.headers['transfer-encoding'] && !Number(request.headers['content-length'])))
        return
      const timer = setTimeout(() => request.raw.destroy(), BODY_TIMEOUT_MS).unref()
      request.raw.once('end', () => clearTimeout(timer)).once('close', () => clearTimeout(timer))
    })
    for (const route of dialect.routes) if (route.takes !== 'stream') add(scope, context, dialect, route)
    addOtherMethods(scope, dialect)
  })
  void app.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', (_request, _stream, done) => done(null, undefined))
    for (const route of dialect.routes) if (route.takes === 'stream') add(scope, context, dialect, route)
  })
}

function add(scope: FastifyInstance, context: RoomContext, dialect: Dialect, route: Route): void {
  scope.route({
    method: route.method,
    url: pattern(route.path),
    exposeHeadRoute: route.method === 'GET' && route.produces !== 'text/event-stream',
    config: { dialect, route },
    handler: handle(context, route),
  })
}

/** What a path does not do: OPTIONS tells, the rest is refused with `Allow` (RFC 9110, section 15.5.6). */
function addOtherMethods(scope: FastifyInstance, dialect: Dialect): void {
  const byPath = Map.groupBy(dialect.routes, ({ path }) => pattern(path))
  for (const [url, routes] of byPath) {
    const served: string[] = routes.map(({ method }) => method)
    if (routes.some(({ method, produces }) => method === 'GET' && produces !== 'text/event-stream')) served.push('HEAD')
    const allowedMethods = [...served, 'OPTIONS']
    const config = { dialect, allowedMethods }
    scope.route({
      method: 'OPTIONS',
      url,
      config,
      handler: (_request, reply) => reply.code(204).header('allow', allowedMethods.join(', ')).send(),
    })
    const refused = OTHER_METHODS.filter((method) => !allowedMethods.includes(method))
    scope.route({
      method: refused,
      url,
      config,
      // Before the body is read: what it holds does not matter.
      onRequest: async (request) => {
        throw new CloudError('method_not_allowed', `${request.method} is not possible here`)
      },
      handler: () => undefined,
    })
  }
}

function registerDocs(app: FastifyInstance, dialects: readonly Dialect[]): void {
  for (const dialect of dialects) {
    // When somebody asks: the making of all of them would be most of the time that a start takes.
    const document = once(() => openApi(dialect))
    const json = once(() => JSON.stringify(document()))
    const page = once(() => docsPage(dialect, document()))
    app.get(`/openapi/${dialect.name}.json`, (_request, reply) => reply.type(JSON_TYPE).send(json()))
    app.get(`/docs/${dialect.name}`, (_request, reply) => reply.type('text/html; charset=utf-8').send(page()))
  }
  const index = docsIndex(dialects)
  // Who opens the origin in a browser finds the way.
  app.get('/', (_request, reply) => reply.redirect('/docs'))
  app.get('/docs', (_request, reply) => reply.type('text/html; charset=utf-8').send(index))
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}

/**
 * A change or a look at a secret that was refused after the caller was known, or a credential that was wrong, is on
 * record; 429s are not.
 */
async function noteRefusal(
  { db, records }: ApiContext,
  request: FastifyRequest,
  status: number,
  app: FastifyInstance,
): Promise<void> {
  const { call } = request
  const isRecorded = call.route !== null && (MUTATING.includes(request.method) || call.route.isSecret === true)
  if (!isRecorded || call.errorCode === 'rate_limited') return
  if (!call.principal && !call.hasCredential) return
  try {
    await records.audit(db, auditEntry(request, status))
  } catch (error) {
    app.log.error({ err: error, requestId: request.id }, 'cannot write the audit row of a refused call')
  }
}

function problemOf(error: CloudError | null, request: FastifyRequest): Problem {
  const { hasCredential, allowedMethods } = request.call
  const at = { hasCredential, allowedMethods, method: request.method, path: pathOf(request.url), requestId: request.id }
  if (!error) return { ...BLANK_PROBLEM, ...at }
  const { code, message, details } = error
  return {
    ...at,
    code,
    message,
    issues: details.issues ?? [],
    isMalformed: error instanceof RequestError,
    resource: details.resource ?? null,
    state: details.state ?? null,
  }
}

function requestId({ requestId: own }: Dialect, headers: Record<string, string | string[] | undefined>): string {
  const given = own && headers[own.header]
  if (typeof given === 'string' && own?.accepts.test(given)) return given
  const common = headers['x-request-id']
  return typeof common === 'string' && (own?.accepts ?? SANE_REQUEST_ID).test(common) ? common : randomUUID()
}

/** From this machine, and not through a proxy on it. */
const isLocal = ({ ip, headers }: FastifyRequest): boolean =>
  /^(127\.|::1$|::ffff:127\.)/.test(ip) && !headers['x-forwarded-for'] && !headers.forwarded && !headers.via

const pattern = (path: string): string => path.replaceAll(/\{(\w+)\}/g, ':$1')
