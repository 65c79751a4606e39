/** Work that WAYSCloud's answers tell the end of: the route accepts it, and waits for it after the commit. */
import { CloudError, ERROR_CODES, type ErrorCode } from '../../model/errors.ts'
import { isOpen } from '../../model/operation.ts'
import type { Ctx } from '../../services/ctx.ts'
import * as operations from '../../services/operations.ts'
import { Answer } from '../http/route.ts'

/** Its clients give up after thirty seconds. */
const WAIT_MS = 25_000

/** What is true already at the commit, and the operation whose end is waited for. */
export class Working extends Answer {
  constructor(body: unknown, operationId: string) {
    super(body, { headers: { [OPERATION]: operationId } })
  }
}

/** A header, so that a repeat with the same Idempotency-Key, which gets the kept answer, knows what to wait for too. */
const OPERATION = 'havn-operation'

/** For a route's `after`: `done` once the work is, what `run` said when it takes longer. Throws when it failed. */
export async function whenDone(ctx: Ctx, result: unknown, signal: AbortSignal, done: unknown): Promise<unknown> {
  const operationId = result instanceof Answer ? result.headers[OPERATION] : undefined
  if (!operationId) return undefined
  const { state, message, errorCode } = await operations.waitFor(ctx, operationId, WAIT_MS, signal)
  if (isOpen(state)) return undefined
  if (state === 'succeeded') return done
  throw new CloudError(codeOf(errorCode), message ?? 'it could not be done')
}

/** `unavailable` would be tried again by its clients, on their own, and again refused. */
const codeOf = (code: string | null): ErrorCode =>
  ERROR_CODES.find((known) => known === code && known !== 'unavailable') ?? 'conflict'
