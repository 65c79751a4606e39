/** Exit codes: the same for every command, so that scripts can tell what happened without reading English. */
import type { ErrorCode } from '../model/errors.ts'

export const EXIT = {
  ok: 0,
  error: 1,
  usage: 2,
  notFound: 3,
  conflict: 4,
  unreachable: 5,
  timedOut: 6,
  denied: 7,
  /** No room, quota or credit. */
  noCapacity: 8,
} as const
export type Exit = keyof typeof EXIT

const EXIT_OF_CODE: Record<ErrorCode | 'internal', Exit> = {
  invalid: 'usage',
  unauthenticated: 'denied',
  forbidden: 'denied',
  not_found: 'notFound',
  already_exists: 'conflict',
  conflict: 'conflict',
  quota_exceeded: 'noCapacity',
  insufficient_credit: 'noCapacity',
  too_large: 'error',
  unsupported_media_type: 'error',
  method_not_allowed: 'error',
  rate_limited: 'error',
  idempotency_mismatch: 'conflict',
  no_capacity: 'noCapacity',
  unavailable: 'unreachable',
  internal: 'error',
}
export const exitOfCode = (code: ErrorCode | 'internal'): Exit => EXIT_OF_CODE[code] ?? 'error'

/** An end of a command that is no bug: the message goes to stderr as it is. */
export class CliError extends Error {
  readonly exit: Exit
  readonly requestId: string | undefined
  constructor(exit: Exit, message: string, options: { cause?: unknown; requestId?: string } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'CliError'
    this.exit = exit
    this.requestId = options.requestId
  }
}
