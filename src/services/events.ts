import * as events from '../store/events.ts'
import { allow, type Ctx, visibleAccount } from './ctx.ts'

export type { CloudEvent } from '../store/events.ts'

const BATCH = 500

/** Events behind the cursor, oldest first. Without a cursor: none yet, only the place to begin from. */
export async function since(
  ctx: Ctx,
  cursor: string | null,
): Promise<{ events: events.CloudEvent[]; cursor: string; isMore: boolean }> {
  allow(ctx, 'instances:read')
  if (cursor === null) return { events: [], cursor: await events.latestCursor(ctx.db), isMore: false }
  const found = await events.since(ctx.db, cursor, visibleAccount(ctx), BATCH)
  // A key that was made for machines alone is not told what buckets there are.
  const seen = ctx.caller.scopes.has('storage:read') ? found : found.filter(({ kind }) => !kind.startsWith('bucket.'))
  return { events: seen, cursor: found.at(-1)?.cursor ?? cursor, isMore: found.length === BATCH }
}

export const isCursor = events.isCursor
