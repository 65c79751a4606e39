/**
 * Our nouns in WAYSCloud's words. Its own clients do not speak the words of its published pages, so every object carries
 * both spellings; docs/dialects/wayscloud.md has the table.
 */
import { z } from 'zod'
import type { InstanceState } from '../../model/instance.ts'
import type { Account } from '../../services/accounts.ts'
import type * as catalog from '../../services/catalog.ts'
import type { Instance } from '../../services/instances.ts'
import type { Stats } from '../../services/stats.ts'

type Region = Awaited<ReturnType<typeof catalog.regions>>[number]
type Plan = Awaited<ReturnType<typeof catalog.plans>>[number]
type Image = Awaited<ReturnType<typeof catalog.images>>[number]

/**
 * The published words, and `error` and `terminated` from the Terraform provider for what they cannot say. There is no
 * word for a reboot: it is seen as `starting`.
 */
const STATUS: Record<InstanceState, string> = {
  provisioning: 'provisioning',
  stopped: 'stopped',
  starting: 'starting',
  running: 'running',
  stopping: 'stopping',
  rebooting: 'starting',
  rebuilding: 'provisioning',
  restoring: 'stopped',
  failed: 'error',
  deleting: 'terminated',
  deleted: 'terminated',
}
/** The Terraform provider waits for `active` after a create and knows no `running`. */
const TERRAFORM_STATUS: Record<InstanceState, string> = { ...STATUS, running: 'active' }

export type StatusWords = Record<InstanceState, string>
export const statusWords = (userAgent: string | undefined): StatusWords =>
  userAgent?.includes('terraform-provider-wayscloud') ? TERRAFORM_STATUS : STATUS

/** The states that a `status` filter means; none for a word that nothing has. */
export const statesOf = (words: StatusWords, status: string): InstanceState[] =>
  (Object.keys(words) as InstanceState[]).filter((state) => words[state] === status)

const POWER: Record<InstanceState, 'on' | 'off'> = {
  provisioning: 'off',
  stopped: 'off',
  starting: 'off',
  running: 'on',
  stopping: 'on',
  rebooting: 'on',
  rebuilding: 'off',
  restoring: 'off',
  failed: 'off',
  deleting: 'off',
  deleted: 'off',
}

export const Time = z.string().describe('`YYYY-MM-DDTHH:MM:SSZ`')
export const time = (date: Date): string => `${date.toISOString().slice(0, 19)}Z`

const PlanFields = {
  plan_code: z.string(),
  name: z.string(),
  vcpus: z.int(),
  ram_gb: z.number(),
  storage_gb: z.int(),
  bandwidth_tb: z.number(),
  price: z.number(),
  currency: z.string(),
}
export const VpsPlan = z
  .object({
    ...PlanFields,
    sku: z.string(),
    provider: z.string(),
    vcpu: z.int(),
    cpu_cores: z.int(),
    ram_mb: z.int(),
    disk_gb: z.int(),
    monthly_price: z.number(),
    is_active: z.boolean(),
  })
  .meta({ id: 'VpsPlan' })
export const presentPlan = (plan: Plan): z.infer<typeof VpsPlan> => ({
  plan_code: plan.id,
  name: plan.name,
  vcpus: plan.vcpus,
  ram_gb: plan.memoryMib / 1024,
  storage_gb: plan.diskGib,
  bandwidth_tb: plan.trafficTb,
  price: plan.priceMonthlyMinor / 100,
  currency: plan.currency,
  sku: plan.id,
  provider: 'wayscloud',
  vcpu: plan.vcpus,
  cpu_cores: plan.vcpus,
  ram_mb: plan.memoryMib,
  disk_gb: plan.diskGib,
  monthly_price: plan.priceMonthlyMinor / 100,
  is_active: true,
})

export const OsTemplate = z
  .object({
    id: z.string(),
    name: z.string(),
    family: z.string(),
    version: z.string(),
    is_windows: z.boolean(),
    slug: z.string(),
    platform: z.enum(['linux', 'windows']),
    os_family: z.string(),
  })
  .meta({ id: 'OsTemplate' })
export const presentTemplate = (image: Image): z.infer<typeof OsTemplate> => ({
  id: image.id,
  name: image.name,
  family: image.family,
  version: image.version,
  is_windows: image.isWindows,
  slug: image.id,
  platform: image.isWindows ? 'windows' : 'linux',
  os_family: image.family,
})

export const VpsRegion = z
  .object({ id: z.string(), name: z.string(), country: z.string(), available: z.boolean(), code: z.string() })
  .meta({ id: 'VpsRegion' })
export const presentRegion = (region: Region): z.infer<typeof VpsRegion> => ({
  id: region.id,
  name: region.name,
  country: region.country,
  available: region.available,
  code: region.id,
})

export const CloudRegion = z
  .object({
    code: z.string(),
    name: z.string(),
    city: z.string(),
    country: z.string(),
    status: z.enum(['available', 'unavailable']),
    available_services: z.array(z.string()),
  })
  .meta({ id: 'CloudRegion' })
/** `services`: what else than machines stands there. */
export const presentCloudRegion = (region: Region, services: readonly string[]): z.infer<typeof CloudRegion> => ({
  code: region.id,
  name: region.name,
  city: region.city,
  country: region.country,
  status: region.available ? 'available' : 'unavailable',
  available_services: [...(region.available ? ['vps'] : []), ...services],
})

export const Vps = z
  .object({
    id: z.string(),
    hostname: z.string(),
    display_name: z.string(),
    status: z.string().describe('provisioning, running, stopped, starting, stopping, error'),
    plan_code: z.string(),
    region: z.string(),
    os_template: z.string(),
    ipv4_address: z.string().nullable(),
    ipv6_address: z.string().nullable(),
    vcpus: z.int(),
    memory_gb: z.number(),
    disk_gb: z.int(),
    created_at: Time,
    provider_vm_id: z.string(),
    plan_name: z.string(),
    power_state: z.enum(['on', 'off']),
    vcpu: z.int(),
    ram_mb: z.int(),
    disk_format: z.string(),
    snapshot_supported: z.boolean(),
    monthly_price: z.number(),
    currency: z.string(),
    provisioned_at: Time.nullable(),
  })
  .meta({ id: 'Vps' })
export const presentVps = (instance: Instance, words: StatusWords): z.infer<typeof Vps> => ({
  id: instance.uuid,
  hostname: instance.hostname,
  display_name: instance.name,
  status: words[instance.state],
  plan_code: instance.plan.id,
  region: instance.regionId,
  os_template: instance.image.id,
  ipv4_address: instance.ipv4,
  ipv6_address: instance.ipv6,
  vcpus: instance.vcpus,
  memory_gb: instance.memoryMib / 1024,
  disk_gb: instance.diskGib,
  created_at: time(instance.createdAt),
  provider_vm_id: String(instance.number),
  plan_name: instance.plan.name,
  power_state: POWER[instance.state],
  vcpu: instance.vcpus,
  ram_mb: instance.memoryMib,
  disk_format: 'qcow2',
  snapshot_supported: instance.canSnapshot,
  monthly_price: instance.plan.priceMonthlyMinor / 100,
  currency: instance.plan.currency,
  provisioned_at: instance.provisionedAt && time(instance.provisionedAt),
})

/** The answer of a create says `ipv4` where all others say `ipv4_address`. */
export const CreatedVps = Vps.extend({ ipv4: z.string().nullable(), ipv6: z.string().nullable() }).meta({
  id: 'CreatedVps',
})
export const presentCreated = (instance: Instance, words: StatusWords): z.infer<typeof CreatedVps> => ({
  ...presentVps(instance, words),
  ipv4: instance.ipv4,
  ipv6: instance.ipv6,
})

export const VpsStatus = z
  .object({
    status: z.string(),
    uptime_seconds: z.int().nullable(),
    cpu_usage_percent: z.number().nullable(),
    memory_usage_percent: z.number().nullable(),
    disk_usage_percent: z.number().nullable(),
    network_in_bytes: z.int().nullable(),
    network_out_bytes: z.int().nullable(),
    power_state: z.enum(['on', 'off']),
    cpu_usage: z.number().nullable(),
    memory_used_mb: z.int().nullable(),
    memory_total_mb: z.int(),
    disk_used_gb: z.number().nullable(),
    disk_total_gb: z.int(),
  })
  .meta({ id: 'VpsStatus', description: 'null = not measured; zero while it is stopped.' })

const MIB = 1024 ** 2
const GIB = 1024 ** 3
const oneDecimal = (value: number): number => Math.round(value * 10) / 10

export function presentStatus(instance: Instance, stats: Stats, words: StatusWords): z.infer<typeof VpsStatus> {
  // What does not run uses nothing; what runs and is not measured is unknown.
  const unknown = POWER[stats.state] === 'off' ? 0 : null
  const percent = (used: number | null, total: number) => (used === null ? unknown : oneDecimal((used / total) * 100))
  const cpu = stats.cpuPercent === null ? unknown : oneDecimal(stats.cpuPercent)
  return {
    status: words[stats.state],
    uptime_seconds: stats.uptimeSeconds ?? unknown,
    cpu_usage_percent: cpu,
    memory_usage_percent: percent(stats.memoryUsedBytes, stats.memoryTotalBytes ?? instance.memoryMib * MIB),
    disk_usage_percent: percent(stats.diskUsedBytes, stats.diskTotalBytes ?? instance.diskGib * GIB),
    network_in_bytes: stats.networkInBytes ?? unknown,
    network_out_bytes: stats.networkOutBytes ?? unknown,
    power_state: POWER[stats.state],
    cpu_usage: cpu,
    memory_used_mb: stats.memoryUsedBytes === null ? unknown : Math.round(stats.memoryUsedBytes / MIB),
    memory_total_mb: instance.memoryMib,
    disk_used_gb: stats.diskUsedBytes === null ? unknown : oneDecimal(stats.diskUsedBytes / GIB),
    disk_total_gb: instance.diskGib,
  }
}

export const PowerAnswer = z
  .object({ success: z.boolean(), action: z.enum(['start', 'stop', 'reboot']), message: z.string() })
  .meta({ id: 'PowerAnswer' })
const PHRASE = { start: 'starting', stop: 'stopping', reboot: 'rebooting' } as const
export const presentPower = (action: keyof typeof PHRASE): z.infer<typeof PowerAnswer> => ({
  success: true,
  action,
  message: `VPS is ${PHRASE[action]}`,
})

export const Profile = z
  .object({ customer_id: z.string(), email: z.string(), name: z.string(), customer_type: z.string() })
  .meta({ id: 'Profile' })
export const presentProfile = (account: Account): z.infer<typeof Profile> => ({
  customer_id: account.uuid,
  email: account.email,
  name: account.name,
  customer_type: 'private',
})
