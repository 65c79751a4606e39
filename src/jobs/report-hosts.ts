/** A worker's sign of life, with what its hosts have room for. */
import type { Reconciler } from './engine/reconciler.ts'
import type { ReconcilerTools } from './tools.ts'

export const reportHosts: Reconciler<ReconcilerTools> = {
  name: 'hosts.report',
  everyMs: 5_000,
  run: ({ reportHosts }) => reportHosts(),
}
