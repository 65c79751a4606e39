/** The proofs of backups: one row a restore into a machine of its own. */
import { type Selectable, sql } from 'kysely'
import { CloudError } from '../model/errors.ts'
import {
  type AccountId,
  type BackupId,
  type HostId,
  type InstanceId,
  isUuid,
  newId,
  newIdentity,
  type ReceiptId,
} from '../model/ids.ts'
import type { ReceiptCheck, ReceiptState } from '../model/receipt.ts'
import { type Db, isUniqueViolation } from './db.ts'
import type { Schema } from './schema.ts'

export interface Receipt {
  id: ReceiptId
  uuid: string
  number: number
  backupId: BackupId
  accountId: AccountId
  state: ReceiptState
  stateReason: string | null
  /** It was made by the schedule, not asked for. */
  isScheduled: boolean
  consistency: 'off' | 'filesystem' | 'crash' | null
  /** Bytes of data that were written, and what restoring and booting took. */
  restoredBytes: number | null
  restoreMs: number | null
  bootMs: number | null
  checks: ReceiptCheck[]
  serialTail: string | null
  hasScreenshot: boolean
  startedAt: Date
  finishedAt: Date | null
}

type Row = Omit<Selectable<Schema['receipt']>, 'screenshot'> & { has_screenshot: boolean }

/** Without the picture, which is large. */
const COLUMNS = [
  'receipt.id',
  'receipt.uuid',
  'receipt.number',
  'receipt.backup_id',
  'receipt.account_id',
  'receipt.host_id',
  'receipt.machine_id',
  'receipt.is_scheduled',
  'receipt.state',
  'receipt.state_reason',
  'receipt.consistency',
  'receipt.restored_bytes',
  'receipt.restore_ms',
  'receipt.boot_ms',
  'receipt.checks',
  'receipt.serial_tail',
  'receipt.started_at',
  'receipt.finished_at',
  sql<boolean>`receipt.screenshot IS NOT NULL`.as('has_screenshot'),
] as const

const asReceipt = (row: Row): Receipt => ({
  id: row.id,
  uuid: row.uuid,
  number: row.number,
  backupId: row.backup_id,
  accountId: row.account_id,
  state: row.state,
  stateReason: row.state_reason,
  isScheduled: row.is_scheduled,
  consistency: row.consistency,
  restoredBytes: row.restored_bytes,
  restoreMs: row.restore_ms,
  bootMs: row.boot_ms,
  checks: row.checks,
  serialTail: row.serial_tail,
  hasScreenshot: row.has_screenshot,
  startedAt: row.started_at,
  finishedAt: row.finished_at,
})

export interface NewReceipt {
  backupId: BackupId
  accountId: AccountId
  isScheduled: boolean
  consistency: Receipt['consistency']
}

/** Throws `conflict` while another one of that backup is being made. */
export async function insert(tx: Db, receipt: NewReceipt): Promise<Receipt> {
  const identity = newIdentity('receipt')
  try {
    await tx
      .insertInto('receipt')
      .values({
        ...identity,
        backup_id: receipt.backupId,
        account_id: receipt.accountId,
        machine_id: newId('instance'),
        is_scheduled: receipt.isScheduled,
        consistency: receipt.consistency,
      })
      .execute()
  } catch (error) {
    if (!isUniqueViolation(error, 'receipt_running')) throw error
    throw new CloudError('conflict', 'the backup is being verified: wait until that is done')
  }
  return get(tx, identity.id)
}

export async function get(db: Db, id: ReceiptId): Promise<Receipt> {
  const query = db.selectFrom('receipt').select(COLUMNS).where('receipt.id', '=', id)
  return asReceipt(await query.executeTakeFirstOrThrow())
}

/** By text id, UUID or number; undefined when it is another account's or its backup was deleted. */
export async function find(
  db: Db,
  ref: string,
  { accountId }: { accountId: AccountId | null },
): Promise<Receipt | undefined> {
  if (ref.length === 0 || ref.length > 64 || ref.includes('\0')) return undefined
  const row = await db
    .selectFrom('receipt')
    .innerJoin('backup', 'backup.id', 'receipt.backup_id')
    .select(COLUMNS)
    .where((eb) =>
      eb.or([
        eb('receipt.id', '=', ref as ReceiptId),
        ...(isUuid(ref) ? [eb('receipt.uuid', '=', ref.toLowerCase())] : []),
        ...(/^[1-9]\d{0,14}$/.test(ref) ? [eb('receipt.number', '=', Number(ref))] : []),
      ]),
    )
    .where('backup.state', '<>', 'deleted')
    .$if(accountId !== null, (query) => query.where('receipt.account_id', '=', accountId as AccountId))
    .executeTakeFirst()
  return row && asReceipt(row)
}

/** Newest first. */
export async function listOf(
  db: Db,
  backupId: BackupId,
  { limit, offset = 0 }: { limit?: number | undefined; offset?: number | undefined } = {},
): Promise<{ items: Receipt[]; total: number }> {
  const base = db.selectFrom('receipt').where('receipt.backup_id', '=', backupId)
  const page = base.select(COLUMNS).orderBy('receipt.number', 'desc').offset(offset)
  const rows = await (limit === undefined ? page : page.limit(limit)).execute()
  const { total } = await base.select((eb) => eb.fn.countAll<number>().as('total')).executeTakeFirstOrThrow()
  return { items: rows.map(asReceipt), total }
}

export async function screenshot(db: Db, id: ReceiptId): Promise<Buffer | null> {
  const query = db.selectFrom('receipt').select('screenshot').where('id', '=', id)
  return (await query.executeTakeFirstOrThrow()).screenshot
}

/** Locks the row for the rest of the transaction; with what only strands need. */
export const lock = (tx: Db, id: ReceiptId) =>
  tx.selectFrom('receipt').selectAll().where('id', '=', id).forUpdate().executeTakeFirstOrThrow()

/** Where its machine is, or will be, and by which id the driver knows that. */
export const placeOf = (db: Db, id: ReceiptId) =>
  db
    .selectFrom('receipt')
    .select(['number', 'backup_id as backupId', 'machine_id as machineId', 'host_id as hostId'])
    .where('id', '=', id)
    .executeTakeFirstOrThrow()

export async function place(tx: Db, id: ReceiptId, hostId: HostId): Promise<void> {
  await tx.updateTable('receipt').set({ host_id: hostId }).where('id', '=', id).execute()
}

export interface Findings {
  restoredBytes?: number
  restoreMs?: number
  bootMs?: number
  serialTail?: string
  screenshot?: Buffer | null
  /** Each replaces what was found under its name before. */
  checks?: readonly ReceiptCheck[]
}

export async function note(tx: Db, id: ReceiptId, found: Findings): Promise<void> {
  const { checks } = await lock(tx, id)
  const names = new Set(found.checks?.map(({ name }) => name))
  const next = [...checks.filter(({ name }) => !names.has(name)), ...(found.checks ?? [])]
  await tx
    .updateTable('receipt')
    .set({
      checks: JSON.stringify(next),
      ...(found.restoredBytes === undefined ? {} : { restored_bytes: found.restoredBytes }),
      ...(found.restoreMs === undefined ? {} : { restore_ms: found.restoreMs }),
      ...(found.bootMs === undefined ? {} : { boot_ms: found.bootMs }),
      ...(found.serialTail === undefined ? {} : { serial_tail: found.serialTail }),
      ...(found.screenshot === undefined ? {} : { screenshot: found.screenshot }),
    })
    .where('id', '=', id)
    .execute()
}

export async function finish(
  tx: Db,
  id: ReceiptId,
  state: 'passed' | 'failed',
  reason: string | null = null,
): Promise<void> {
  await tx
    .updateTable('receipt')
    .set({ state, state_reason: reason, finished_at: sql<Date>`cloud_now()` })
    .where('id', '=', id)
    .where('state', '=', 'running')
    .execute()
}

/** Hosts that hold the machine of a receipt which is being made. */
export async function busyHosts(db: Db): Promise<Set<HostId>> {
  const rows = await db.selectFrom('receipt').select('host_id').where('state', '=', 'running').execute()
  return new Set(rows.flatMap(({ host_id }) => host_id ?? []))
}

/** Receipts that wait for a host. */
export async function countWaiting(db: Db): Promise<number> {
  const query = db
    .selectFrom('receipt')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('state', '=', 'running')
    .where('host_id', 'is', null)
  return (await query.executeTakeFirstOrThrow()).count
}

/** Which of these are machines of receipts whose strand still takes care of them. */
export async function machinesAmong(db: Db, ids: readonly InstanceId[]): Promise<InstanceId[]> {
  if (ids.length === 0) return []
  const { rows } = await sql<{ id: InstanceId }>`
    SELECT machine_id AS id FROM receipt JOIN strand ON strand.id = receipt.id
    WHERE machine_id = ANY(${ids})`.execute(db)
  return rows.map(({ id }) => id)
}

export interface Freshness {
  /** How long a passed one proves something. */
  freshDays: number
  /** After a failed one. */
  retryHours: number
}

/** Room for a machine; null = as much as is wanted. */
export interface Room {
  regionId: string
  memoryMib: number | null
  vcpus: number | null
}

/**
 * Completed backups without a fresh receipt whose machine fits the room, newest first; one that will expire within the
 * hour is let go.
 */
export async function unproven(
  db: Db,
  { freshDays, retryHours }: Freshness,
  { regionId, memoryMib, vcpus }: Room,
  limit: number,
): Promise<BackupId[]> {
  const { rows } = await sql<{ id: BackupId }>`
    SELECT id FROM backup
    WHERE state = 'completed' AND origin->>'regionId' = ${regionId}
      AND (${memoryMib}::bigint IS NULL OR (origin->>'memoryMib')::bigint <= ${memoryMib})
      AND (${vcpus}::bigint IS NULL OR (origin->>'vcpus')::bigint <= ${vcpus})
      AND (expires_at IS NULL OR expires_at > cloud_now() + interval '1 hour')
      AND NOT EXISTS (
        SELECT 1 FROM receipt WHERE backup_id = backup.id AND (
          receipt.state = 'running'
          OR (receipt.state = 'passed' AND finished_at > cloud_now() - ${freshDays} * interval '1 day'
            AND (backup.damaged_at IS NULL OR started_at > backup.damaged_at))
          OR (receipt.state = 'failed' AND finished_at > cloud_now() - ${retryHours} * interval '1 hour')))
    ORDER BY completed_at DESC LIMIT ${limit}`.execute(db)
  return rows.map(({ id }) => id)
}

/** What failed to prove a backup that is gone needs nobody any more. */
export async function resolveIncidentsOfDeleted(db: Db, kind: string): Promise<void> {
  await sql`
    UPDATE incident SET resolved_at = cloud_now(), resolution = 'the backup was deleted'
    FROM backup WHERE incident.kind = ${kind} AND incident.resolved_at IS NULL
      AND backup.id = incident.strand_id AND backup.state = 'deleted'`.execute(db)
}
