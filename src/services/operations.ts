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
