/** How a service sets durable work going: the strand's row commits with the effect that called for it. */
import type { HostId } from '../../model/ids.ts'
import type { Db } from '../../store/db.ts'
import * as strands from '../../store/strands.ts'
import type { StrandDefinition } from './strand.ts'

export async function startStrand<Tools, Step extends string>(
  tx: Db,
  definition: StrandDefinition<Tools, Step>,
  id: string,
  options: { hostId?: HostId | null; state?: Record<string, unknown> } = {},
): Promise<void> {
  await strands.create(tx, {
    id,
    kind: definition.kind,
    step: definition.first,
    deadlineMs: definition.steps[definition.first].deadlineMs,
    hostId: options.hostId ?? null,
    state: options.state ?? {},
  })
}
