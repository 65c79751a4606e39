import type * as hosts from '../../../services/hosts.ts'
import type * as incidents from '../../../services/incidents.ts'
import type * as contract from '../contract/operator.ts'
import { type Item, maybe, time } from './common.ts'

export const presentHost = (host: Item<typeof hosts.list>): contract.Host => ({
  id: host.id,
  name: host.name,
  regionId: host.regionId,
  driver: host.driver,
  isOnline: host.isOnline,
  vcpus: host.vcpus,
  memoryMib: host.memoryMib,
  diskBytes: host.diskBytes,
  diskFreeBytes: host.diskFreeBytes,
  usedVcpus: host.usedVcpus,
  usedMemoryMib: host.usedMemoryMib,
  instances: host.instances,
  facts: host.facts,
  seenAt: time(host.seenAt),
})

export const presentIncident = (incident: Item<typeof incidents.list>): contract.Incident => ({
  id: incident.id,
  number: incident.number,
  strandId: incident.strand_id,
  kind: incident.kind,
  step: incident.step,
  message: incident.message,
  openedAt: time(incident.opened_at),
  resolvedAt: maybe(incident.resolved_at),
  resolution: incident.resolution,
})
