import { type RawBuilder, type Selectable, sql } from 'kysely'
import type { Names } from '../model/catalog.ts'
import { notFound } from '../model/errors.ts'
import { type AccountId, type HostId, type InstanceId, isUuid } from '../model/ids.ts'
import type { InstanceState, Power } from '../model/instance.ts'
import type { InstanceSpec } from '../model/instance-spec.ts'
import * as credentials from './credentials.ts'
import type { Db } from './db.ts'
import * as events from './events.ts'
import * as rsyncAccounts from './rsync-accounts.ts'
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
const ADDRESSES = `LEFT JOIN LATERAL (
    SELECT max(host(address)) FILTER (WHERE family = 4) AS ipv4, max(host(address)) FILTER (WHERE family = 6) AS ipv6
    FROM ip_address WHERE instance_id = instance.id) AS ip ON true`

/** As text rather than built: this is what every read runs, and building it would cost more than PostgreSQL needs. */
const SELECT = sql.raw(`
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

type Row = Pick<
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

const asInstance = (row: Row): Instance => ({
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

export interface InstanceFilter {
  accountId: AccountId | null
  states?: readonly InstanceState[]
  isSuspended?: boolean
  regionId?: string
  name?: string
  limit?: number
  offset?: number
}

/** What is not deleted, oldest first. */
export async function list(db: Db, filter: InstanceFilter): Promise<{ items: Instance[]; total: number }> {
  const { accountId, states, isSuspended, regionId, name, limit, offset = 0 } = filter
  const wanted = sql.join(
    [
      visibleTo(accountId),
      ...(states === undefined ? [] : [sql`instance.state = ANY(${states})`]),
      ...(isSuspended === undefined ? [] : [sql`(instance.suspended_reason IS NOT NULL) = ${isSuspended}`]),
      ...(regionId === undefined ? [] : [sql`instance.region_id = ${regionId}`]),
      ...(name === undefined ? [] : [sql`instance.name = ${name}`]),
    ],
    sql` AND `,
  )
  const { rows } = await sql<Row>`
    ${SELECT} WHERE ${wanted} ORDER BY instance.number LIMIT ${limit ?? null} OFFSET ${offset}`.execute(db)
  const items = rows.map(asInstance)
  const isLastPage = limit === undefined || items.length < limit
  if (isLastPage && (items.length > 0 || offset === 0)) return { items, total: offset + items.length }
  const isNarrowed = states !== undefined || isSuspended !== undefined || regionId !== undefined || name !== undefined
  return { items, total: isNarrowed ? await count(db, wanted) : await countAll(db, accountId) }
}

async function count(db: Db, wanted: RawBuilder<unknown>): Promise<number> {
  const { rows } = await sql<{ total: number }>`SELECT count(*) AS total FROM instance WHERE ${wanted}`.execute(db)
  return rows[0]!.total
}

/** Without looking at the instances; see migrations/0002-instance-count.ts. */
async function countAll(db: Db, accountId: AccountId | null): Promise<number> {
  const { rows } = await sql<{ total: number }>`
    SELECT coalesce(sum(instances), 0)::bigint AS total FROM instance_count
    WHERE ${accountId === null ? sql`true` : sql`account_id = ${accountId}`}`.execute(db)
  return rows[0]!.total
}

const visibleTo = (accountId: AccountId | null) =>
  accountId === null
    ? sql`instance.delete_requested_at IS NULL`
    : sql`instance.delete_requested_at IS NULL AND instance.account_id = ${accountId}`

/** One instance by its own id, deleted or not. For strands; callers go through `find`. */
export async function get(db: Db, id: InstanceId): Promise<Instance> {
  const { rows } = await sql<Row>`${SELECT} WHERE instance.id = ${id}`.execute(db)
  if (!rows[0]) throw notFound('instance', id)
  return asInstance(rows[0])
}

export interface Visibility {
  accountId: AccountId | null
}

/**
 * What a caller's word may mean: a text id, a UUID or a number names one instance; a name or host name may name several
 * (ten at most are returned). What comes as a number is a number and nothing else. What is deleted or of another account
 * is not there.
 */
export async function find(db: Db, ref: string | number, { accountId }: Visibility): Promise<Instance[]> {
  if (typeof ref === 'string' && (ref.length === 0 || ref.length > 255 || ref.includes('\0'))) return []
  const visible = visibleTo(accountId)
  for (const meaning of meaningsOf(ref)) {
    const { rows } = await sql<Row>`
      ${SELECT} WHERE ${meaning} AND ${visible} ORDER BY instance.number LIMIT 10`.execute(db)
    if (rows.length > 0) return rows.map(asInstance)
  }
  return []
}

/** Names last: an id is never mistaken for the name of another. */
function meaningsOf(ref: string | number): RawBuilder<unknown>[] {
  if (typeof ref === 'number') return [sql`instance.number = ${ref}`]
  const named = sql`(instance.name = ${ref} OR instance.hostname = ${ref})`
  if (isUuid(ref)) return [sql`instance.uuid = ${ref.toLowerCase()}`, named]
  if (/^inst_[0-9a-z]{26}$/.test(ref)) return [sql`instance.id = ${ref}`, named]
  if (/^[1-9]\d{0,14}$/.test(ref)) return [sql`instance.number = ${Number(ref)}`, named]
  return [named]
}

/** Locks the row for the rest of the transaction; every change of an instance begins here. */
export async function lock(tx: Db, id: InstanceId) {
  const row = await tx.selectFrom('instance').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
  if (!row) throw notFound('instance', id)
  return row
}

export interface NewInstance {
  id: InstanceId
  uuid: string
  accountId: AccountId
  regionId: string
  planId: string
  imageId: string
  name: string
  hostname: string
  vcpus: number
  memoryMib: number
  diskGib: number
  mac: string
  sshKeys: readonly string[]
  passwordHash: string | null
}

export async function insert(tx: Db, instance: NewInstance): Promise<void> {
  await tx
    // Read once: who has never been changed shows two equal times.
    .with('reading', (db) => db.selectNoFrom(sql<Date>`cloud_now()`.as('now')))
    .insertInto('instance')
    .values((eb) => ({
      id: instance.id,
      uuid: instance.uuid,
      account_id: instance.accountId,
      region_id: instance.regionId,
      plan_id: instance.planId,
      image_id: instance.imageId,
      name: instance.name,
      hostname: instance.hostname,
      vcpus: instance.vcpus,
      memory_mib: instance.memoryMib,
      disk_gib: instance.diskGib,
      mac: instance.mac,
      ssh_keys: [...instance.sshKeys],
      password_hash: instance.passwordHash,
      created_at: eb.selectFrom('reading').select('now'),
      updated_at: eb.selectFrom('reading').select('now'),
    }))
    .execute()
  await announce(tx, instance.id)
}

export interface Change {
  state?: InstanceState
  /** Why it is in that state, for people; null clears it. */
  reason?: string | null
  desiredPower?: Power
  startedAt?: Date | null
  provisioned?: boolean
  crashCount?: number
  crashed?: boolean
}

/**
 * Writes what changed and tells the watchers when the state or its reason did. Once a delete was accepted only the
 * states of deleting are written: a step that was under way must not bring the instance back.
 */
export async function change(tx: Db, id: InstanceId, change: Change): Promise<void> {
  const { rows } = await sql<{ changed: boolean }>`
    UPDATE instance SET
      state = coalesce(${change.state ?? null}, instance.state),
      state_reason = CASE WHEN ${change.reason !== undefined || change.state !== undefined} THEN ${change.reason ?? null} ELSE instance.state_reason END,
      state_changed_at = CASE WHEN coalesce(${change.state ?? null}, instance.state) <> instance.state THEN cloud_now() ELSE instance.state_changed_at END,
      desired_power = coalesce(${change.desiredPower ?? null}, instance.desired_power),
      started_at = CASE WHEN ${change.startedAt !== undefined} THEN ${change.startedAt ?? null}::timestamptz ELSE instance.started_at END,
      provisioned_at = CASE WHEN ${change.provisioned === true} THEN coalesce(instance.provisioned_at, cloud_now()) ELSE instance.provisioned_at END,
      crash_count = coalesce(${change.crashCount ?? null}::int, instance.crash_count),
      crashed_at = CASE WHEN ${change.crashed === true} THEN cloud_now() ELSE instance.crashed_at END,
      updated_at = cloud_now()
    FROM (SELECT state, state_reason FROM instance WHERE id = ${id} FOR UPDATE) AS old
    WHERE id = ${id} AND (delete_requested_at IS NULL OR ${change.state === 'deleting' || change.state === 'deleted'})
    RETURNING instance.state <> old.state OR instance.state_reason IS DISTINCT FROM old.state_reason AS changed`.execute(
    tx,
  )
  if (rows[0]?.changed) await announce(tx, id)
}

async function announce(tx: Db, id: InstanceId): Promise<void> {
  const row = await tx
    .selectFrom('instance')
    .select(['account_id', 'uuid', 'number', 'name', 'state', 'state_reason'])
    .where('id', '=', id)
    .executeTakeFirstOrThrow()
  await events.emit(tx, {
    accountId: row.account_id,
    kind: 'instance',
    resourceId: id,
    data: { uuid: row.uuid, number: row.number, name: row.name, state: row.state, reason: row.state_reason },
  })
}

export interface InstanceUpdate {
  name?: string
  hostname?: string
  reference?: string | null
  canSnapshot?: boolean
}

/** What is left out stays. */
export async function update(
  tx: Db,
  id: InstanceId,
  { name, hostname, reference, canSnapshot }: InstanceUpdate,
): Promise<void> {
  await tx
    .updateTable('instance')
    .set({
      ...(name !== undefined && { name }),
      ...(hostname !== undefined && { hostname }),
      ...(reference !== undefined && { reference }),
      ...(canSnapshot !== undefined && { can_snapshot: canSnapshot }),
      updated_at: sql<Date>`cloud_now()`,
    })
    .where('id', '=', id)
    .execute()
  await announce(tx, id)
}

/** What its instances that are not deleted cost a month, in minor units. */
export async function monthlyPrice(db: Db, accountId: AccountId): Promise<number> {
  const { rows } = await sql<{ minor: number }>`
    SELECT coalesce(sum(plan.price_monthly_minor), 0)::bigint AS minor
    FROM instance JOIN plan ON plan.id = instance.plan_id WHERE ${visibleTo(accountId)}`.execute(db)
  return rows[0]!.minor
}

/** From here on callers see 404; disk and addresses stay until `purgeInHours` have passed. */
export async function requestDelete(tx: Db, id: InstanceId, purgeInHours: number): Promise<void> {
  await sql`UPDATE instance SET delete_requested_at = coalesce(delete_requested_at, cloud_now()), desired_power = 'off',
      purge_at = least(purge_at, cloud_now() + ${purgeInHours} * interval '1 hour')
    WHERE id = ${id}`.execute(tx)
  await change(tx, id, { state: 'deleting' })
}

/** The row stays as a record; whatever could be somebody's secret or somebody else's place does not. */
export async function markPurged(tx: Db, id: InstanceId): Promise<void> {
  await tx
    .updateTable('instance')
    .set({ host_id: null, ssh_port: null, ssh_keys: [], updated_at: sql<Date>`cloud_now()` })
    .where('id', '=', id)
    .execute()
  await forgetRebuild(tx, id)
  await credentials.forget(tx, id)
  await rsyncAccounts.release(tx, id)
}

export async function place(
  tx: Db,
  id: InstanceId,
  at: { hostId: HostId; imageDigest: string | null; sshPort: number | null },
): Promise<void> {
  await tx
    .updateTable('instance')
    .set({ host_id: at.hostId, image_digest: at.imageDigest, ssh_port: at.sshPort })
    .where('id', '=', id)
    .execute()
}

/** What is to be put on its disk; null when nothing is. */
export interface Rebuild {
  imageId: string
  /** Of the root password that was made for it; null: none was. */
  passwordSealed: Buffer | null
}

export async function findRebuild(db: Db, id: InstanceId): Promise<(Rebuild & { generation: number }) | null> {
  const { imageId, ...rest } = await db
    .selectFrom('instance')
    .select(['rebuild_image_id as imageId', 'rebuild_password_sealed as passwordSealed', 'generation'])
    .where('id', '=', id)
    .executeTakeFirstOrThrow()
  return imageId === null ? null : { imageId, ...rest }
}

export async function wishRebuild(
  tx: Db,
  id: InstanceId,
  { imageId, passwordHash, passwordSealed }: Rebuild & { passwordHash: string | null },
): Promise<void> {
  const wish = { rebuild_image_id: imageId, rebuild_password_sealed: passwordSealed, password_hash: passwordHash }
  await tx.updateTable('instance').set(wish).where('id', '=', id).execute()
}

export async function forgetRebuild(tx: Db, id: InstanceId): Promise<void> {
  const nothing = { rebuild_image_id: null, rebuild_password_sealed: null, password_hash: null }
  await tx.updateTable('instance').set(nothing).where('id', '=', id).execute()
}

/** From here on its disk is the next generation's, which nobody has seen boot. */
export async function install(
  tx: Db,
  id: InstanceId,
  { imageId, imageDigest }: { imageId: string; imageDigest: string | null },
): Promise<void> {
  await tx
    .updateTable('instance')
    .set({
      image_id: imageId,
      image_digest: imageDigest,
      rebuild_image_id: null,
      rebuild_password_sealed: null,
      source_backup_id: null,
      restore_backup_id: null,
      generation: sql<number>`generation + 1`,
      provisioned_at: null,
      started_at: null,
      crash_count: 0,
      updated_at: sql<Date>`cloud_now()`,
    })
    .where('id', '=', id)
    .execute()
}

export async function forgetPasswordHash(tx: Db, id: InstanceId): Promise<void> {
  await tx.updateTable('instance').set({ password_hash: null }).where('id', '=', id).execute()
}

/** The lowest port from `from` on that no instance of that host has. The host's row must be locked. */
export async function freeSshPort(tx: Db, hostId: HostId, from: number): Promise<number> {
  const { rows } = await sql<{ port: number }>`
    SELECT port FROM generate_series(${from}::int, 65535) AS port
    WHERE NOT EXISTS (SELECT 1 FROM instance WHERE host_id = ${hostId} AND ssh_port = port) LIMIT 1`.execute(tx)
  return rows[0]!.port
}

/** What the compute driver needs to know. */
export async function spec(db: Db, id: InstanceId): Promise<InstanceSpec> {
  const { rows } = await sql<Selectable<Schema['instance']> & { ipv4: string | null; ipv6: string | null }>`
    SELECT instance.*, ip.ipv4, ip.ipv6 FROM instance ${sql.raw(ADDRESSES)} WHERE instance.id = ${id}`.execute(db)
  const [row] = rows
  if (!row) throw notFound('instance', id)
  return {
    id,
    uuid: row.uuid,
    number: row.number,
    generation: row.generation,
    hostname: row.hostname,
    vcpus: row.vcpus,
    memoryMib: row.memory_mib,
    diskGib: row.disk_gib,
    imageDigest: row.image_digest,
    mac: row.mac,
    ipv4: row.ipv4,
    ipv6: row.ipv6,
    sshKeys: row.ssh_keys,
    passwordHash: row.password_hash,
    sshPort: row.ssh_port,
  }
}

/** What a reconciler compares with the host: every instance that has a place there. */
export const onHosts = (db: Db, hostIds: readonly HostId[]) =>
  db
    .selectFrom('instance')
    .select(['id', 'state', 'delete_requested_at', 'started_at'])
    .where('host_id', 'in', hostIds)
    .execute()

/** How many guests of a host are between power-on and their first banner, not longer than `withinSeconds`. */
export async function countBooting(db: Db, hostId: HostId, withinSeconds: number): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    SELECT count(*)::float8 AS count FROM strand
    WHERE host_id = ${hostId} AND ((kind = 'instance' AND step = 'ready') OR (kind = 'receipt' AND step = 'watch'))
      AND step_entered_at > cloud_now() - ${withinSeconds} * interval '1 second'`.execute(db)
  return rows[0]!.count
}
