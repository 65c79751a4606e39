/** An instance as it is read: with its plan, its image, its region's names and its addresses, in one query. */
import { type Selectable, sql } from 'kysely'
import type { Names } from '../model/catalog.ts'
import type { AccountId, HostId, InstanceId } from '../model/ids.ts'
import type { InstanceState } from '../model/instance.ts'
import type { Schema } from './schema.ts'

/** An instance as everybody above the store sees it. */
export interface Instance {
  id: InstanceId
  uuid: string
  number: number
  accountId: AccountId
  accountNumber: number
  regionId: string
  regionNames: Names
  hostId: HostId | null
  name: string
  hostname: string
  state: InstanceState
  stateReason: string | null
  suspendedReason: string | null
  plan: {
    id: string
    number: number
    name: string
    vcpus: number
    memoryMib: number
    diskGib: number
    trafficTb: number
    priceMonthlyMinor: number
    currency: string
    names: Names
  }
  image: { id: string; number: number; name: string; family: string; version: string; names: Names }
  vcpus: number
  memoryMib: number
  diskGib: number
  mac: string
  ipv4: string | null
  ipv6: string | null
  /** On the host's loopback, where instances have no route. */
  sshPort: number | null
  /** Whether it is backed up by itself, under the policy it has or the usual one. */
  automaticBackups: boolean
  /** The owner's own note. */
  reference: string | null
  /** An operator may take the right to snapshots away. */
  canSnapshot: boolean
  createdAt: Date
  /** Its first SSH banner. */
  provisionedAt: Date | null
  startedAt: Date | null
  updatedAt: Date
}

/** One look for both families. */
export const ADDRESSES = `LEFT JOIN LATERAL (
    SELECT max(host(address)) FILTER (WHERE family = 4) AS ipv4, max(host(address)) FILTER (WHERE family = 6) AS ipv6
    FROM ip_address WHERE instance_id = instance.id) AS ip ON true`

/** As text rather than built: this is what every read runs, and building it would cost more than PostgreSQL needs. */
export const SELECT = sql.raw(`
  SELECT instance.id, instance.uuid, instance.number, instance.account_id, instance.region_id, instance.host_id,
    instance.name, instance.hostname, instance.state, instance.state_reason, instance.suspended_reason, instance.vcpus, instance.memory_mib, instance.disk_gib,
    instance.mac, instance.ssh_port, instance.backups_enabled, instance.reference, instance.can_snapshot, instance.created_at, instance.provisioned_at, instance.started_at,
    instance.updated_at, plan.id AS plan_id, plan.number AS plan_number, plan.name AS plan_name,
    plan.vcpus AS plan_vcpus, plan.memory_mib AS plan_memory_mib, plan.disk_gib AS plan_disk_gib, plan.traffic_tb,
    plan.price_monthly_minor, plan.currency, plan.names AS plan_names, image.id AS image_id, image.number AS image_number,
    image.name AS image_name, image.family, image.version, image.names AS image_names, region.names AS region_names, account.number AS account_number,
    ip.ipv4, ip.ipv6
  FROM instance JOIN plan ON plan.id = instance.plan_id JOIN image ON image.id = instance.image_id
    JOIN region ON region.id = instance.region_id JOIN account ON account.id = instance.account_id
    ${ADDRESSES}`)

export type Row = Pick<
  Selectable<Schema['instance']>,
  | 'id'
  | 'uuid'
  | 'number'
  | 'account_id'
  | 'region_id'
  | 'host_id'
  | 'plan_id'
  | 'image_id'
  | 'name'
  | 'hostname'
  | 'state'
  | 'state_reason'
  | 'suspended_reason'
  | 'vcpus'
  | 'memory_mib'
  | 'disk_gib'
  | 'mac'
  | 'ssh_port'
  | 'backups_enabled'
  | 'reference'
  | 'can_snapshot'
  | 'created_at'
  | 'provisioned_at'
  | 'started_at'
  | 'updated_at'
> &
  Pick<Schema['plan'], 'traffic_tb' | 'price_monthly_minor' | 'currency'> &
  Pick<Schema['image'], 'family' | 'version'> & {
    plan_number: number
    plan_name: string
    plan_vcpus: number
    plan_memory_mib: number
    plan_disk_gib: number
    plan_names: Names
    image_number: number
    image_name: string
    image_names: Names
    region_names: Names
    account_number: number
    ipv4: string | null
    ipv6: string | null
  }

export const asInstance = (row: Row): Instance => ({
  id: row.id,
  uuid: row.uuid,
  number: row.number,
  accountId: row.account_id,
  accountNumber: row.account_number,
  regionId: row.region_id,
  regionNames: row.region_names,
  hostId: row.host_id,
  name: row.name,
  hostname: row.hostname,
  state: row.state,
  stateReason: row.state_reason,
  suspendedReason: row.suspended_reason,
  plan: {
    id: row.plan_id,
    number: row.plan_number,
    name: row.plan_name,
    vcpus: row.plan_vcpus,
    memoryMib: row.plan_memory_mib,
    diskGib: row.plan_disk_gib,
    trafficTb: row.traffic_tb,
    priceMonthlyMinor: row.price_monthly_minor,
    currency: row.currency,
    names: row.plan_names,
  },
  image: {
    id: row.image_id,
    number: row.image_number,
    name: row.image_name,
    family: row.family,
    version: row.version,
    names: row.image_names,
  },
  vcpus: row.vcpus,
  memoryMib: row.memory_mib,
  diskGib: row.disk_gib,
  mac: row.mac,
  ipv4: row.ipv4,
  ipv6: row.ipv6,
  sshPort: row.ssh_port,
  automaticBackups: row.backups_enabled,
  reference: row.reference,
  canSnapshot: row.can_snapshot,
  createdAt: row.created_at,
  provisionedAt: row.provisioned_at,
  startedAt: row.started_at,
  updatedAt: row.updated_at,
})
