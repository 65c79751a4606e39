/** What is stuck, for the operator. */
import { stepDeadline } from '../jobs/definitions.ts'
import { notFound } from '../model/errors.ts'
import type { InstanceId } from '../model/ids.ts'
import { atomically } from '../store/db.ts'
import * as incidents from '../store/incidents.ts'
import * as instances from '../store/instances.ts'
import * as strands from '../store/strands.ts'
import { allow, type Ctx } from './ctx.ts'

export async function list(ctx: Ctx, filter: incidents.IncidentFilter) {
  allow(ctx, 'operator')
  return incidents.list(ctx.db, filter)
}

/**
 * Tries again from the step where it stands, with a new deadline; an instance that was given up is powered on again.
 * The incident closes now: when the cause is still there, another one opens.
 */
export async function recover(ctx: Ctx, ref: string) {
  allow(ctx, 'operator')
  return atomically(ctx.db, async (tx) => {
    const incident = await incidents.lock(tx, ref)
    if (!incident || incident.resolved_at) throw notFound('open incident', ref)
    if (incident.strand_id.startsWith('inst_')) {
      const row = await instances.lock(tx, incident.strand_id as InstanceId)
      if (row.state === 'failed' && !row.delete_requested_at) {
        await instances.change(tx, row.id, {
          state: row.provisioned_at ? 'starting' : 'provisioning',
          desiredPower: 'on',
          crashCount: 0,
        })
      }
    }
    const strand = await strands.find(tx, incident.strand_id)
    if (strand) await strands.restart(tx, strand.id, stepDeadline(strand.kind, strand.step))
    await incidents.resolve(tx, incident.strand_id, 'recovered by an operator')
    return (await incidents.lock(tx, incident.id))!
  })
}
