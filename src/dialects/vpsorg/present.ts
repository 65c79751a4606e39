/** Our nouns in VPS.org's words; docs/dialects/vpsorg.md has the table. */
import { z } from 'zod'
import type { InstanceState } from '../../model/instance.ts'
import type { Instance, ListInput } from '../../services/instances.ts'
import type { Usage } from '../../services/metrics.ts'

/** By this name the catalogue holds the words of this dialect. */
const DIALECT = 'vpsorg'

/**
 * The published words, `restoring` from the vendor's page on snapshots, and `error`, which no page has: of the published
 * words none is true of an instance that failed.
 */
const STATUS: Record<InstanceState, string> = {
  provisioning: 'provisioning',
  stopped: 'stopped',
  starting: 'starting',
  running: 'active',
  stopping: 'stopping',
  rebooting: 'rebooting',
  rebuilding: 'provisioning',
  restoring: 'restoring',
  failed: 'error',
  deleting: 'deleting',
  deleted: 'deleting',
}
const SUSPENDED = 'suspended'

const statusOf = ({ state, suspendedReason }: Instance): string =>
  suspendedReason === null ? STATUS[state] : SUSPENDED

/** What a `status` filter means; a word that nothing has matches nothing. */
export const statusFilter = (word: string): Pick<ListInput, 'states' | 'isSuspended'> =>
  word === SUSPENDED
    ? { isSuspended: true }
    : {
        isSuspended: false,
        states: (Object.keys(STATUS) as InstanceState[]).filter((state) => STATUS[state] === word),
      }

/** What does not run uses nothing; what runs and is not measured is unknown. */
const IS_OFF: Record<InstanceState, boolean> = {
  provisioning: true,
  stopped: true,
  starting: false,
  running: false,
  stopping: false,
  rebooting: false,
  rebuilding: true,
  restoring: true,
  failed: true,
  deleting: true,
  deleted: true,
}

const Time = z.string().describe('`YYYY-MM-DDTHH:MM:SSZ`')
const time = (date: Date): string => `${date.toISOString().slice(0, 19)}Z`

const Plan = z
  .object({
    id: z.int(),
    name: z.string(),
    vcpus: z.int(),
    memory: z.int().describe('in MB'),
    storage: z.int().describe('in GB'),
  })
  .meta({ id: 'Plan' })
const PlanDetail = Plan.extend({ bandwidth: z.int().describe('in GB a month') }).meta({ id: 'PlanDetail' })
const Os = z.object({ id: z.int(), name: z.string() }).meta({ id: 'Os' })

export const Server = z
  .object({
    id: z.int(),
    name: z.string(),
    hostname: z.string(),
    status: z
      .string()
      .describe('active, stopped, suspended, provisioning, starting, stopping, rebooting, restoring, error'),
    ip_address: z.string().nullable().describe('null while provisioning'),
    location: z.string(),
    plan: Plan,
    os: Os,
    created_at: Time,
    updated_at: Time,
  })
  .meta({ id: 'Server' })

const planOf = ({ plan, vcpus, memoryMib, diskGib }: Instance): z.infer<typeof Plan> => ({
  id: plan.number,
  name: plan.names[DIALECT] ?? plan.name,
  vcpus,
  memory: memoryMib,
  storage: diskGib,
})
const osOf = ({ image }: Instance): z.infer<typeof Os> => ({
  id: image.number,
  name: image.names[DIALECT] ?? image.name,
})
const locationOf = ({ regionNames, regionId }: Instance): string => regionNames[DIALECT] ?? regionId
/** Addresses are given when a creation is accepted; callers of this API take one for the sign that it answers. */
const oncePlaced = ({ state }: Instance, address: string | null) => (state === 'provisioning' ? null : address)

export const presentServer = (instance: Instance): z.infer<typeof Server> => ({
  id: instance.number,
  name: instance.name,
  hostname: instance.hostname,
  status: statusOf(instance),
  ip_address: oncePlaced(instance, instance.ipv4),
  location: locationOf(instance),
  plan: planOf(instance),
  os: osOf(instance),
  created_at: time(instance.createdAt),
  updated_at: time(instance.updatedAt),
})

export const CreatedServer = Server.extend({ backups_enabled: z.boolean(), message: z.string() }).meta({
  id: 'CreatedServer',
})
export const presentCreated = (instance: Instance): z.infer<typeof CreatedServer> => ({
  ...presentServer(instance),
  backups_enabled: instance.automaticBackups,
  message: 'Server is being provisioned. This may take 2-5 minutes.',
})

const ResourceUsage = z
  .object({
    cpu_percent: z.number().nullable(),
    memory_used: z.int().nullable().describe('in MB'),
    disk_used: z.int().nullable().describe('in GB'),
    bandwidth_used: z.int().nullable().describe('in GB, of this month'),
  })
  .meta({
    id: 'ResourceUsage',
    description: 'null = not measured; what is switched off uses nothing. Both directions count for the bandwidth.',
  })
export const ServerDetail = Server.extend({
  ipv6_address: z.string().nullable(),
  plan: PlanDetail,
  backups_enabled: z.boolean(),
  resource_usage: ResourceUsage,
}).meta({ id: 'ServerDetail' })

const MIB = 1024 ** 2
const GIB = 1024 ** 3

export const presentDetail = (instance: Instance, usage: Usage): z.infer<typeof ServerDetail> => ({
  id: instance.number,
  name: instance.name,
  hostname: instance.hostname,
  status: statusOf(instance),
  ip_address: oncePlaced(instance, instance.ipv4),
  ipv6_address: oncePlaced(instance, instance.ipv6),
  location: locationOf(instance),
  plan: { ...planOf(instance), bandwidth: Math.round(instance.plan.trafficTb * 1024) },
  os: osOf(instance),
  backups_enabled: instance.automaticBackups,
  resource_usage: presentUsage(instance, usage),
  created_at: time(instance.createdAt),
  updated_at: time(instance.updatedAt),
})

function presentUsage({ state }: Instance, { stats, monthBytes }: Usage): z.infer<typeof ResourceUsage> {
  const unknown = IS_OFF[state] ? 0 : null
  const whole = (bytes: number | null, unit: number) => (bytes === null ? unknown : Math.round(bytes / unit))
  return {
    cpu_percent: stats.cpuPercent === null ? unknown : Math.round(stats.cpuPercent * 10) / 10,
    memory_used: whole(stats.memoryUsedBytes, MIB),
    disk_used: whole(stats.diskUsedBytes, GIB),
    bandwidth_used: monthBytes === null ? null : Math.round(monthBytes / GIB),
  }
}

export const PowerAnswer = z
  .object({
    status: z.literal('success').describe('of the call'),
    message: z.string(),
    server: z.object({ id: z.int(), name: z.string(), status: z.string() }),
  })
  .meta({ id: 'PowerAnswer' })
export const presentPower = (instance: Instance): z.infer<typeof PowerAnswer> => ({
  status: 'success',
  message: `Server is ${STATUS[instance.state]}`,
  server: { id: instance.number, name: instance.name, status: STATUS[instance.state] },
})
