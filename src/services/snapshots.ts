/**
 * The rules of snapshots: one engine, two faces. Dialects say what they need of the instance (WAYSCloud a stopped one
 * and its disk, Leaseweb a running one and its memory too); the work is the instance's strand's, one at a time.
 */
import { CloudError, invalidField, notFound } from '../model/errors.ts'
import type { InstanceId } from '../model/ids.ts'
import type { InstanceState } from '../model/instance.ts'
import type { OperationKind } from '../model/operation.ts'
import { canSnapshot, SNAPSHOT_NAME_MAX } from '../model/snapshot.ts'
import { atomically, type Db } from '../store/db.ts'
import * as instanceRows from '../store/instances.ts'
import type { Operation } from '../store/operations.ts'
import * as operations from '../store/operations.ts'
import type { Snapshot } from '../store/snapshots.ts'
import * as snapshots from '../store/snapshots.ts'
import * as strands from '../store/strands.ts'
import { allow, type Ctx } from './ctx.ts'
import * as instances from './instances.ts'

export type { Snapshot }

/** A text id, UUID, number or name; or only a name, for dialects that know no others. */
export type SnapshotRef = string | number | { name: string }
/** The state that a caller's dialect wants the instance to be in. */
export type Needs = 'stopped' | 'running' | 'any'

export interface AcceptedSnapshot {
  snapshot: Snapshot
  operation: Operation
}

/** Oldest first. */
export async function list(
  ctx: Ctx,
  instanceRef: instances.Ref,
  page: snapshots.SnapshotPage = {},
): Promise<{ items: Snapshot[]; total: number }> {
  const instance = await instances.get(ctx, instanceRef)
  return snapshots.list(ctx.db, instance.id, page)
}

export async function get(ctx: Ctx, instanceRef: instances.Ref, ref: SnapshotRef): Promise<Snapshot> {
  const instance = await instances.get(ctx, instanceRef)
  return find(ctx.db, instance.id, ref)
}

async function find(db: Db, instanceId: InstanceId, ref: SnapshotRef): Promise<Snapshot> {
  const text = typeof ref === 'object' ? ref.name : String(ref)
  const found =
    typeof ref === 'object'
      ? await snapshots.findByName(db, instanceId, text)
      : await snapshots.find(db, instanceId, text)
  // What could not be taken is in nobody's way when there is one that could.
  const whole = found.filter(({ state }) => state !== 'failed')
  const [snapshot, second] = whole.length > 0 ? whole : found
  if (!snapshot) throw notFound('snapshot', text)
  if (second && whole.length > 1) {
    const ids = whole.map(({ id }) => id).join(', ')
    throw new CloudError('conflict', `${JSON.stringify(text)} is the name of ${whole.length} snapshots: ${ids}`)
  }
  return snapshot
}

export interface CreateSnapshot {
  name: string
  description?: string
  withMemory: boolean
  needs: Needs
  /** Refuse a name that another snapshot of the instance has. */
  uniqueName: boolean
  /** Snapshots an instance may have at most; null = as many as the disk holds. */
  max: number | null
}

/** Throws `conflict` in the wrong state or beyond `max`, `already_exists` for a taken name. */
export async function create(ctx: Ctx, instanceRef: instances.Ref, input: CreateSnapshot): Promise<AcceptedSnapshot> {
  allow(ctx, 'instances:write')
  const { id } = await instances.get(ctx, instanceRef)
  const name = input.name.trim()
  if (name.length === 0 || name.length > SNAPSHOT_NAME_MAX) {
    throw invalidField('name', `a snapshot's name has 1 to ${SNAPSHOT_NAME_MAX} characters`, input.name)
  }
  return atomically(ctx.db, async (tx) => {
    const row = await lock(tx, id, instanceRef)
    refuseSuspended(row)
    if (!row.can_snapshot) throw new CloudError('conflict', 'snapshots are not available for this instance')
    refuseOtherState(row.state, input.withMemory ? 'running' : input.needs, 'take a snapshot of')
    if (input.needs === 'stopped') refuseOtherState(row.state, 'stopped', 'take a snapshot of')
    if (input.max !== null && (await snapshots.count(tx, id)) >= input.max) {
      throw new CloudError('conflict', `the instance has ${input.max} snapshots, which is the most: delete one first`)
    }
    if (input.uniqueName) await makeRoomForName(tx, id, name)
    const snapshot = await snapshots.insert(tx, {
      accountId: row.account_id,
      instanceId: id,
      generation: row.generation,
      name,
      description: input.description?.trim() || null,
      hasMemory: input.withMemory,
    })
    return { snapshot, operation: await begin(ctx, tx, 'snapshot.create', id) }
  })
}

/** One that could not be taken gives its name to the next try. */
async function makeRoomForName(tx: Db, instanceId: InstanceId, name: string): Promise<void> {
  for (const other of await snapshots.findByName(tx, instanceId, name)) {
    if (other.state !== 'failed') {
      throw new CloudError('already_exists', `the instance has a snapshot named ${JSON.stringify(name)} already`)
    }
    await snapshots.remove(tx, other.id)
  }
}

export interface RollbackSnapshot {
  needs: Needs
  /**
   * The guest runs on from where it was. When absent: if the snapshot has memory, unless `needs` is `stopped`. Without,
   * the instance must be stopped and stays so.
   */
  withMemory?: boolean
}

/** Later snapshots stay. Throws `conflict` in the wrong state. */
export async function rollback(
  ctx: Ctx,
  instanceRef: instances.Ref,
  ref: SnapshotRef,
  { needs, withMemory }: RollbackSnapshot,
): Promise<AcceptedSnapshot> {
  allow(ctx, 'instances:write')
  const { id } = await instances.get(ctx, instanceRef)
  return atomically(ctx.db, async (tx) => {
    const row = await lock(tx, id, instanceRef)
    const snapshot = await find(tx, id, ref)
    const revertsMemory = withMemory ?? (snapshot.hasMemory && needs !== 'stopped')
    refuseOtherState(row.state, needs, 'roll back')
    if (revertsMemory) {
      refuseSuspended(row)
      if (!snapshot.hasMemory) throw new CloudError('conflict', 'this snapshot holds the disk alone, not the memory')
    } else if (row.state === 'running') {
      throw new CloudError('conflict', 'only the disk would go back, and the instance runs: stop it first')
    }
    refuseUnready('rollback', snapshot)
    const operation = await begin(ctx, tx, 'snapshot.rollback', id)
    await snapshots.change(tx, snapshot.id, { state: 'reverting', revertsMemory })
    return { snapshot: await snapshots.get(tx, snapshot.id), operation }
  })
}

/** In every state of the instance in which nothing else is under way. */
export async function remove(ctx: Ctx, instanceRef: instances.Ref, ref: SnapshotRef): Promise<AcceptedSnapshot> {
  allow(ctx, 'instances:write')
  const { id } = await instances.get(ctx, instanceRef)
  return atomically(ctx.db, async (tx) => {
    await lock(tx, id, instanceRef)
    const snapshot = await find(tx, id, ref)
    refuseUnready('delete', snapshot)
    const operation = await begin(ctx, tx, 'snapshot.delete', id)
    await snapshots.change(tx, snapshot.id, { state: 'deleting' })
    return { snapshot: await snapshots.get(tx, snapshot.id), operation }
  })
}

async function lock(tx: Db, id: InstanceId, ref: instances.Ref) {
  const row = await instanceRows.lock(tx, id)
  if (row.delete_requested_at) throw notFound('instance', String(ref))
  return row
}

/** Throws `conflict` while another operation on the instance is open. */
async function begin(ctx: Ctx, tx: Db, kind: OperationKind, instanceId: InstanceId): Promise<Operation> {
  const operation = await operations.open(tx, {
    accountId: ctx.caller.accountId,
    kind,
    resourceId: instanceId,
    requestId: ctx.requestId,
  })
  await strands.wake(tx, instanceId)
  return operation
}

function refuseSuspended({ suspended_reason }: { suspended_reason: string | null }): void {
  if (suspended_reason === null) return
  throw new CloudError('conflict', `the instance is suspended: ${suspended_reason}`, { state: 'suspended' })
}

function refuseOtherState(state: InstanceState, needs: Needs, doing: string): void {
  const isRight = needs === 'any' ? state === 'stopped' || state === 'running' : state === needs
  if (isRight) return
  const wanted = needs === 'any' ? 'running or stopped' : needs
  throw new CloudError('conflict', `cannot ${doing} an instance that is ${state}: it must be ${wanted}`, { state })
}

function refuseUnready(action: 'rollback' | 'delete', { state, stateReason }: Snapshot): void {
  if (canSnapshot(action, state)) return
  throw new CloudError('conflict', `the snapshot is ${state}${stateReason ? ` (${stateReason})` : ''}`)
}
