/**
 * Compares the instances of this worker's hosts with what the driver sees, and wakes the strands of those that differ:
 * a guest that powered itself off, one that died, one that runs though it should not. It changes nothing itself. What
 * no row owns is listed in the host's facts for the operator and left alone: it may be a person's disk.
 */
import type { Observed } from '../../drivers/compute/compute.ts'
import type { InstanceId } from '../../model/ids.ts'
import type { InstanceState } from '../../model/instance.ts'
import * as instances from '../../store/instances.ts'
import * as receipts from '../../store/receipts.ts'
import * as strands from '../../store/strands.ts'
import type { Reconciler } from '../engine/reconciler.ts'
import type { ReconcilerTools } from '../tools.ts'

/** Where strands rest, and what is in order there. Every other state has a strand at work that looks for itself. */
const IN_ORDER: Partial<Record<InstanceState, readonly Observed[]>> = {
  running: ['running'],
  stopped: ['stopped', 'crashed', 'absent'],
}

export const reconcileInstances: Reconciler<ReconcilerTools> = {
  name: 'instances.reconcile',
  everyMs: 10_000,
  async run({ db, compute, hosts, orphans }) {
    const seen = await compute.list()
    const rows = await instances.onHosts(db, hosts)
    const different: string[] = []
    for (const row of rows) {
      const power = seen.get(row.id)?.power ?? 'absent'
      const inOrder = IN_ORDER[row.state]
      if (inOrder && !inOrder.includes(power)) different.push(row.id)
      seen.delete(row.id)
    }
    await strands.wakeAll(db, different)
    // Machines that prove backups have no row of their own; whoever made them takes them away.
    for (const id of await receipts.machinesAmong(db, [...seen.keys()])) seen.delete(id)
    orphans.clear()
    for (const id of seen.keys()) orphans.add(id satisfies InstanceId)
  },
}
