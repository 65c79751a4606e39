/** The rules of backups. Making one takes as long as it takes and stands in nobody's way: that is its strand's to do. */
import { beginBackup } from '../../jobs/backup/begin.ts'
import { CloudError, invalidField, notFound } from '../../model/errors.ts'
import type { Backup } from '../../store/backups.ts'
import * as backups from '../../store/backups.ts'
import { atomically } from '../../store/db.ts'
import * as instanceRows from '../../store/instances.ts'
import type { Operation } from '../../store/operations.ts'
import * as operations from '../../store/operations.ts'
import * as strands from '../../store/strands.ts'
import { allow, type Ctx, visibleAccount } from '../ctx.ts'
import * as instances from '../instances.ts'

export type { Backup }

/** A text may be the text id, the UUID, the number or the short id; a number is the number. */
export type BackupRef = string | number

export interface OfInstance {
  /** Only what is of this instance is there. */
  instance?: instances.Ref
}

const PAGE = 100
const LABEL_MAX = 255
const RETENTION_DAYS_MAX = 3650

/** Newest first; without an instance also those of instances that are deleted. */
export async function list(
  ctx: Ctx,
  { instance, limit = PAGE, offset = 0 }: OfInstance & { limit?: number; offset?: number } = {},
): Promise<{ items: Backup[]; total: number }> {
  allow(ctx, 'instances:read')
  const filter = { accountId: visibleAccount(ctx), ...(await instanceId(ctx, instance)), limit, offset }
  return backups.list(ctx.db, filter, ctx.settings.receiptDays)
}

export async function get(ctx: Ctx, ref: BackupRef, { instance }: OfInstance = {}): Promise<Backup> {
  allow(ctx, 'instances:read')
  return find(ctx, ref, instance)
}

async function find(ctx: Ctx, ref: BackupRef, instance?: instances.Ref): Promise<Backup> {
  const where = { accountId: visibleAccount(ctx), ...(await instanceId(ctx, instance)) }
  return backups.get(ctx.db, String(ref), where, ctx.settings.receiptDays)
}

const instanceId = async (ctx: Ctx, instance: instances.Ref | undefined) =>
  instance === undefined ? {} : { instanceId: (await instances.get(ctx, instance)).id }

export interface CreateBackup {
  label?: string
  /** Default: as the instance's policy says, enabled or not; 14 without one. */
  retentionDays?: number
}

/** Of a running or a stopped instance. Throws `conflict` while it is provisioning or another backup of it is made. */
export async function create(
  ctx: Ctx,
  instanceRef: instances.Ref,
  { label, retentionDays }: CreateBackup = {},
): Promise<{ backup: Backup; operation: Operation }> {
  allow(ctx, 'instances:write')
  const name = label?.trim() || null
  if (name && name.length > LABEL_MAX) throw invalidField('label', `a label has at most ${LABEL_MAX} characters`, label)
  if (retentionDays !== undefined && !(retentionDays >= 1 && retentionDays <= RETENTION_DAYS_MAX)) {
    throw invalidField('retentionDays', `a backup is kept from 1 to ${RETENTION_DAYS_MAX} days`, retentionDays)
  }
  const { id } = await instances.get(ctx, instanceRef)
  return atomically(ctx.db, async (tx) => {
    const instance = await instanceRows.lock(tx, id)
    if (instance.delete_requested_at) throw notFound('instance', String(instanceRef))
    if (instance.state === 'provisioning' || instance.host_id === null) {
      throw new CloudError('conflict', 'cannot back up an instance that is provisioning')
    }
    if (await backups.findCreating(tx, id)) {
      throw new CloudError('conflict', 'a backup of this instance is being made: wait until it is done, then try again')
    }
    const wish = { kind: 'manual', label: name, retentionDays, policyDueAt: null, requestId: ctx.requestId } as const
    const begun = await beginBackup(tx, instance, wish)
    return {
      backup: await backups.get(tx, begun.id, { accountId: null }, ctx.settings.receiptDays),
      operation: begun.operation,
    }
  })
}

/**
 * Accepted in every state; one that is being made is given up. From here on callers see `not_found`. With `manualOnly`
 * those of a policy are refused.
 */
export async function remove(
  ctx: Ctx,
  ref: BackupRef,
  { instance, manualOnly = false }: OfInstance & { manualOnly?: boolean } = {},
): Promise<Backup> {
  allow(ctx, 'instances:write')
  const backup = await find(ctx, ref, instance)
  if (manualOnly && backup.kind !== 'manual') {
    throw new CloudError('conflict', 'an automatic backup cannot be deleted by hand; it goes when its time is over')
  }
  return atomically(ctx.db, async (tx) => {
    const row = await backups.lock(tx, backup.id)
    if (row.state === 'deleted') throw notFound('backup', String(ref))
    await backups.markDeleted(tx, backup.id)
    await operations.finish(tx, backup.id, ['backup.create'], 'cancelled', { message: 'the backup was deleted' })
    await strands.wake(tx, backup.id, 'delete')
    return { ...backup, state: 'deleted' }
  })
}

/** How many backups can be seen, and what they hold in the store together: what they share counts once. */
export async function usage(
  ctx: Ctx,
  instance: instances.Ref | null,
): Promise<{ backups: number; storedBytes: number }> {
  allow(ctx, 'instances:read')
  return backups.usage(ctx.db, { accountId: visibleAccount(ctx), ...(await instanceId(ctx, instance ?? undefined)) })
}
