import * as hosts from '../store/hosts.ts'
import { allow, type Ctx } from './ctx.ts'

export async function list(ctx: Ctx): Promise<hosts.HostRow[]> {
  allow(ctx, 'operator')
  return hosts.list(ctx.db)
}
