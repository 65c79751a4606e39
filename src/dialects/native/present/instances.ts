import type * as instances from '../../../services/instances.ts'
import type * as statistics from '../../../services/stats.ts'
import type * as contract from '../contract/instances.ts'
import { presentPlan } from './catalog.ts'
import { maybe, time } from './common.ts'

export const presentInstance = (instance: instances.Instance): contract.Instance => ({
  id: instance.id,
  uuid: instance.uuid,
  number: instance.number,
  accountId: instance.accountId,
  name: instance.name,
  hostname: instance.hostname,
  state: instance.state,
  stateReason: instance.stateReason,
  suspendedReason: instance.suspendedReason,
  regionId: instance.regionId,
  plan: presentPlan(instance.plan),
  image: {
    id: instance.image.id,
    number: instance.image.number,
    name: instance.image.name,
    family: instance.image.family,
    version: instance.image.version,
  },
  vcpus: instance.vcpus,
  memoryMib: instance.memoryMib,
  diskGib: instance.diskGib,
  ipv4: instance.ipv4,
  ipv6: instance.ipv6,
  mac: instance.mac,
  hostId: instance.hostId,
  sshPort: instance.sshPort,
  automaticBackups: instance.automaticBackups,
  reference: instance.reference,
  canSnapshot: instance.canSnapshot,
  createdAt: time(instance.createdAt),
  provisionedAt: maybe(instance.provisionedAt),
  startedAt: maybe(instance.startedAt),
  updatedAt: time(instance.updatedAt),
})

export const presentStats = ({ state: _, measuredAt, ...stats }: statistics.Stats): contract.InstanceStats => ({
  measuredAt: maybe(measuredAt),
  ...stats,
})
