/** The step that does what is to be done with a snapshot: take it, go back to it, delete it. */
import { CloudError } from '../../model/errors.ts'
import type { InstanceId } from '../../model/ids.ts'
import type { OperationKind } from '../../model/operation.ts'
import type { Db } from '../../store/db.ts'
import * as instances from '../../store/instances.ts'
import * as operations from '../../store/operations.ts'
import type { Snapshot } from '../../store/snapshots.ts'
import * as snapshots from '../../store/snapshots.ts'
import { goto, type Outcome, type StepContext, type Write } from '../engine/strand.ts'
import type { WorkerTools } from '../tools.ts'

type Context = StepContext<WorkerTools>
type Pending = 'creating' | 'reverting' | 'deleting'

const KIND: Record<Pending, OperationKind> = {
  creating: 'snapshot.create',
  reverting: 'snapshot.rollback',
  deleting: 'snapshot.delete',
}
const DOING: Record<Pending, string> = {
  creating: 'taking the snapshot',
  reverting: 'going back to the snapshot',
  deleting: 'deleting the snapshot',
}
/** All power verbs wait for a snapshot, so a host that cannot take it is not asked for ever. */
const TRIES_MAX = 5

export async function snapshot(context: Context): Promise<Outcome<'settle'>> {
  const { id, db, write, tries, signal } = context
  const pending = await snapshots.findPending(db, id as InstanceId)
  if (!pending) return goto('settle')
  const state = pending.state as Pending
  if (tries === 0) await write((tx) => operations.report(tx, id, { message: DOING[state] }))
  try {
    const write = await ACT[state](context, pending)
    return goto('settle', async (tx) => {
      await instances.lock(tx, id as InstanceId)
      await write(tx)
      await operations.finish(tx, id, [KIND[state]], 'succeeded')
    })
  } catch (error) {
    if (signal.aborted || !(error instanceof CloudError)) throw error
    if (error.code === 'unavailable' && tries + 1 < TRIES_MAX) throw error
    return goto('settle', (tx) => giveUp(tx, id as InstanceId, KIND[state], error))
  }
}

async function giveUp(tx: Db, id: InstanceId, kind: OperationKind, { code, message }: CloudError): Promise<void> {
  await instances.lock(tx, id)
  await snapshots.giveUp(tx, id, message)
  await operations.finish(tx, id, [kind], 'failed', { message, errorCode: code })
}

/** Each converges when it runs again, and returns what to write once it is done. */
const ACT: Record<Pending, (context: Context, pending: Snapshot) => Promise<Write>> = {
  async creating({ id, db, tools, signal }, { id: tag, hasMemory }) {
    const spec = await instances.spec(db, id as InstanceId)
    const facts = await tools.compute.ensureSnapshot(spec, tag, { withMemory: hasMemory }, signal)
    const taken = { diskBytes: diskBytesOf(facts), memoryBytes: facts.memoryBytes }
    return (tx) => snapshots.change(tx, tag, { state: 'ready', taken })
  },

  async reverting({ id, db, tools, signal }, { id: tag, revertsMemory }) {
    const instanceId = id as InstanceId
    const spec = await instances.spec(db, instanceId)
    await tools.compute.rollbackToSnapshot(spec, tag, { withMemory: revertsMemory }, signal)
    const startedAt = revertsMemory ? (await tools.compute.observe(instanceId)).startedAt : null
    return async (tx) => {
      await snapshots.change(tx, tag, { state: 'ready' })
      if (!revertsMemory) return
      await instances.change(tx, instanceId, { state: 'running', desiredPower: 'on', startedAt, reason: null })
    }
  },

  async deleting({ id, db, tools, signal }, { id: tag }) {
    const spec = await instances.spec(db, id as InstanceId)
    await tools.compute.ensureSnapshotAbsent(spec, tag, signal)
    return (tx) => snapshots.remove(tx, tag)
  },
}

/** The file grew by both: what is not memory is disk. */
const diskBytesOf = ({ grownBytes, memoryBytes }: { grownBytes: number | null; memoryBytes: number }): number | null =>
  grownBytes === null ? null : Math.max(0, grownBytes - memoryBytes)
