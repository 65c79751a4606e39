import { sql } from 'kysely'
import { CloudError, type ErrorCode, notFound } from '../model/errors.ts'
import { type AccountId, newIdentity, type OperationId } from '../model/ids.ts'
import type { OperationKind, OperationState } from '../model/operation.ts'
import { type Db, isUniqueViolation } from './db.ts'
import * as events from './events.ts'

export interface Operation {
  id: OperationId
  uuid: string
  number: number
  accountId: AccountId | null
  kind: OperationKind
  resourceId: string
  state: OperationState
  progressPercent: number | null
  message: string | null
  errorCode: string | null
  requestId: string | null
  createdAt: Date
  startedAt: Date | null
  finishedAt: Date | null
}

const COLUMNS = [
  'id',
  'uuid',
  'number',
  'account_id as accountId',
  'kind',
  'resource_id as resourceId',
  'state',
  'progress_percent as progressPercent',
  'message',
  'error_code as errorCode',
  'request_id as requestId',
  'created_at as createdAt',
  'started_at as startedAt',
  'finished_at as finishedAt',
] as const

export interface NewOperation {
  accountId: AccountId | null
  kind: OperationKind
  resourceId: string
  requestId: string | null
}

/** Throws `conflict` while another operation on that resource is open. */
export async function open(tx: Db, operation: NewOperation): Promise<Operation> {
  const running = await findOpen(tx, operation.resourceId)
  if (running) throw conflictWith(running.kind)
  try {
    const row = await tx
      .insertInto('operation')
      .values({
        ...newIdentity('operation'),
        account_id: operation.accountId,
        kind: operation.kind,
        resource_id: operation.resourceId,
        request_id: operation.requestId,
      })
      .returning(COLUMNS)
      .executeTakeFirstOrThrow()
    await announce(tx, row)
    return row
  } catch (error) {
    if (isUniqueViolation(error, 'operation_open')) throw conflictWith('another operation')
    throw error
  }
}

const conflictWith = (what: string) =>
  new CloudError('conflict', `${what} is under way: wait until it is done, then try again`)

export const findOpen = (db: Db, resourceId: string): Promise<Operation | undefined> =>
  db
    .selectFrom('operation')
    .select(COLUMNS)
    .where('resource_id', '=', resourceId)
    .where('state', 'in', ['pending', 'running'])
    .executeTakeFirst()

/** Ends the open operation of a resource, if it is one of these kinds: a step must not end somebody else's. */
export async function finish(
  tx: Db,
  resourceId: string,
  kinds: readonly OperationKind[],
  state: 'succeeded' | 'failed' | 'cancelled',
  outcome: { message?: string; errorCode?: ErrorCode } = {},
): Promise<void> {
  const row = await tx
    .updateTable('operation')
    .set({
      state,
      finished_at: sql<Date>`cloud_now()`,
      started_at: sql<Date>`coalesce(started_at, cloud_now())`,
      message: outcome.message ?? null,
      error_code: outcome.errorCode ?? null,
      ...(state === 'succeeded' ? { progress_percent: 100 } : {}),
    })
    .where('resource_id', '=', resourceId)
    .where('kind', 'in', kinds)
    .where('state', 'in', ['pending', 'running'])
    .returning(COLUMNS)
    .executeTakeFirst()
  if (row) await announce(tx, row)
}

/** What the open operation is doing now, in words and, where it can be measured, percent. */
export async function report(
  tx: Db,
  resourceId: string,
  progress: { message: string | null; percent?: number | null },
): Promise<void> {
  const row = await tx
    .updateTable('operation')
    .set({
      state: 'running',
      started_at: sql<Date>`coalesce(started_at, cloud_now())`,
      message: progress.message,
      ...(progress.percent === undefined ? {} : { progress_percent: progress.percent }),
    })
    .where('resource_id', '=', resourceId)
    .where('state', 'in', ['pending', 'running'])
    .where((eb) =>
      eb.or([
        eb('message', 'is distinct from', progress.message),
        eb('progress_percent', 'is distinct from', progress.percent ?? eb.ref('progress_percent')),
        eb('state', '=', 'pending'),
      ]),
    )
    .returning(COLUMNS)
    .executeTakeFirst()
  if (row) await announce(tx, row)
}

const announce = (tx: Db, row: Operation): Promise<void> =>
  events.emit(tx, {
    accountId: row.accountId,
    kind: 'operation',
    resourceId: row.resourceId,
    data: {
      id: row.id,
      kind: row.kind,
      state: row.state,
      progressPercent: row.progressPercent,
      message: row.message,
    },
  })

export interface OperationFilter {
  accountId: AccountId | null
  resourceId?: string
  openOnly?: boolean
  limit: number
  offset: number
}
export async function list(db: Db, filter: OperationFilter): Promise<{ items: Operation[]; total: number }> {
  const base = db
    .selectFrom('operation')
    .$if(filter.accountId !== null, (query) => query.where('account_id', '=', filter.accountId))
    .$if(filter.resourceId !== undefined, (query) => query.where('resource_id', '=', filter.resourceId as string))
    .$if(filter.openOnly === true, (query) => query.where('state', 'in', ['pending', 'running']))
  const items = await base
    .select(COLUMNS)
    .orderBy('created_at', 'desc')
    .orderBy('number', 'desc')
    .limit(filter.limit)
    .offset(filter.offset)
    .execute()
  const { total } = await base.select((eb) => eb.fn.countAll<number>().as('total')).executeTakeFirstOrThrow()
  return { items, total }
}

/** By text id, UUID or number. */
export async function get(db: Db, ref: string, accountId: AccountId | null): Promise<Operation> {
  const row = await db
    .selectFrom('operation')
    .select(COLUMNS)
    .where((eb) =>
      eb.or([
        eb('id', '=', ref as OperationId),
        eb(sql<string>`uuid::text`, '=', ref.toLowerCase()),
        ...(/^\d{1,15}$/.test(ref) ? [eb('number', '=', Number(ref))] : []),
      ]),
    )
    .$if(accountId !== null, (query) => query.where('account_id', '=', accountId))
    .executeTakeFirst()
  if (!row) throw notFound('operation', ref)
  return row
}
