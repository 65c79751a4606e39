import * as audit from '../store/audit.ts'
import { allow, type Ctx, visibleAccount } from './ctx.ts'

export async function list(ctx: Ctx, page: { limit: number; offset: number }) {
  allow(ctx, 'account:read')
  return audit.list(ctx.db, { accountId: visibleAccount(ctx), ...page })
}

export const record = audit.record
