/** Keeps the levels of measurements up to date, packs what is over, throws away what has served its time. */
import { pack, prune, rollUp } from '../../store/roll-up.ts'
import type { Reconciler } from '../engine/reconciler.ts'
import type { ReconcilerTools } from '../tools.ts'

export const rollUpMetrics: Reconciler<ReconcilerTools> = {
  name: 'metrics.roll-up',
  everyMs: 60_000,
  run: async ({ db }) => void (await rollUp(db)),
}

export const keepMetrics: Reconciler<ReconcilerTools> = {
  name: 'metrics.keep',
  everyMs: 30 * 60_000,
  async run({ db, metrics }, signal) {
    await pack(db, signal)
    await prune(db, metrics)
  },
}
