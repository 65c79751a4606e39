import { type SelectQueryBuilder, sql } from 'kysely'
import { notFound } from '../model/errors.ts'
import { type AccountId, type HostId, type InstanceId, isUuid } from '../model/ids.ts'
import type { InstanceState, Power } from '../model/instance.ts'
import type { InstanceSpec } from '../model/instance-spec.ts'
import type { Db } from './db.ts'
import * as events from './events.ts'
import type { Schema } from './schema.ts'

/** An instance as everybody above the store sees it. */
export interface Instance {
  id: InstanceId
  uuid: string
  number: number
  accountId: AccountId
  regionId: string
  hostId: HostId | null
  name: string
  hostname: string
  state: InstanceState
  stateReason: string | null
  stateChangedAt: Date
  suspendedReason: string | null
  desiredPower: Power
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
  }
  image: { id: string; number: number; name: string; family: string; version: string; isWindows: boolean }
  vcpus: number
  memoryMib: number
  diskGib: number
  mac: string
  ipv4: string | null
  ipv6: string | null
  /** On the host's loopback, where instances have no route. */
  sshPort: number | null
  createdAt: Date
  /** Its first SSH banner. */
  provisionedAt: Date | null
  startedAt: Date | null
  updatedAt: Date
}

const address = (family: 4 | 6) =>
  sql<
    string | null
  >`(SELECT host(address) FROM ip_address WHERE instance_id = instance.id AND family = ${sql.lit(family)} LIMIT 1)`

function selectInstance(db: Db) {
  return db
    .selectFrom('instance')
    .innerJoin('plan', 'plan.id', 'instance.plan_id')
    .innerJoin('image', 'image.id', 'instance.image_id')
    .select([
      'instance.id',
      'instance.uuid',
      'instance.number',
      'instance.account_id as accountId',
      'instance.region_id as regionId',
      'instance.host_id as hostId',
      'instance.name',
      'instance.hostname',
      'instance.state',
      'instance.state_reason as stateReason',
      'instance.state_changed_at as stateChangedAt',
      'instance.suspended_reason as suspendedReason',
      'instance.desired_power as desiredPower',
      'instance.vcpus',
      'instance.memory_mib as memoryMib',
      'instance.disk_gib as diskGib',
      'instance.mac',
      'instance.ssh_port as sshPort',
      'instance.created_at as createdAt',
      'instance.provisioned_at as provisionedAt',
      'instance.started_at as startedAt',
      'instance.updated_at as updatedAt',
      'plan.id as planId',
      'plan.number as planNumber',
      'plan.name as planName',
      'plan.vcpus as planVcpus',
      'plan.memory_mib as planMemoryMib',
      'plan.disk_gib as planDiskGib',
      'plan.traffic_tb as trafficTb',
      'plan.price_monthly_minor as priceMonthlyMinor',
      'plan.currency',
      'image.id as imageId',
      'image.number as imageNumber',
      'image.name as imageName',
      'image.family',
      'image.version',
      'image.is_windows as isWindows',
      address(4).as('ipv4'),
      address(6).as('ipv6'),
    ])
}
type InstanceQuery = ReturnType<typeof selectInstance>
type InstanceRow =
  InstanceQuery extends SelectQueryBuilder<Schema, never, infer Row>
    ? Row
    : Awaited<ReturnType<InstanceQuery['executeTakeFirstOrThrow']>>

function asInstance(row: InstanceRow): Instance {
  const { planId, planNumber, planName, planVcpus, planMemoryMib, planDiskGib, ...withoutPlanSize } = row
  const { trafficTb, priceMonthlyMinor, currency, ...withoutPlan } = withoutPlanSize
  const { imageId, imageNumber, imageName, family, version, isWindows, ...rest } = withoutPlan
  return {
    ...rest,
    plan: {
      id: planId,
      number: planNumber,
      name: planName,
      vcpus: planVcpus,
      memoryMib: planMemoryMib,
      diskGib: planDiskGib,
      trafficTb,
      priceMonthlyMinor,
      currency,
    },
    image: { id: imageId, number: imageNumber, name: imageName, family, version, isWindows },
  }
}

export interface InstanceFilter {
  accountId: AccountId | null
  states?: readonly InstanceState[]
  regionId?: string
  name?: string
  limit?: number
  offset?: number
}

/** What is not deleted, oldest first. */
export async function list(db: Db, filter: InstanceFilter): Promise<{ items: Instance[]; total: number }> {
  const narrow = <O>(query: SelectQueryBuilder<Schema, 'instance', O>) =>
    query
      .where('instance.delete_requested_at', 'is', null)
      .$if(filter.accountId !== null, (q) => q.where('instance.account_id', '=', filter.accountId as AccountId))
      .$if(filter.states !== undefined, (q) => q.where('instance.state', 'in', filter.states as InstanceState[]))
      .$if(filter.regionId !== undefined, (q) => q.where('instance.region_id', '=', filter.regionId as string))
      .$if(filter.name !== undefined, (q) => q.where('instance.name', '=', filter.name as string))
  const page = narrow(db.selectFrom('instance'))
    .select('instance.id')
    .orderBy('instance.number')
    .$if(filter.limit !== undefined, (q) => q.limit(filter.limit as number))
    .$if(filter.offset !== undefined, (q) => q.offset(filter.offset as number))
  const rows = await selectInstance(db).where('instance.id', 'in', page).orderBy('instance.number').execute()
  const isWhole = !filter.offset && (filter.limit === undefined || rows.length < filter.limit)
  if (isWhole) return { items: rows.map(asInstance), total: rows.length }
  const { total } = await narrow(db.selectFrom('instance'))
    .select((eb) => eb.fn.countAll<number>().as('total'))
    .executeTakeFirstOrThrow()
  return { items: rows.map(asInstance), total }
}

/** One instance by its own id, deleted or not. For strands; callers go through `find`. */
export async function get(db: Db, id: InstanceId): Promise<Instance> {
  const row = await selectInstance(db).where('instance.id', '=', id).executeTakeFirst()
  if (!row) throw notFound('instance', id)
  return asInstance(row)
}

export interface Visibility {
  accountId: AccountId | null
}

/**
 * The ids that a caller's word may mean: a text id, a UUID or a number names one; a name or host name may name several.
 * What is deleted or of another account is not there.
 */
export async function findIds(db: Db, ref: string, { accountId }: Visibility): Promise<InstanceId[]> {
  if (ref.length === 0 || ref.length > 255 || ref.includes('\0')) return []
  const visible = db
    .selectFrom('instance')
    .select('id')
    .where('delete_requested_at', 'is', null)
    .$if(accountId !== null, (query) => query.where('account_id', '=', accountId as AccountId))
    .limit(10)
  const exact = isUuid(ref)
    ? visible.where('uuid', '=', ref.toLowerCase())
    : /^inst_[0-9a-z]{26}$/.test(ref)
      ? visible.where('id', '=', ref as InstanceId)
      : /^[1-9]\d{0,14}$/.test(ref)
        ? visible.where('number', '=', Number(ref))
        : null
  const found = exact ? await exact.execute() : []
  if (found.length > 0) return found.map(({ id }) => id)
  const named = await visible
    .where((eb) => eb.or([eb('name', '=', ref), eb('hostname', '=', ref)]))
    .orderBy('number')
    .execute()
  return named.map(({ id }) => id)
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
    .insertInto('instance')
    .values({
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
    })
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

export async function rename(tx: Db, id: InstanceId, name: string): Promise<void> {
  await tx.updateTable('instance').set({ name, updated_at: sql<Date>`cloud_now()` }).where('id', '=', id).execute()
  await announce(tx, id)
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
    .set({ host_id: null, ssh_port: null, ssh_keys: [], password_hash: null, updated_at: sql<Date>`cloud_now()` })
    .where('id', '=', id)
    .execute()
  await tx.deleteFrom('instance_stats').where('instance_id', '=', id).execute()
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
  const row = await db
    .selectFrom('instance')
    .selectAll()
    .select([address(4).as('ipv4'), address(6).as('ipv6')])
    .where('id', '=', id)
    .executeTakeFirst()
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
    WHERE host_id = ${hostId} AND kind = 'instance' AND step = 'ready'
      AND step_entered_at > cloud_now() - ${withinSeconds} * interval '1 second'`.execute(db)
  return rows[0]!.count
}

export const countByState = (db: Db) =>
  db
    .selectFrom('instance')
    .select(['state', (eb) => eb.fn.countAll<number>().as('count')])
    .groupBy('state')
    .execute()
