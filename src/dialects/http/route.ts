/**
 * A dialect as data. A route names its method, path, scope and schemas, and a `run` that unpacks, calls a service and
 * wraps; a dialect is a list of routes with its own way to read credentials and to say errors. `server.ts` does the
 * rest the same way for all: authentication, limits, parsing, the transaction, idempotency, audit, OpenAPI.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import type { z } from 'zod'
import type { ErrorCode } from '../../model/errors.ts'
import type { Scope } from '../../model/scopes.ts'
import type { Ctx } from '../../services/ctx.ts'
import type { TokenReader } from './auth.ts'
import type { ErrorRenderer } from './errors.ts'

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
export const MUTATING: readonly string[] = ['POST', 'PUT', 'PATCH', 'DELETE']

type Parsed<S> = S extends z.ZodType ? z.output<S> : undefined

export interface Input<P, Q, B> {
  params: Parsed<P>
  query: Parsed<Q>
  body: Parsed<B>
  headers: IncomingHttpHeaders
  /** The raw body, on routes with `takes: 'stream'`. */
  stream: Readable
  /** Aborted when the client hangs up. */
  signal: AbortSignal
  /** Names the resource that the audit row is about, where the path does not. */
  concerns(id: string): void
}

/** What `run` returns when plain JSON with the route's status does not do. */
export class Answer {
  readonly body: unknown
  readonly status: number | undefined
  readonly type: string
  readonly headers: Record<string, string>
  constructor(
    body: unknown,
    {
      status,
      type = JSON_TYPE,
      headers = {},
    }: { status?: number; type?: string; headers?: Record<string, string> } = {},
  ) {
    this.body = body
    this.status = status
    this.type = type
    this.headers = headers
  }
}
/** JSON that is text already, as the body of an `Answer` that says the same large thing twice. */
export class JsonText {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}
export const JSON_TYPE = 'application/json; charset=utf-8'

export interface RouteDefinition<P, Q, B, A> {
  method: Method
  /** Segments in braces are parameters. Both slash forms are served. */
  path: string
  /** One line for the documentation. */
  summary: string
  /** What the key must be allowed; null = no credential needed. */
  scope: Scope | null
  /** No credential needed from this machine itself. */
  openTo?: 'loopback'
  /** `all`: an operator reaches every account's. `asked`: when the query says `all=true`. */
  reach?: 'all' | 'asked'
  /** What the path names, for "no such …". */
  noun?: string
  params?: P
  /**
   * Asks for what the path names, and throws `not_found` when it is not there. Called when the request is malformed, so
   * that who asks for what is not theirs learns the same from a bad request as from a good one.
   */
  names?(ctx: Ctx, params: Parsed<P>): Promise<unknown>
  query?: Q
  body?: B
  /** `stream`: `run` reads the body itself, outside a transaction; such a call cannot be replayed. */
  takes?: 'json' | 'stream'
  /** Of the success. */
  status: number
  answer?: A
  /** Media type of an answer that is no JSON. */
  produces?: string
  consumes?: string
  /** Counted against the creates of the key. */
  isCreate?: boolean
  /** For the documentation: what it can be refused with besides what its method, path and schemas say. */
  refuses?: readonly ErrorCode[]
  /** The answer holds a secret: it is not stored for an Idempotency-Key, and who gets it is on record, after a GET too. */
  isSecret?: boolean
  run(ctx: Ctx, input: Input<P, Q, B>): Promise<(A extends z.ZodType ? z.input<A> : unknown) | Answer>
  /**
   * After the commit, on the pool: wait for work to finish. Returns another answer, or nothing to keep the first. Also
   * for a repeat with the same Idempotency-Key: `result` is then the first answer as it was kept.
   */
  after?(ctx: Ctx, result: unknown, input: Input<P, Q, B>): Promise<unknown>
}

export type Route = Omit<RouteDefinition<z.ZodType, z.ZodType, z.ZodType, z.ZodType>, 'run' | 'after' | 'names'> & {
  names?(ctx: Ctx, params: unknown): Promise<unknown>
  run(ctx: Ctx, input: Input<z.ZodType, z.ZodType, z.ZodType>): Promise<unknown>
  after?(ctx: Ctx, result: unknown, input: Input<z.ZodType, z.ZodType, z.ZodType>): Promise<unknown>
}

/** The definition with its types checked against each other, then forgotten. */
export function route<P = undefined, Q = undefined, B = undefined, A = undefined>(
  definition: RouteDefinition<P, Q, B, A>,
): Route {
  return definition as unknown as Route
}

export interface Dialect {
  /** In URLs, logs, audit and metrics. */
  name: string
  title: string
  description: string
  /** Whether a path that no route has is answered in this dialect's shape. */
  owns(path: string): boolean
  /** Tried in this order; the first credential that is known counts. */
  tokens: readonly TokenReader[]
  /** OpenAPI's words for them. */
  security: Record<string, Record<string, unknown>>
  errors: ErrorRenderer
  /** The shape of an error, for the documentation. */
  errorBody: z.ZodType
  /** Ids in paths may be names, and two things of one name are a conflict. */
  takesNames?: boolean
  /** A wrong method is told to callers who are known; others get 401. Without it: to everybody. */
  hidesMethods?: boolean
  /** Besides JSON: `application/x-www-form-urlencoded` as an object of strings. */
  takesForms?: boolean
  /** A header that carries the request id besides X-Request-Id, and the ids it may bring. */
  requestId?: { header: string; accepts: RegExp }
  routes: readonly Route[]
}

export const dialect = (definition: Dialect): Dialect => definition

/** `owns` for dialects that live under path prefixes. */
export const under =
  (...prefixes: string[]) =>
  (path: string): boolean =>
    prefixes.some((prefix) => path === prefix || path.startsWith(`${prefix}/`))
