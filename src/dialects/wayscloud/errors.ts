/**
 * FastAPI's manners: a text under `detail`, except that a malformed request gets 422 and a list. Its clients print both.
 * They retry 429, 502, 503 and 504, so no other code may become one of these.
 */
import { z } from 'zod'
import type { FieldIssue } from '../../model/errors.ts'
import type { ErrorRenderer, Problem } from '../http/errors.ts'

const Item = z.object({
  type: z.string(),
  loc: z.array(z.union([z.string(), z.number()])),
  msg: z.string(),
  input: z.unknown(),
})
export const ErrorBody = z.object({ detail: z.union([z.string(), z.array(Item)]) }).meta({ id: 'ApiError' })

const STATUS: Record<Problem['code'], number> = {
  invalid: 400,
  unauthenticated: 401,
  insufficient_credit: 402,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  already_exists: 409,
  conflict: 409,
  quota_exceeded: 409,
  no_capacity: 409,
  idempotency_mismatch: 409,
  too_large: 413,
  unsupported_media_type: 415,
  rate_limited: 429,
  internal: 500,
  unavailable: 503,
}
const MALFORMED = 422

/** Where FastAPI has words of its own; our message otherwise. */
const DETAIL: Partial<Record<Problem['code'], string>> = {
  unauthenticated: 'Invalid or missing API key',
  method_not_allowed: 'Method Not Allowed',
  internal: 'Internal Server Error',
}
const NOUN: Record<string, string> = {
  instance: 'VPS',
  snapshot: 'Snapshot',
  backup: 'Backup',
  region: 'Region',
  bucket: 'Bucket',
  'access key': 'Key',
}

export const errors: ErrorRenderer = (problem) => {
  if (problem.code === 'invalid' && problem.isMalformed) {
    return { status: MALFORMED, body: { detail: problem.issues.map(presentIssue) } }
  }
  return {
    status: STATUS[problem.code],
    body: { detail: problem.code === 'not_found' ? notFoundText(problem) : (DETAIL[problem.code] ?? problem.message) },
    ...(problem.code === 'unauthenticated' && { headers: { 'www-authenticate': 'Bearer' } }),
  }
}

const notFoundText = ({ resource }: Problem): string =>
  resource ? `${NOUN[resource.noun] ?? resource.noun} not found` : 'Not Found'

/** From zod's codes to pydantic's (https://docs.pydantic.dev/latest/errors/validation_errors/), the nearest there is. */
const TYPE: Record<string, string> = {
  missing: 'missing',
  invalid_type: 'type_error',
  too_small: 'too_short',
  too_big: 'too_long',
  invalid_value: 'enum',
  invalid_format: 'string_pattern_mismatch',
  json_invalid: 'json_invalid',
}
const presentIssue = ({ where, path, code, message, input }: FieldIssue): z.infer<typeof Item> => ({
  type: TYPE[code] ?? 'value_error',
  loc: [where, ...path],
  msg: code === 'missing' ? 'Field required' : message,
  input: input ?? null,
})
