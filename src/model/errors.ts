/**
 * The one error class below the dialects and its closed list of codes. No HTTP here: each dialect has one exhaustive
 * table from these codes to its own status and words.
 */
import type { InstanceState } from './instance.ts'

export const ERROR_CODES = [
  'invalid', // the input is wrong; `field` says where
  'unauthenticated', // no or an unknown credential
  'forbidden', // a known credential that may not do this
  'not_found', // does not exist, or the caller may not see it
  'already_exists',
  'conflict', // right request, wrong state or another operation under way
  'quota_exceeded',
  'insufficient_credit',
  'too_large', // the request body
  'unsupported_media_type',
  'method_not_allowed',
  'rate_limited',
  'idempotency_mismatch', // the same Idempotency-Key with another request
  'no_capacity', // nothing we have can ever hold it
  'unavailable', // try again later: the only code that the strand engine and clients retry
] as const
export type ErrorCode = (typeof ERROR_CODES)[number]

/** One wrong field of an input. `path` as in the caller's JSON, `code` in zod's words (`invalid_type`, `too_small` …). */
export interface FieldIssue {
  where: 'body' | 'query' | 'path' | 'header'
  path: readonly (string | number)[]
  code: string
  message: string
  input?: unknown
}

export interface CloudErrorDetails {
  /** The fields that are wrong, for `invalid`. */
  issues?: readonly FieldIssue[]
  /** The noun and the id as the caller wrote it, for `not_found`. */
  resource?: { noun: string; id: string }
  retryAfterSeconds?: number
  /** The state that forbids it, for `conflict`. */
  state?: InstanceState | 'suspended'
  /** What of the store is damaged. */
  blob?: DamagedBlob
  cause?: unknown
}

export interface DamagedBlob {
  id: string
  kind: 'missing' | 'damaged'
}

/** The message is for the user and says what to do; the cause is for us. */
export class CloudError extends Error {
  readonly code: ErrorCode
  readonly details: CloudErrorDetails
  constructor(code: ErrorCode, message: string, details: CloudErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'CloudError'
    this.code = code
    this.details = details
  }
}

export const notFound = (noun: string, id: string): CloudError =>
  new CloudError('not_found', `no ${noun} ${JSON.stringify(id)}`, { resource: { noun, id } })

/** A rule about one field that no schema can say, for example "this plan does not exist". */
export const invalidField = (field: string, message: string, input?: unknown): CloudError =>
  new CloudError('invalid', message, { issues: [{ where: 'body', path: [field], code: 'custom', message, input }] })

/** The message of anything that was thrown, with the messages of its causes. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message}: ${describeError(error.cause)}`
}
