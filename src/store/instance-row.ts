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
  /** By the cloud's clock: when the row was read. */
  readAt: Date
}

/** One look for both families. */
export const ADDRESSES = `LEFT JOIN LATERAL (
    SELECT max(host(address)) FILTER (WHERE family = 4) AS ipv4, max(host(address)) FILTER (WHERE family = 6) AS ipv6
    FROM ip_address WHERE instance_id = instance.id) AS ip ON true`

/**
 * What many instances share comes as one text, made once for all that have the same (`OFFSET 0` keeps it a part of its
 * own, whose rows PostgreSQL remembers) and read once below: as columns it would be a third of what a list costs.
 */
const shared = (table: 'plan' | 'image' | 'region', columns: Record<string, string>): string =>
  `CROSS JOIN LATERAL (
    SELECT json_build_object(${Object.entries(columns).map(([key, column]) => `'${key}', ${column}`)})::text AS text
    FROM ${table} WHERE ${table}.id = instance.${table}_id OFFSET 0) AS ${table}`

const PLAN = {
  id: 'id',
  number: 'number',
  name: 'name',
  vcpus: 'vcpus',
  memoryMib: 'memory_mib',
  diskGib: 'disk_gib',
  trafficTb: 'traffic_tb',
  priceMonthlyMinor: 'price_monthly_minor',
  currency: 'currency',
  names: 'names',
} satisfies Record<keyof Instance['plan'], string>
const IMAGE = {
  id: 'id',
  number: 'number',
  name: 'name',
  family: 'family',
  version: 'version',
  names: 'names',
} satisfies Record<keyof Instance['image'], string>

/**
 * What follows `SELECT`. As text rather than built: every read runs it, and building it would cost more than PostgreSQL
 * needs.
 */
export const ROWS = sql.raw(`
    instance.id, instance.uuid, instance.number, instance.account_id, instance.region_id, instance.host_id,
    instance.name, instance.hostname, instance.state, instance.state_reason, instance.suspended_reason, instance.vcpus, instance.memory_mib, instance.disk_gib,
    instance.mac, instance.ssh_port, instance.backups_enabled, instance.reference, instance.can_snapshot, instance.created_at, instance.provisioned_at, instance.started_at,
    instance.updated_at, plan.text AS plan, image.text AS image, region.text AS region, account.number AS account_number,
    ip.ipv4, ip.ipv6, (SELECT cloud_now()) AS read_at
  FROM instance JOIN account ON account.id = instance.account_id
    ${shared('plan', PLAN)} ${shared('image', IMAGE)} ${shared('region', { names: 'names' })} ${ADDRESSES}`)

export type Row = Pick<
  Selectable<Schema['instance']>,
  | 'id'
  | 'uuid'
  | 'number'
  | 'account_id'
  | 'region_id'
  | 'host_id'
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
> & {
  plan: string
  image: string
  region: string
  account_number: number
  ipv4: string | null
  ipv6: string | null
  read_at: Date
}

const READ_MAX = 1_000
const read = new Map<string, unknown>()

/** Frozen, because all who have the same text get the same noun. */
function nounOf<T>(text: string): T {
  const known = read.get(text)
  if (known !== undefined) return known as T
  if (read.size >= READ_MAX) read.clear()
  const noun = JSON.parse(text, (_key, value) => Object.freeze(value)) as T
  read.set(text, noun)
  return noun
}

export const asInstance = (row: Row): Instance => ({
  id: row.id,
  uuid: row.uuid,
  number: row.number,
  accountId: row.account_id,
  accountNumber: row.account_number,
  regionId: row.region_id,
  regionNames: nounOf<{ names: Names }>(row.region).names,
  hostId: row.host_id,
  name: row.name,
  hostname: row.hostname,
  state: row.state,
  stateReason: row.state_reason,
  suspendedReason: row.suspended_reason,
  plan: nounOf(row.plan),
  image: nounOf(row.image),
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
  readAt: row.read_at,
})
