/**
 * What happened, in an order that a watcher can resume from. An identity column alone is no such order: a transaction
 * may commit after a later number was already read. So events are read by (transaction id, id), and only those whose
 * transaction is older than every one still open (PostgreSQL docs, "Transaction ID and Snapshot Information Functions").
 */
import { sql } from 'kysely'
import type { AccountId } from '../model/ids.ts'
import type { Db } from './db.ts'

export interface CloudEvent {
  /** `<xid>-<id>`: what a client sends back to resume behind this event. */
  cursor: string
  at: Date
  accountId: string | null
  kind: string
  resourceId: string
  data: Record<string, unknown>
}

export const EVENT_CHANNEL = 'havn_event'

export async function emit(
  tx: Db,
  event: { accountId: string | null; kind: string; resourceId: string; data: Record<string, unknown> },
): Promise<void> {
  await sql`WITH new AS (
      INSERT INTO event (account_id, kind, resource_id, data)
      VALUES (${event.accountId}, ${event.kind}, ${event.resourceId}, ${JSON.stringify(event.data)}) RETURNING id)
    SELECT pg_notify(${EVENT_CHANNEL}, '') FROM new`.execute(tx)
}

const CURSOR = /^(\d{1,20})-(\d{1,19})$/
export const isCursor = (text: string): boolean => CURSOR.test(text)

/** Events behind `cursor`, oldest first; `accountId` null = of every account. */
export async function since(db: Db, cursor: string, accountId: AccountId | null, limit: number): Promise<CloudEvent[]> {
  const [, xid = '0', id = '0'] = CURSOR.exec(cursor) ?? []
  const { rows } = await sql<CloudEvent>`
    SELECT xid || '-' || id AS cursor, at, account_id AS "accountId", kind, resource_id AS "resourceId", data
    FROM event
    WHERE (xid, id) > (${xid}::xid8, ${id}::bigint) AND xid < pg_snapshot_xmin(pg_current_snapshot())
      AND (${accountId}::text IS NULL OR account_id = ${accountId})
    ORDER BY xid, id LIMIT ${limit}`.execute(db)
  return rows
}

/** The place behind everything that can be read now. */
export async function latestCursor(db: Db): Promise<string> {
  const { rows } = await sql<{ cursor: string }>`
    SELECT xid || '-' || id AS cursor FROM event WHERE xid < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY xid DESC, id DESC LIMIT 1`.execute(db)
  return rows[0]?.cursor ?? '0-0'
}

export async function prune(db: Db, keepDays: number): Promise<void> {
  await sql`DELETE FROM event WHERE at < cloud_now() - ${keepDays} * interval '1 day'`.execute(db)
}
