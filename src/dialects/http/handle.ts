/** One call of one route: parse, run (a change in its transaction), answer. */
import type { FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import type { z } from 'zod'
import { CloudError, type FieldIssue, notFound } from '../../model/errors.ts'
import type { Caller, Ctx } from '../../services/ctx.ts'
import { type ApiContext, auditEntry, type RoomContext } from './call.ts'
import { change, idempotencyKey, requestDigest, type StoredAnswer } from './change.ts'
import { issuesOf, malformed, RequestError } from './errors.ts'
import { Answer, type Input, JSON_TYPE, JsonText, MUTATING, type Route } from './route.ts'

/** Longer than every id and name there is; such a thing does not exist. */
const PARAM_CHARACTERS_MAX = 512

type AnyInput = Input<z.ZodType, z.ZodType, z.ZodType>

export function handle(context: RoomContext, route: Route): RouteHandlerMethod {
  const isChange = MUTATING.includes(route.method) && route.takes !== 'stream'
  return async (request, reply) => {
    const input = parse(route, request, reply, context.closing)
    const ctx = contextOf(context, route, request)
    if (!isChange) {
      const result = await route.run(ctx, input)
      if (isRecorded(route)) await context.records.audit(ctx.db, auditEntry(request, statusOf(route, result)))
      return send(reply, context, route, result)
    }
    const key = idempotencyKey(request.method, request.headers['idempotency-key'])
    const done = await change({
      ctx,
      records: context.records,
      idempotency:
        key === null ? null : { key, digest: requestDigest(request.method, request.url, request.call.bodyBytes) },
      work: (inside) => route.run(inside, input),
      answer: (result) => ({ ...serialize(route, result), isSecret: route.isSecret ?? false }),
      audit: (status) => auditEntry(request, status),
    })
    const isReplay = 'replayed' in done
    const result = isReplay ? revived(done.replayed) : done.result
    const other = await route.after?.(ctx, result, input)
    if (isReplay && other === undefined) return replay(reply, done.replayed)
    if (isReplay) reply.header(REPLAYED, 'true')
    return send(reply, context, route, other ?? result)
  }
}

/** What a refusal says: of a malformed request for what is not there, that it is not there. */
export async function refusalOf(context: ApiContext, request: FastifyRequest, error: unknown): Promise<unknown> {
  const { route, principal } = request.call
  if (!(error instanceof RequestError) || !route?.names || !principal) return error
  try {
    await route.names(contextOf(context, route, request), parseParams(route, request))
    return error
  } catch (other) {
    return other instanceof CloudError && other.code === 'not_found' ? other : error
  }
}

/** A kept answer as the route gave it: whoever repeats a call waits for its work too. */
function revived({ status, headers, body }: StoredAnswer): Answer {
  const { 'content-type': type = JSON_TYPE, ...rest } = headers
  const isJson = body !== null && type === JSON_TYPE
  return new Answer(isJson ? JSON.parse(body) : (body ?? undefined), { status, type, headers: rest })
}
const REPLAYED = 'idempotent-replayed'

/** What changes something is recorded with its effect; these are recorded before they are answered. */
const isRecorded = (route: Route): boolean => route.takes === 'stream' || route.isSecret === true

function contextOf({ db, settings, compute }: ApiContext, route: Route, request: FastifyRequest): Ctx {
  const { principal } = request.call
  const caller: Caller = principal ?? NOBODY
  return { db, settings, compute, caller, requestId: request.id, reach: reachOf(route, caller, request) }
}

/** For routes without a credential: sees nothing that belongs to anybody. */
const NOBODY: Caller = { accountId: 'acct_nobody', apiKeyId: null, scopes: new Set() }

function reachOf(route: Route, caller: Caller, request: FastifyRequest): Ctx['reach'] {
  const isOperator = caller.scopes.has('operator')
  if (route.reach === 'all') return isOperator ? 'all' : 'account'
  const asks = route.reach === 'asked' && (request.query as { all?: unknown }).all === 'true'
  if (!asks) return 'account'
  if (!isOperator) throw new CloudError('forbidden', 'only an operator may look at all accounts')
  return 'all'
}

function parse(route: Route, request: FastifyRequest, reply: FastifyReply, closing: AbortSignal): AnyInput {
  const params = parseParams(route, request)
  const issues: FieldIssue[] = []
  const query = check(route.query, 'query', request.query, issues)
  const body = check(route.body, 'body', request.body, issues)
  if (issues.length > 0) throw malformed(issues)
  return {
    params,
    query,
    body,
    headers: request.headers,
    stream: request.raw,
    get signal() {
      return AbortSignal.any([abortedWith(reply), closing])
    },
    concerns(id) {
      request.call.resourceId = id
    },
  }
}

/** What cannot be an id names nothing, so it is answered like what does not exist. */
function parseParams(route: Route, request: FastifyRequest): unknown {
  const params = request.params as Record<string, string>
  const texts = Object.values(params)
  const missing = (text = texts[0] ?? '') => notFound(route.noun ?? 'resource', text.slice(0, 64))
  for (const text of texts) {
    if (text.length > PARAM_CHARACTERS_MAX || /[\0-\x1f\x7f]/.test(text) || !text.isWellFormed()) throw missing()
  }
  request.call.resourceId = params.id ?? texts[0] ?? null
  if (!route.params) return params
  const parsed = route.params.safeParse(params)
  if (!parsed.success) throw missing(params[String(parsed.error.issues[0]?.path[0])])
  return parsed.data
}

function check(schema: z.ZodType | undefined, where: 'query' | 'body', value: unknown, issues: FieldIssue[]): unknown {
  if (!schema) return undefined
  if (where === 'query') {
    for (const [key, text] of Object.entries(value as object)) {
      if (!String(text).includes('\0')) continue
      issues.push({ where, path: [key], code: 'invalid_text', message: 'holds a NUL' })
      return undefined
    }
  }
  // The query parser's objects have no prototype, which zod does not take for plain objects in every version.
  const parsed = schema.safeParse(where === 'query' ? { ...(value as object) } : value, { reportInput: true })
  if (parsed.success) return parsed.data
  issues.push(...issuesOf(where, parsed.error, value))
  return undefined
}

function abortedWith(reply: FastifyReply): AbortSignal {
  const controller = new AbortController()
  reply.raw.once('close', () => controller.abort())
  if (reply.raw.destroyed) controller.abort()
  return controller.signal
}

const statusOf = (route: Route, result: unknown): number =>
  (result instanceof Answer ? result.status : undefined) ?? route.status

function serialize(route: Route, result: unknown): StoredAnswer {
  const { body, type, headers } = result instanceof Answer ? result : new Answer(result)
  const status = statusOf(route, result)
  if (body === undefined) return { status, headers, body: null }
  const kept = route.isSecret ? { 'cache-control': 'no-store' } : {}
  return { status, headers: { ...kept, ...headers, 'content-type': type }, body: textOf(body, type) }
}

function textOf(body: unknown, type: string): string {
  if (body instanceof JsonText) return body.text
  return typeof body === 'string' && type !== JSON_TYPE ? body : JSON.stringify(body)
}

function send(reply: FastifyReply, { checksAnswers }: ApiContext, route: Route, result: unknown): FastifyReply {
  if (result instanceof Answer && typeof result.body === 'object' && result.type !== JSON_TYPE) {
    return reply.code(statusOf(route, result)).headers(result.headers).type(result.type).send(result.body)
  }
  const stored = serialize(route, result)
  if (checksAnswers && route.answer && stored.body !== null) route.answer.parse(JSON.parse(stored.body))
  return replay(reply, stored, false)
}

function replay(reply: FastifyReply, { status, headers, body }: StoredAnswer, isReplay = true): FastifyReply {
  reply.code(status).headers(headers)
  if (isReplay) reply.header(REPLAYED, 'true')
  return reply.send(body ?? undefined)
}
