import { setTimeout as sleep } from 'node:timers/promises'
import { isOpen } from '../model/operation.ts'
import * as operations from '../store/operations.ts'
import { allow, type Ctx, visibleAccount } from './ctx.ts'

export type { Operation } from '../store/operations.ts'

export async function list(
  ctx: Ctx,
  filter: { resourceId?: string; openOnly?: boolean; limit: number; offset: number },
): Promise<{ items: operations.Operation[]; total: number }> {
  allow(ctx, 'instances:read')
  return operations.list(ctx.db, { accountId: visibleAccount(ctx), ...filter })
}

/** By text id, UUID or number. */
export async function get(ctx: Ctx, ref: string): Promise<operations.Operation> {
  allow(ctx, 'instances:read')
  return operations.get(ctx.db, ref, visibleAccount(ctx))
}

const POLL_MS_FIRST = 20
const POLL_MS_MAX = 500

/**
 * The operation once it has ended, or as it is when `maxMs` are over or nobody waits any more. Not for use inside a
 * transaction, which would not see the end.
 */
export async function waitFor(
  ctx: Ctx,
  ref: string,
  maxMs: number,
  signal: AbortSignal,
): Promise<operations.Operation> {
  const until = performance.now() + maxMs
  for (let pauseMs = POLL_MS_FIRST; ; pauseMs = Math.min(POLL_MS_MAX, pauseMs * 1.3)) {
    const operation = await get(ctx, ref)
    if (!isOpen(operation.state) || signal.aborted || performance.now() >= until) return operation
    await sleep(pauseMs, undefined, { signal }).catch(() => {})
  }
}
