import { type RawBuilder, type Selectable, sql } from 'kysely'
import { notFound } from '../model/errors.ts'
import type { AccountId, HostId, InstanceId } from '../model/ids.ts'
import type { InstanceState, Power } from '../model/instance.ts'
import type { InstanceSpec } from '../model/instance-spec.ts'
import * as credentials from './credentials.ts'
import type { Db } from './db.ts'
import * as events from './events.ts'
import { findByKey, keyOf } from './instance-by-key.ts'
import { ADDRESSES, asInstance, type Instance, ROWS, type Row } from './instance-row.ts'
import * as rebuilds from './rebuilds.ts'
import * as rsyncAccounts from './rsync-accounts.ts'
import type { Schema } from './schema.ts'

export type { Instance }

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
  const isNarrowed = states !== undefined || isSuspended !== undefined || regionId !== undefined || name !== undefined
  const total = isNarrowed || limit === undefined ? sql`NULL` : sql`(${totalOf(accountId)})`
  const { rows } = await sql<Row & { total: number | null }>`
    SELECT ${total} AS total, ${ROWS}
    WHERE ${wanted} ORDER BY instance.number LIMIT ${limit ?? null} OFFSET ${offset}`.execute(db)
  const items = rows.map(asInstance)
  const isLastPage = limit === undefined || items.length < limit
  if (isLastPage && (items.length > 0 || offset === 0)) return { items, total: offset + items.length }
  return { items, total: rows[0]?.total ?? (await count(db, isNarrowed ? countOf(wanted) : totalOf(accountId))) }
}

async function count(db: Db, query: RawBuilder<{ total: number }>): Promise<number> {
  return (await query.execute(db)).rows[0]!.total
}

const countOf = (wanted: RawBuilder<unknown>) =>
  sql<{ total: number }>`SELECT count(*) AS total FROM instance WHERE ${wanted}`

/** Without looking at the instances; see migrations/0002-instance-count.ts. */
const totalOf = (accountId: AccountId | null) => sql<{ total: number }>`
    SELECT coalesce(sum(instances), 0)::bigint AS total FROM instance_count
    WHERE ${accountId === null ? sql`true` : sql`account_id = ${accountId}`}`

const visibleTo = (accountId: AccountId | null) =>
  accountId === null
    ? sql`instance.delete_requested_at IS NULL`
    : sql`instance.delete_requested_at IS NULL AND instance.account_id = ${accountId}`

/** One instance by its own id, deleted or not. For strands; callers go through `find`. */
export async function get(db: Db, id: InstanceId): Promise<Instance> {
  const { rows } = await sql<Row>`SELECT ${ROWS} WHERE instance.id = ${id}`.execute(db)
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
  const key = keyOf(ref)
  const one = key && (await findByKey(db, key))
  if (one && (accountId === null || one.accountId === accountId)) return [one]
  if (typeof ref === 'number') return []
  // Names last: an id is never mistaken for the name of another.
  const { rows } = await sql<Row>`
    SELECT ${ROWS} WHERE (instance.name = ${ref} OR instance.hostname = ${ref}) AND ${visibleTo(accountId)}
    ORDER BY instance.number LIMIT 10`.execute(db)
  return rows.map(asInstance)
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
  await rebuilds.forget(tx, id)
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

export async function forgetPasswordHash(tx: Db, id: InstanceId): Promise<void> {
  await tx.updateTable('instance').set({ password_hash: null }).where('id', '=', id).execute()
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
