/** Anything that was thrown, in the words of S3. */
import { CloudError, describeError, type ErrorCode } from '../../model/errors.ts'
import { S3Error, type S3ErrorCode } from '../../model/s3-error.ts'
import { leaf, plainXml } from './xml.ts'

/** What the cloud's own codes are called here; only `unavailable` and a few others ever come so far. */
const WORDS: Record<ErrorCode, S3ErrorCode> = {
  invalid: 'InvalidRequest',
  unauthenticated: 'AccessDenied',
  forbidden: 'AccessDenied',
  not_found: 'NoSuchKey',
  already_exists: 'OperationAborted',
  conflict: 'OperationAborted',
  quota_exceeded: 'QuotaExceeded',
  insufficient_credit: 'QuotaExceeded',
  too_large: 'EntityTooLarge',
  unsupported_media_type: 'InvalidRequest',
  method_not_allowed: 'MethodNotAllowed',
  rate_limited: 'SlowDown',
  idempotency_mismatch: 'InvalidRequest',
  no_capacity: 'ServiceUnavailable',
  unavailable: 'ServiceUnavailable',
}

/** An error of the S3 protocol, and whether it is our bug: then the log gets the chain and the client no detail. */
export function asS3Error(error: unknown): { error: S3Error; isBug: boolean } {
  if (error instanceof S3Error) return { error, isBug: error.s3Code === 'InternalError' }
  if (isDatabaseAway(error))
    return { error: new S3Error('ServiceUnavailable', undefined, { cause: error }), isBug: false }
  if (!(error instanceof CloudError))
    return { error: new S3Error('InternalError', undefined, { cause: error }), isBug: true }
  const code = WORDS[error.code]
  // What is unavailable, and why, is the operator's business.
  const message = error.code === 'unavailable' ? undefined : error.message
  return { error: new S3Error(code, message, { ...error.details, cause: error }), isBug: false }
}

// PostgreSQL's classes 08 (connection), 53 (its disk or memory is full, too many connections), 57 (operator
// intervention) and 58 (its disk fails), and the socket's.
const AWAY = /^(?:08...|53...|57P0[1-5]|58030|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT)$/

/** The database is restarting, cannot be reached or has no room: try again, it is nobody's mistake. */
function isDatabaseAway(error: unknown): boolean {
  const { code, syscall, message } = (error ?? {}) as { code?: string; syscall?: string; message?: string }
  if (code === 'ENOENT') return syscall === 'connect'
  if (code !== undefined && AWAY.test(code)) return true
  return message?.startsWith('Connection terminated') ?? false // pg has no code for it
}

export interface ErrorPlace {
  resource: string
  requestId: string
  hostId: string
}

export function errorDocument(error: S3Error, { resource, requestId, hostId }: ErrorPlace): string {
  return plainXml('Error', [
    leaf('Code', error.s3Code),
    leaf('Message', error.message),
    ...Object.entries(error.elements).map(([name, value]) => leaf(name, value)),
    leaf('Resource', resource),
    leaf('RequestId', requestId),
    leaf('HostId', hostId),
  ])
}

/** For the log: the whole chain. */
export const chainOf = (error: S3Error): string => describeError(error.cause ?? error)
