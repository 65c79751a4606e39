/**
 * When an instance is backed up by itself. `instance.backups_enabled` says the same as the policy's `enabled`, for those
 * who read instances: both change here and nowhere else.
 */
import { sql } from 'kysely'
import { type BackupSchedule, DEFAULT_SCHEDULE, nextMoment } from '../model/backup.ts'
import type { InstanceId } from '../model/ids.ts'
import { type Db, now } from './db.ts'

export interface BackupPolicy {
  schedule: BackupSchedule
  /** Null while it is not enabled. */
  nextAt: Date | null
  lastAt: Date | null
}

export async function find(db: Db, instanceId: InstanceId): Promise<BackupPolicy | null> {
  const row = await db.selectFrom('backup_policy').selectAll().where('instance_id', '=', instanceId).executeTakeFirst()
  if (!row) return null
  return {
    schedule: {
      enabled: row.enabled,
      frequency: row.frequency,
      dayOfWeek: row.day_of_week,
      time: row.time,
      retentionDays: row.retention_days,
    },
    nextAt: row.next_at,
    lastAt: row.last_at,
  }
}

/**
 * Writes what differs over the stored policy, or over the default one; the instance's row must be locked. A firing that
 * is due stays due unless the times changed.
 */
export async function merge(tx: Db, instanceId: InstanceId, change: Partial<BackupSchedule>): Promise<BackupPolicy> {
  const stored = await find(tx, instanceId)
  const before = stored?.schedule ?? DEFAULT_SCHEDULE
  const schedule = { ...before, ...change }
  const nextAt = nextOf(schedule, stored && hasSameTimes(before, schedule) ? stored.nextAt : null, await now(tx))
  const values = {
    enabled: schedule.enabled,
    frequency: schedule.frequency,
    day_of_week: schedule.dayOfWeek,
    time: schedule.time,
    retention_days: schedule.retentionDays,
    next_at: nextAt,
    updated_at: sql<Date>`cloud_now()`,
  }
  await tx
    .insertInto('backup_policy')
    .values({ instance_id: instanceId, ...values })
    .onConflict((conflict) => conflict.column('instance_id').doUpdateSet(values))
    .execute()
  await tellInstance(tx, instanceId, schedule.enabled)
  return { schedule, nextAt, lastAt: stored?.lastAt ?? null }
}

const nextOf = (schedule: BackupSchedule, known: Date | null, time: Date): Date | null =>
  schedule.enabled ? (known ?? nextMoment(schedule, time)) : null

const hasSameTimes = (a: BackupSchedule, b: BackupSchedule): boolean =>
  a.enabled === b.enabled && a.frequency === b.frequency && a.dayOfWeek === b.dayOfWeek && a.time === b.time

/** On: the policy as it is stored, or the default one, goes into effect. Off where there is none stays none. */
export async function setEnabled(tx: Db, instanceId: InstanceId, enabled: boolean): Promise<void> {
  if (!enabled && !(await find(tx, instanceId))) return
  await merge(tx, instanceId, { enabled })
}

export async function remove(tx: Db, instanceId: InstanceId): Promise<void> {
  await tx.deleteFrom('backup_policy').where('instance_id', '=', instanceId).execute()
  await tellInstance(tx, instanceId, false)
}

const tellInstance = async (tx: Db, instanceId: InstanceId, enabled: boolean): Promise<void> => {
  await tx.updateTable('instance').set({ backups_enabled: enabled }).where('id', '=', instanceId).execute()
}

/** A firing is due, and the instance is one that can be backed up now and is not. */
const DUE = sql`p.enabled AND p.next_at <= cloud_now() AND i.delete_requested_at IS NULL AND i.state <> 'provisioning'
  AND i.host_id IS NOT NULL
  AND NOT EXISTS (SELECT FROM backup b WHERE b.instance_id = i.id AND b.state = 'creating')`

/** Instances with a firing that is due, longest first, but for those `except`. */
export async function due(db: Db, limit: number, except: readonly InstanceId[] = []): Promise<InstanceId[]> {
  const { rows } = await sql<{ id: InstanceId }>`
    SELECT i.id FROM backup_policy p JOIN instance i ON i.id = p.instance_id
    WHERE ${DUE} AND NOT i.id = ANY (${except}) ORDER BY p.next_at LIMIT ${limit}`.execute(db)
  return rows.map(({ id }) => id)
}

/** Null when it is not due any more. The instance's row must be locked. */
export async function findDue(tx: Db, instanceId: InstanceId): Promise<(BackupPolicy & { nextAt: Date }) | null> {
  const { rows } = await sql`
    SELECT FROM backup_policy p JOIN instance i ON i.id = p.instance_id WHERE i.id = ${instanceId} AND ${DUE}`.execute(
    tx,
  )
  const policy = rows.length > 0 ? await find(tx, instanceId) : null
  return policy?.nextAt ? { ...policy, nextAt: policy.nextAt } : null
}

/**
 * Instances whose next moment lies further away than any schedule has it: the clock was wrong when it was set, and
 * nothing would fire until then.
 */
export async function strayed(db: Db, limit: number): Promise<InstanceId[]> {
  const { rows } = await sql<{ id: InstanceId }>`
    SELECT instance_id AS id FROM backup_policy
    WHERE enabled AND next_at > cloud_now() + CASE frequency WHEN 'daily' THEN interval '1 day' ELSE interval '7 days' END
    LIMIT ${limit}`.execute(db)
  return rows.map(({ id }) => id)
}

/** The next moment as the clock has it now. The instance's row must be locked. */
export async function setAnew(tx: Db, instanceId: InstanceId): Promise<void> {
  const policy = await find(tx, instanceId)
  if (!policy?.schedule.enabled) return
  const nextAt = nextMoment(policy.schedule, await now(tx))
  await tx.updateTable('backup_policy').set({ next_at: nextAt }).where('instance_id', '=', instanceId).execute()
}

/** Whether this firing became a backup already: a clock that went back makes it due again. */
export async function hasFired(tx: Db, instanceId: InstanceId, at: Date): Promise<boolean> {
  const { rows } = await sql`
    SELECT FROM backup WHERE instance_id = ${instanceId} AND policy_due_at = ${at}`.execute(tx)
  return rows.length > 0
}

/** The firing was done. However many were missed, the next one lies in the future. */
export async function noteFired(tx: Db, instanceId: InstanceId, schedule: BackupSchedule): Promise<void> {
  const time = await now(tx)
  await tx
    .updateTable('backup_policy')
    .set({ last_at: time, next_at: nextMoment(schedule, time) })
    .where('instance_id', '=', instanceId)
    .execute()
}
