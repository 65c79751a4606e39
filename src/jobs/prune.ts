/** Throws away what has served its time: remembered answers after a day, events after a week. */
import * as events from '../store/events.ts'
import * as idempotency from '../store/idempotency.ts'
import type { Reconciler } from './engine/reconciler.ts'
import type { ReconcilerTools } from './tools.ts'

const EVENTS_KEEP_DAYS = 7

export const prune: Reconciler<ReconcilerTools> = {
  name: 'prune',
  everyMs: 10 * 60_000,
  async run({ db }) {
    await idempotency.prune(db)
    await events.prune(db, EVENTS_KEEP_DAYS)
  },
}
