import type { ErrorRenderer, Problem } from '../http/errors.ts'
import type { ErrorBody } from './contract/errors.ts'

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
  idempotency_mismatch: 422,
  too_large: 413,
  unsupported_media_type: 415,
  rate_limited: 429,
  internal: 500,
  unavailable: 503,
}

export const errors: ErrorRenderer = ({ code, message, issues, requestId }) => ({
  status: STATUS[code],
  body: {
    error: {
      code,
      message,
      // Without the input: it may hold a password hash, and it is the caller's anyway.
      ...(issues.length > 0 && {
        issues: issues.map(({ where, path, code, message }) => ({ where, path: [...path], code, message })),
      }),
      requestId,
    },
  } satisfies ErrorBody,
  ...(code === 'unauthenticated' && { headers: { 'www-authenticate': 'Bearer' } }),
})
