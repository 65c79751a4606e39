import { now } from '../store/db.ts'
import type { Ctx } from './ctx.ts'

/** What time it is in the cloud. */
export const time = (ctx: Pick<Ctx, 'db'>): Promise<Date> => now(ctx.db)
