/** Rows of snapshots. A row is there as long as its tag is in the disk's file, and a little before and after. */
import { sql } from 'kysely'
import { notFound } from '../model/errors.ts'
import { type AccountId, type InstanceId, isUuid, newIdentity, type SnapshotId } from '../model/ids.ts'
import type { SnapshotState } from '../model/snapshot.ts'
import { type Db, now } from './db.ts'
import * as events from './events.ts'

export interface Snapshot {
  id: SnapshotId
  uuid: string
  number: number
  accountId: AccountId
  instanceId: InstanceId
  /** Of the disk that it lies in. */
  generation: number
  name: string
  description: string | null
  hasMemory: boolean
  state: SnapshotState
  stateReason: string | null
  /** The rollback under way takes the memory back too. */
  revertsMemory: boolean
  /** Disk and memory; null until both were measured. */
  sizeBytes: number | null
  createdAt: Date
  takenAt: Date | null
}

const COLUMNS = [
  'id',
  'uuid',
  'number',
  'account_id as accountId',
  'instance_id as instanceId',
  'generation',
  'name',
  'description',
  'has_memory as hasMemory',
  'state',
  'state_reason as stateReason',
  'reverts_memory as revertsMemory',
  sql<number | null>`disk_bytes + memory_bytes`.as('sizeBytes'),
  'created_at as createdAt',
  'taken_at as takenAt',
] as const

export interface SnapshotPage {
  limit?: number
  offset?: number
}

/** Oldest first. */
export async function list(
  db: Db,
  instanceId: InstanceId,
  { limit, offset = 0 }: SnapshotPage = {},
): Promise<{ items: Snapshot[]; total: number }> {
  const base = db.selectFrom('snapshot').where('instance_id', '=', instanceId)
  const items = await base
    .select(COLUMNS)
    .orderBy('number')
    .$if(limit !== undefined, (query) => query.limit(limit!))
    .offset(offset)
    .execute()
  const { total } = await base.select((eb) => eb.fn.countAll<number>().as('total')).executeTakeFirstOrThrow()
  return { items, total }
}

/** A text id, a UUID or a number is one snapshot; a name may be several. Names last: an id is never mistaken for one. */
export async function find(db: Db, instanceId: InstanceId, ref: string): Promise<Snapshot[]> {
  const meaning = meaningOf(ref)
  const found = meaning && (await of(db, instanceId).where(meaning).execute())
  return found?.length ? found : findByName(db, instanceId, ref)
}

export const findByName = (db: Db, instanceId: InstanceId, name: string): Promise<Snapshot[]> =>
  of(db, instanceId).where('name', '=', name).orderBy('number').execute()

const of = (db: Db, instanceId: InstanceId) =>
  db.selectFrom('snapshot').select(COLUMNS).where('instance_id', '=', instanceId)

function meaningOf(ref: string) {
  if (isUuid(ref)) return sql<boolean>`uuid = ${ref.toLowerCase()}`
  if (/^snap_[0-9a-z]{26}$/.test(ref)) return sql<boolean>`id = ${ref}`
  if (/^[1-9]\d{0,14}$/.test(ref)) return sql<boolean>`number = ${Number(ref)}`
  return null
}

export async function get(db: Db, id: SnapshotId): Promise<Snapshot> {
  const row = await db.selectFrom('snapshot').select(COLUMNS).where('id', '=', id).executeTakeFirst()
  if (!row) throw notFound('snapshot', id)
  return row
}

/** The one that something is to be done with. There is never a second: each has the instance's open operation. */
export const findPending = (db: Db, instanceId: InstanceId): Promise<Snapshot | undefined> =>
  of(db, instanceId).where('state', 'in', ['creating', 'reverting', 'deleting']).orderBy('number').executeTakeFirst()

/** Those that are there or will be; one that could not be taken holds nothing. */
export async function count(db: Db, instanceId: InstanceId): Promise<number> {
  const { count } = await db
    .selectFrom('snapshot')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('instance_id', '=', instanceId)
    .where('state', '<>', 'failed')
    .executeTakeFirstOrThrow()
  return count
}

export interface NewSnapshot {
  accountId: AccountId
  instanceId: InstanceId
  generation: number
  name: string
  description: string | null
  hasMemory: boolean
}

export async function insert(tx: Db, snapshot: NewSnapshot): Promise<Snapshot> {
  const row = await tx
    .insertInto('snapshot')
    .values({
      ...newIdentity('snapshot'),
      account_id: snapshot.accountId,
      instance_id: snapshot.instanceId,
      generation: snapshot.generation,
      name: snapshot.name,
      description: snapshot.description,
      has_memory: snapshot.hasMemory,
    })
    .returning(COLUMNS)
    .executeTakeFirstOrThrow()
  await announce(tx, row, row.state)
  return row
}

export interface SnapshotChange {
  state: SnapshotState
  /** For people; null when absent. */
  reason?: string | null
  revertsMemory?: boolean
  /** What was measured when it was taken. */
  taken?: { diskBytes: number | null; memoryBytes: number | null }
}

/** Does nothing to one that is gone meanwhile. */
export async function change(
  tx: Db,
  id: SnapshotId,
  { state, reason, revertsMemory, taken }: SnapshotChange,
): Promise<void> {
  const row = await tx
    .updateTable('snapshot')
    .set({
      state,
      state_reason: reason ?? null,
      ...(revertsMemory === undefined ? {} : { reverts_memory: revertsMemory }),
      ...(taken && { disk_bytes: taken.diskBytes, memory_bytes: taken.memoryBytes, taken_at: await now(tx) }),
    })
    .where('id', '=', id)
    .returning(COLUMNS)
    .executeTakeFirst()
  if (row) await announce(tx, row, state)
}

export async function remove(tx: Db, id: SnapshotId): Promise<void> {
  const row = await tx.deleteFrom('snapshot').where('id', '=', id).returning(COLUMNS).executeTakeFirst()
  if (row) await announce(tx, row, 'deleted')
}

/** What lay in the disks of this generation and those before it went with them; `generation` null = of every disk. */
export async function forget(tx: Db, instanceId: InstanceId, generation: number | null): Promise<void> {
  const rows = await tx
    .deleteFrom('snapshot')
    .where('instance_id', '=', instanceId)
    .$if(generation !== null, (query) => query.where('generation', '<=', generation!))
    .returning(COLUMNS)
    .execute()
  for (const row of rows) await announce(tx, row, 'deleted')
}

/** Whatever was to be done with a snapshot of this instance will not be done: one half taken failed, the others stay. */
export async function giveUp(tx: Db, instanceId: InstanceId, reason: string): Promise<void> {
  const pending = await findPending(tx, instanceId)
  if (pending) await change(tx, pending.id, { state: pending.state === 'creating' ? 'failed' : 'ready', reason })
}

const announce = (tx: Db, snapshot: Snapshot, state: SnapshotState | 'deleted'): Promise<void> =>
  events.emit(tx, {
    accountId: snapshot.accountId,
    kind: 'snapshot',
    resourceId: snapshot.id,
    data: {
      uuid: snapshot.uuid,
      number: snapshot.number,
      name: snapshot.name,
      instanceId: snapshot.instanceId,
      state,
      reason: snapshot.stateReason,
    },
  })
