/** Backups as callers see them, and what their strands write. What they are made of is in backup-chunks.ts. */
import { randomInt } from 'node:crypto'
import { type RawBuilder, sql } from 'kysely'
import type { BackupKind, BackupOrigin, BackupState, Consistency } from '../model/backup.ts'
import { notFound } from '../model/errors.ts'
import {
  type AccountId,
  type BackupId,
  type HostId,
  type InstanceId,
  isUuid,
  newIdentity,
  type ReceiptId,
} from '../model/ids.ts'
import type { InstanceState } from '../model/instance.ts'
import type { ReceiptState } from '../model/receipt.ts'
import { type Db, now } from './db.ts'
import * as events from './events.ts'

export interface Backup {
  id: BackupId
  uuid: string
  number: number
  /** `bk-` and eight letters and digits. */
  shortId: string
  accountId: AccountId
  instanceId: InstanceId
  kind: BackupKind
  label: string | null
  state: BackupState
  /** Why it failed, or what it waits for. */
  stateReason: string | null
  consistency: Consistency | null
  consistencyReason: string | null
  /** How long the guest's file systems stood still; null when they did not. */
  frozenMs: number | null
  /** Of the disk as the guest sees it. */
  diskBytes: number | null
  /** Of it that is not holes. */
  dataBytes: number | null
  /** Read of the disk to make it. */
  readBytes: number | null
  /** All that it is made of, as it lies in the store; other backups share it. */
  storedBytes: number | null
  /** What came into the store with it. */
  addedBytes: number | null
  /** While it is made, where it can be measured. */
  progressPercent: number | null
  createdAt: Date
  /** The moment that it shows. */
  pointAt: Date | null
  completedAt: Date | null
  expiresAt: Date | null
  /**
   * The last one that told something, or the one under way when there is none. One that failed although no check did,
   * because the host or the store was in trouble, tells nothing. Fresh: passed, and not long ago.
   */
  receipt: { id: ReceiptId; state: ReceiptState; finishedAt: Date | null; isFresh: boolean } | null
  /** When it was last proven to restore; null when it never was, or no longer does. */
  verifiedAt: Date | null
  /** Since when something that it is made of is known to be spoilt or gone. */
  damagedAt: Date | null
  damage: string | null
  origin: BackupOrigin
}

interface Row extends Omit<Backup, 'receipt'> {
  receiptId: ReceiptId | null
  receiptState: ReceiptState
  receiptFinishedAt: Date | null
  isFresh: boolean
}

/** A receipt from before a damage was found says nothing any more. */
const select = (receiptDays: number): RawBuilder<unknown> => sql`
  SELECT b.id, b.uuid, b.number, b.short_id AS "shortId", b.account_id AS "accountId", b.instance_id AS "instanceId",
    b.kind, b.label, b.state, b.state_reason AS "stateReason", b.consistency,
    b.consistency_reason AS "consistencyReason", b.frozen_ms AS "frozenMs", b.disk_bytes AS "diskBytes",
    b.data_bytes AS "dataBytes", b.read_bytes AS "readBytes", b.stored_bytes AS "storedBytes",
    b.added_bytes AS "addedBytes", o.progress_percent AS "progressPercent", b.created_at AS "createdAt",
    b.point_at AS "pointAt", b.completed_at AS "completedAt", b.expires_at AS "expiresAt",
    b.damaged_at AS "damagedAt", b.damage, b.origin,
    r.id AS "receiptId", r.state AS "receiptState", r.finished_at AS "receiptFinishedAt",
    CASE WHEN r.holds THEN r.finished_at END AS "verifiedAt",
    coalesce(r.holds AND r.finished_at > cloud_now() - ${receiptDays}::float8 * interval '1 day', false) AS "isFresh"
  FROM backup b
    LEFT JOIN LATERAL (SELECT progress_percent FROM operation
      WHERE b.state = 'creating' AND resource_id = b.id AND kind = 'backup.create' AND state IN ('pending', 'running')
    ) o ON true
    LEFT JOIN LATERAL (SELECT id, state, finished_at,
        state = 'passed' AND (b.damaged_at IS NULL OR started_at > b.damaged_at) AS holds FROM receipt
      WHERE backup_id = b.id AND (state <> 'failed' OR checks @> '[{"outcome": "failed"}]')
      ORDER BY state = 'running', number DESC LIMIT 1) r ON true`

const asBackup = ({ receiptId, receiptState, receiptFinishedAt, isFresh, ...row }: Row): Backup => ({
  ...row,
  receipt: receiptId === null ? null : { id: receiptId, state: receiptState, finishedAt: receiptFinishedAt, isFresh },
})

export interface BackupFilter {
  accountId: AccountId | null
  instanceId?: InstanceId
  limit: number
  offset: number
}

/** Newest first. */
export async function list(
  db: Db,
  { accountId, instanceId, limit, offset }: BackupFilter,
  receiptDays: number,
): Promise<{ items: Backup[]; total: number }> {
  const wanted = visible(accountId, instanceId)
  const { rows } = await sql<Row>`
    ${select(receiptDays)} WHERE ${wanted} ORDER BY b.number DESC LIMIT ${limit} OFFSET ${offset}`.execute(db)
  const total = await sql<{ count: number }>`SELECT count(*) AS count FROM backup b WHERE ${wanted}`.execute(db)
  return { items: rows.map(asBackup), total: total.rows[0]!.count }
}

const visible = (accountId: AccountId | null, instanceId: InstanceId | undefined): RawBuilder<unknown> =>
  sql`b.state <> 'deleted' AND (${accountId}::text IS NULL OR b.account_id = ${accountId})
    AND (${instanceId ?? null}::text IS NULL OR b.instance_id = ${instanceId ?? null})`

/** By text id, UUID, number or short id. What is deleted, of another account or of another instance is not there. */
export async function get(
  db: Db,
  ref: string,
  { accountId, instanceId }: { accountId: AccountId | null; instanceId?: InstanceId },
  receiptDays: number,
): Promise<Backup> {
  const meaning = meaningOf(ref)
  if (!meaning) throw notFound('backup', ref)
  const { rows } = await sql<Row>`
    ${select(receiptDays)} WHERE ${meaning} AND ${visible(accountId, instanceId)}`.execute(db)
  if (!rows[0]) throw notFound('backup', ref)
  return asBackup(rows[0])
}

function meaningOf(ref: string): RawBuilder<unknown> | null {
  if (isUuid(ref)) return sql`b.uuid = ${ref.toLowerCase()}`
  if (/^bkp_[0-9a-z]{26}$/.test(ref)) return sql`b.id = ${ref}`
  if (/^bk-[0-9a-z]{8}$/.test(ref)) return sql`b.short_id = ${ref}`
  return /^[1-9]\d{0,14}$/.test(ref) ? sql`b.number = ${Number(ref)}` : null
}

/** Locks the row for the rest of the transaction; every change of a backup begins here. */
export async function lock(tx: Db, id: BackupId) {
  const row = await tx.selectFrom('backup').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
  if (!row) throw notFound('backup', id)
  return row
}

export const findCreating = (db: Db, instanceId: InstanceId): Promise<{ id: BackupId } | undefined> =>
  db
    .selectFrom('backup')
    .select('id')
    .where('instance_id', '=', instanceId)
    .where('state', '=', 'creating')
    .executeTakeFirst()

export interface NewBackup {
  instance: { id: InstanceId; account_id: AccountId; host_id: HostId | null }
  origin: BackupOrigin
  kind: BackupKind
  label: string | null
  retentionDays: number
  /** The firing of the policy that it is for. */
  policyDueAt: Date | null
}

const DAY_MS = 86_400_000

/** The instance's row must be locked, and no backup of it be `creating`. */
export async function insert(tx: Db, backup: NewBackup): Promise<BackupId> {
  const identity = newIdentity('backup')
  const createdAt = await now(tx)
  await tx
    .insertInto('backup')
    .values({
      ...identity,
      short_id: await freeShortId(tx),
      account_id: backup.instance.account_id,
      instance_id: backup.instance.id,
      host_id: backup.instance.host_id,
      kind: backup.kind,
      label: backup.label,
      policy_due_at: backup.policyDueAt,
      origin: JSON.stringify(backup.origin),
      created_at: createdAt,
      expires_at: new Date(createdAt.getTime() + backup.retentionDays * DAY_MS),
    })
    .execute()
  await announce(tx, identity.id)
  return identity.id
}

const SHORT_ID_LETTERS = '0123456789abcdefghijklmnopqrstuvwxyz'

/** Of 2.8 million million; the unique index has the last word. */
async function freeShortId(tx: Db): Promise<string> {
  for (;;) {
    const shortId = `bk-${Array.from({ length: 8 }, () => SHORT_ID_LETTERS[randomInt(36)]).join('')}`
    const taken = await tx.selectFrom('backup').select('id').where('short_id', '=', shortId).executeTakeFirst()
    if (!taken) return shortId
  }
}

/** It failed, and holds nothing. */
export async function fail(tx: Db, id: BackupId, reason: string): Promise<void> {
  await tx
    .updateTable('backup')
    .set({ state: 'failed', state_reason: reason })
    .where('id', '=', id)
    .where('state', '=', 'creating')
    .execute()
  await announce(tx, id)
}

/** From here on nobody sees it; what it is made of goes when nobody reads it any more (backup-chunks.ts). */
export async function markDeleted(tx: Db, id: BackupId): Promise<void> {
  await tx
    .updateTable('backup')
    .set({ state: 'deleted', deleted_at: sql<Date>`coalesce(deleted_at, cloud_now())` })
    .where('id', '=', id)
    .execute()
  await announce(tx, id)
}

export async function announce(tx: Db, id: BackupId): Promise<void> {
  const it = await tx
    .selectFrom('backup')
    .select(['account_id', 'number', 'short_id', 'instance_id', 'kind', 'state', 'state_reason'])
    .where('id', '=', id)
    .executeTakeFirstOrThrow()
  await events.emit(tx, {
    accountId: it.account_id,
    kind: 'backup',
    resourceId: id,
    data: {
      number: it.number,
      shortId: it.short_id,
      instanceId: it.instance_id,
      kind: it.kind,
      state: it.state,
      reason: it.state_reason,
    },
  })
}

/**
 * What the next backup of the instance may be compared with: the newest completed one, whose mark is the one that stayed
 * when it was closed. One that is known to be damaged would hand its damage on.
 */
export async function findBase(
  db: Db,
  instanceId: InstanceId,
): Promise<{ id: BackupId; diskBytes: number; manifestBlobId: string; manifestBytes: number } | null> {
  const { rows } = await sql<{
    id: BackupId
    diskBytes: number
    manifestBlobId: string
    manifestBytes: number
    isSound: boolean
  }>`
    SELECT b.id, b.disk_bytes AS "diskBytes", replace(b.manifest_blob_id::text, '-', '') AS "manifestBlobId",
      blob.stored_bytes AS "manifestBytes", b.damaged_at IS NULL AS "isSound"
    FROM backup b JOIN blob ON blob.id = b.manifest_blob_id
    WHERE b.instance_id = ${instanceId} AND b.state = 'completed' ORDER BY b.number DESC LIMIT 1`.execute(db)
  const [base] = rows
  if (!base?.isSound) return null
  const { isSound: _, ...found } = base
  return found
}

export interface RestoreSource {
  backupId: BackupId
  /** Sealed with the master key, base64. */
  sealedKey: string
  /** 32 hex digits. */
  manifestBlobId: string
  manifestBytes: number
}

/** What whoever restores a completed backup must be told. */
export async function findSource(db: Db, id: BackupId): Promise<RestoreSource | undefined> {
  const { rows } = await sql<Omit<RestoreSource, 'sealedKey'> & { sealed: Buffer }>`
    SELECT b.id AS "backupId", k.sealed, replace(m.id::text, '-', '') AS "manifestBlobId",
      m.stored_bytes AS "manifestBytes"
    FROM backup b JOIN blob m ON m.id = b.manifest_blob_id JOIN backup_key k ON k.account_id = b.account_id
    WHERE b.id = ${id} AND b.state = 'completed'`.execute(db)
  if (!rows[0]) return undefined
  const { sealed, ...source } = rows[0]
  return { ...source, sealedKey: sealed.toString('base64') }
}

/** Steps in which a backup has, or may still have, a part of the instance in its hands. */
const BUSY_STEPS = ['open', 'upload', 'publish', 'close', 'undo', 'remove'] as const

/**
 * An earlier backup of the same instance that is not through with the host: closing it takes all marks but its own away,
 * so the next one waits for it.
 */
export async function findEarlierBusy(db: Db, instanceId: InstanceId, number: number): Promise<string | undefined> {
  const { rows } = await sql<{ shortId: string }>`
    SELECT b.short_id AS "shortId" FROM backup b JOIN strand s ON s.id = b.id
    WHERE b.instance_id = ${instanceId} AND b.number < ${number} AND s.step = ANY(${BUSY_STEPS}) AND s.host_id IS NOT NULL
    ORDER BY b.number LIMIT 1`.execute(db)
  return rows[0]?.shortId
}

/** Of backups that can be seen: how many, and what they hold together in the store. Shared chunks count once. */
export async function usage(
  db: Db,
  { accountId, instanceId }: { accountId: AccountId | null; instanceId?: InstanceId },
): Promise<{ backups: number; storedBytes: number }> {
  const { rows } = await sql<{ backups: number; storedBytes: number }>`
    WITH mine AS (SELECT b.id, b.state, b.chunks, b.manifest_blob_id FROM backup b WHERE ${visible(accountId, instanceId)}),
    numbers AS (SELECT DISTINCT unnest(chunks) AS number FROM mine WHERE state = 'completed')
    SELECT (SELECT count(*) FROM mine)::bigint AS backups,
      (coalesce((SELECT sum(c.stored_bytes) FROM numbers JOIN backup_chunk c USING (number)), 0)
        + coalesce((SELECT sum(blob.stored_bytes) FROM mine JOIN blob ON blob.id = mine.manifest_blob_id
                    WHERE mine.state = 'completed'), 0))::bigint AS "storedBytes"`.execute(db)
  return rows[0]!
}

/** A backup that is being made, and its instance as it is now. */
export interface Subject {
  id: BackupId
  shortId: string
  number: number
  accountId: AccountId
  instanceId: InstanceId
  kind: BackupKind
  state: BackupState
  origin: BackupOrigin
  createdAt: Date
  expiresAt: Date | null
  /** The host that the strand works on. */
  hostId: HostId | null
  instanceHostId: HostId | null
  instanceState: InstanceState
  isInstanceDeleted: boolean
  /** The host's disk is beyond its mark: no room for what a guest writes while its disk is read. */
  isHostFull: boolean
}

export async function subject(db: Db, id: BackupId): Promise<Subject> {
  const { rows } = await sql<Subject>`
    SELECT b.id, b.short_id AS "shortId", b.number, b.account_id AS "accountId", b.instance_id AS "instanceId", b.kind,
      b.state, b.origin, b.created_at AS "createdAt", b.expires_at AS "expiresAt", b.host_id AS "hostId",
      i.host_id AS "instanceHostId", i.state AS "instanceState", i.delete_requested_at IS NOT NULL AS "isInstanceDeleted",
      coalesce(1 - h.disk_free_bytes::float8 / nullif(h.disk_bytes, 0) > h.disk_high_water, false) AS "isHostFull"
    FROM backup b JOIN instance i ON i.id = b.instance_id LEFT JOIN host h ON h.id = i.host_id
    WHERE b.id = ${id}`.execute(db)
  if (!rows[0]) throw notFound('backup', id)
  return rows[0]
}

/** The strand goes on where the instance is now. */
export const setHost = async (tx: Db, id: BackupId, hostId: HostId): Promise<void> => {
  await tx.updateTable('backup').set({ host_id: hostId }).where('id', '=', id).execute()
}
