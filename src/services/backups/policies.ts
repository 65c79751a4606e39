/** When instances are backed up by themselves. */
import { BACKUP_FREQUENCIES, type BackupSchedule, isTimeOfDay, RETENTION_DAYS, WEEKDAYS } from '../../model/backup.ts'
import { invalidField, notFound } from '../../model/errors.ts'
import type { BackupPolicy } from '../../store/backup-policies.ts'
import * as policies from '../../store/backup-policies.ts'
import { atomically, type Db } from '../../store/db.ts'
import * as instanceRows from '../../store/instances.ts'
import { allow, type Ctx } from '../ctx.ts'
import * as instances from '../instances.ts'

export type { BackupPolicy }

/** Null where none was ever set. */
export async function get(ctx: Ctx, instanceRef: instances.Ref): Promise<BackupPolicy | null> {
  const { id } = await instances.get(ctx, instanceRef)
  return policies.find(ctx.db, id)
}

/** What is left out stays as it is stored, or as the default has it. */
export async function set(
  ctx: Ctx,
  instanceRef: instances.Ref,
  change: Partial<BackupSchedule>,
): Promise<BackupPolicy> {
  check(change)
  return onInstance(ctx, instanceRef, (tx, id) => policies.merge(tx, id, change))
}

/** Automatic backups on, by the stored policy or the default one (daily), or off. */
export async function setAutomatic(ctx: Ctx, instanceRef: instances.Ref, on: boolean): Promise<BackupPolicy | null> {
  return onInstance(ctx, instanceRef, async (tx, id) => {
    await policies.setEnabled(tx, id, on)
    return policies.find(tx, id)
  })
}

/** As if there had never been one. Backups that it made stay until they expire. */
export const remove = (ctx: Ctx, instanceRef: instances.Ref): Promise<void> =>
  onInstance(ctx, instanceRef, (tx, id) => policies.remove(tx, id))

async function onInstance<T>(
  ctx: Ctx,
  instanceRef: instances.Ref,
  work: (tx: Db, id: instances.Instance['id']) => Promise<T>,
): Promise<T> {
  allow(ctx, 'instances:write')
  const { id } = await instances.get(ctx, instanceRef)
  return atomically(ctx.db, async (tx) => {
    const row = await instanceRows.lock(tx, id)
    if (row.delete_requested_at) throw notFound('instance', String(instanceRef))
    return work(tx, id)
  })
}

function check({ frequency, dayOfWeek, time, retentionDays }: Partial<BackupSchedule>): void {
  demand('frequency', frequency, BACKUP_FREQUENCIES)
  demand('dayOfWeek', dayOfWeek, WEEKDAYS)
  demand('retentionDays', retentionDays, RETENTION_DAYS)
  if (time !== undefined && !isTimeOfDay(time))
    throw invalidField('time', 'a time is HH:MM, UTC, for example 02:00', time)
}

function demand<T>(field: string, value: T | undefined, allowed: readonly T[]): void {
  if (value !== undefined && !allowed.includes(value)) {
    throw invalidField(field, `must be one of ${allowed.join(', ')}`, value)
  }
}
