/**
 * From whatever was thrown to a `Problem`, the one thing a dialect renders. What is not a `CloudError` is a bug or a
 * database that is away: the first becomes `internal` without its message, the second `unavailable`.
 */
import type { z } from 'zod'
import { CloudError, type ErrorCode, type FieldIssue } from '../../model/errors.ts'
import type { InstanceState } from '../../model/instance.ts'

/** Wrong before any rule was asked: unreadable JSON, a field that the schema refuses. Dialects may answer it apart. */
export class RequestError extends CloudError {}

export interface Problem {
  code: ErrorCode | 'internal'
  message: string
  issues: readonly FieldIssue[]
  /** The request itself is malformed, as opposed to a rule that refused it. */
  isMalformed: boolean
  /** For `not_found`: what was looked for; null when no route has this path. */
  resource: { noun: string; id: string } | null
  /** For `conflict`: the state that forbids it, where it is one. */
  state: InstanceState | 'suspended' | null
  /** For `unauthenticated`: whether a credential came at all. */
  hasCredential: boolean
  /** For `method_not_allowed`. */
  allowedMethods: readonly string[]
  method: string
  path: string
  requestId: string
}

/** Of which nothing is known. */
export const BLANK_PROBLEM: Problem = {
  code: 'internal',
  message: 'something broke on our side; the log has the request id',
  issues: [],
  isMalformed: false,
  resource: null,
  state: null,
  hasCredential: false,
  allowedMethods: [],
  method: '',
  path: '',
  requestId: '',
}

export interface Rendered {
  status: number
  body: unknown
  headers?: Record<string, string>
}

/** A dialect's shape of every error. */
export type ErrorRenderer = (problem: Problem) => Rendered

export const malformed = (issues: readonly FieldIssue[]): RequestError =>
  new RequestError('invalid', issues.map(sentence).join('; '), { issues })

export const malformedBody = (code: string, message: string): RequestError =>
  malformed([{ where: 'body', path: [], code, message }])

/** What is not there gets the code `missing`, and as its input the object that lacks it. */
export function issuesOf(where: FieldIssue['where'], error: z.ZodError, value: unknown): FieldIssue[] {
  return error.issues.map((issue) => {
    const path = issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part))
    const isMissing = issue.code === 'invalid_type' && issue.input === undefined
    return {
      where,
      path,
      code: isMissing ? 'missing' : issue.code,
      message: isMissing ? 'is required' : issue.message,
      input: isMissing ? path.slice(0, -1).reduce(member, value) : issue.input,
    }
  })
}

const member = (value: unknown, key: string | number): unknown =>
  typeof value === 'object' && value !== null ? (value as Record<string | number, unknown>)[key] : undefined

/** Anything that was thrown, as a CloudError; null for a bug. */
export function asCloudError(error: unknown): CloudError | null {
  if (error instanceof CloudError) return error
  const { code, message, syscall } = error as { code?: unknown; message?: unknown; syscall?: unknown }
  if (typeof code !== 'string') return CONNECTION_LOST.has(String(message)) ? databaseAway(error) : null
  // Node's own word for a client that went away has the same code and no system call behind it.
  if (code === 'ECONNRESET' && syscall !== undefined) return databaseAway(error)
  const found = FRAMEWORK[code]
  if (found) return new RequestError(found[0], found[1], { cause: error })
  return DATABASE_AWAY.test(code) ? databaseAway(error) : null
}

const databaseAway = (cause: unknown): CloudError =>
  new CloudError('unavailable', 'the database does not answer, try again', { retryAfterSeconds: 1, cause })

const sentence = ({ where, path, message }: FieldIssue): string =>
  path.length > 0 ? `${path.join('.')}: ${message}` : `${where}: ${message}`

/** Fastify's own errors, by their documented codes (https://fastify.dev/docs/latest/Reference/Errors/). */
const FRAMEWORK: Record<string, readonly [ErrorCode, string]> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['too_large', 'the request body is larger than 1 MiB'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['unsupported_media_type', 'send the body as application/json'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['invalid', 'the body is not as long as Content-Length says'],
  FST_ERR_BAD_URL: ['not_found', 'the path is not valid percent-encoding'],
  FST_ERR_MAX_PARAM_LENGTH: ['not_found', 'the path is too long'],
  ECONNRESET: ['invalid', 'the request was cut off'],
}

/**
 * Connection lost or refused (SQLSTATE class 08, 57P01-57P03, 53300, and the socket's own words), and the two ways in
 * which concurrent transactions collide (40001, 40P01). PostgreSQL, appendix A.
 */
const DATABASE_AWAY = /^(08\w{3}|57P0\d|53300|40001|40P01|ECONNREFUSED|ENOENT|EPIPE|ETIMEDOUT)$/

/** What `pg` throws, without any code, when a connection breaks under a query. */
const CONNECTION_LOST: ReadonlySet<string> = new Set([
  'Connection terminated',
  'Connection terminated unexpectedly',
  'Client has encountered a connection error and is not queryable',
])
