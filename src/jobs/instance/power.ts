/** The steps of power: resting, shutting down, and getting up again after a crash. */
import type { Observation } from '../../drivers/compute/compute.ts'
import type { InstanceId } from '../../model/ids.ts'
import { OPERATION_KINDS } from '../../model/operation.ts'
import * as incidents from '../../store/incidents.ts'
import * as instances from '../../store/instances.ts'
import * as operations from '../../store/operations.ts'
import * as restores from '../../store/restores.ts'
import * as snapshots from '../../store/snapshots.ts'
import { goto, type Outcome, rest, type StepContext, wait } from '../engine/strand.ts'
import { recordLast } from '../metrics/sample.ts'
import type { WorkerTools } from '../tools.ts'

/** A failure ends every operation but a delete, which wins and goes on. */
export const NOT_DELETE = OPERATION_KINDS.filter((kind) => kind !== 'instance.delete')

type Context = StepContext<WorkerTools>

/** A guest that dies this often within the window is left alone. */
const CRASHES_MAX = 5
const CRASH_WINDOW_MS = 10 * 60_000
const REVIVE_MS_FIRST = 1_000
const SHUTDOWN_POLL_MS = 500
/** A guest may miss the button while it still boots, so it is pressed again. */
const BUTTON_AGAIN_MS = 10_000

/** Where a strand rests. Compares what is wished with what is seen; the row's state says what the last wish was. */
export async function settle(
  context: Context,
): Promise<Outcome<'boot' | 'shutdown' | 'halt' | 'revive' | 'settle' | 'snapshot' | 'restore' | 'rebuild'>> {
  const { id, db, tools } = context
  const instanceId = id as InstanceId
  const instance = await instances.get(db, instanceId)
  switch (instance.state) {
    case 'starting':
    case 'provisioning':
      return goto((await restores.pendingOf(db, instanceId)) ? 'restore' : 'boot')
    case 'restoring':
      return goto('restore')
    case 'stopping':
    case 'rebooting':
      return goto('shutdown')
    case 'rebuilding':
      return goto('rebuild')
    case 'running': {
      const seen = await tools.compute.observe(instanceId)
      if (seen.power === 'running') return restOrSnapshot(context)
      if (seen.power === 'off') return goto('halt', (tx) => poweredItselfOff(tx, instanceId))
      return recordCrash(context, seen)
    }
    case 'stopped':
    case 'failed': {
      const seen = await tools.compute.observe(instanceId)
      // A machine that crashed too often is cleared away as well: a panicked one still holds its memory.
      return seen.power === 'stopped' || seen.power === 'absent' ? restOrSnapshot(context) : goto('halt')
    }
    default:
      return rest()
  }
}

/** All is as wished, unless something is to be done with a snapshot. */
const restOrSnapshot = async ({ id, db }: Context): Promise<Outcome<'snapshot'>> =>
  (await snapshots.findPending(db, id as InstanceId)) ? goto('snapshot') : rest()

/** A guest that switches itself off is obeyed like its owner: it stays off. */
async function poweredItselfOff(tx: Context['db'], id: InstanceId): Promise<void> {
  const row = await instances.lock(tx, id)
  if (row.state !== 'running') return
  await instances.change(tx, id, { state: 'stopping', reason: 'the guest powered itself off', desiredPower: 'off' })
}

/** Presses the power button and gives the guest its time; after that the plug is pulled. */
export async function shutdown({ id, db, tools, state, stepEnteredAt }: Context): Promise<Outcome<'halt'>> {
  const instanceId = id as InstanceId
  const seen = await tools.compute.observe(instanceId)
  if (seen.power !== 'running') return goto('halt')
  const time = (await tools.now(db)).getTime()
  if (time - stepEnteredAt.getTime() > tools.settings.shutdownSeconds * 1_000) {
    return goto('halt', (tx) => operations.report(tx, id, { message: 'the guest did not obey the power button' }))
  }
  const pressedAt = typeof state.pressedAt === 'number' ? state.pressedAt : 0
  const isOfThisStep = pressedAt >= stepEnteredAt.getTime()
  if (isOfThisStep && time - pressedAt < BUTTON_AGAIN_MS) return wait(SHUTDOWN_POLL_MS)
  await tools.compute.requestShutdown(instanceId)
  return {
    kind: 'wait',
    ms: SHUTDOWN_POLL_MS,
    state: { ...state, pressedAt: time },
    write: (tx) => operations.report(tx, id, { message: 'the guest shuts down' }),
  }
}

export async function halt({ id, db, tools, signal }: Context): Promise<Outcome<'boot' | 'settle'>> {
  const instanceId = id as InstanceId
  await recordLast(db, tools.compute, instanceId)
  await tools.compute.ensureStopped(instanceId, signal)
  const { state } = await instances.get(db, instanceId)
  if (state === 'rebooting' || state === 'starting') {
    return goto('boot', (tx) => instances.change(tx, instanceId, { startedAt: null }))
  }
  return goto('settle', async (tx) => {
    const row = await instances.lock(tx, instanceId)
    if (row.state !== 'failed')
      await instances.change(tx, instanceId, { state: 'stopped', startedAt: null, crashCount: 0 })
    await operations.finish(tx, id, ['instance.stop'], 'succeeded')
  })
}

/** Counts a crash. The guest gets up again after a pause that doubles; too many in a row, and an operator must look. */
export async function recordCrash(context: Context, seen: Observation): Promise<Outcome<'revive' | 'settle'>> {
  const { id, db, tools } = context
  const instanceId = id as InstanceId
  await recordLast(db, tools.compute, instanceId)
  const detail = seen.detail ? `: ${seen.detail}` : ''
  const time = await tools.now(db)
  const row = await db
    .selectFrom('instance')
    .select(['crash_count', 'crashed_at', 'provisioned_at'])
    .where('id', '=', instanceId)
    .executeTakeFirstOrThrow()
  const isRecent = row.crashed_at !== null && time.getTime() - row.crashed_at.getTime() < CRASH_WINDOW_MS
  const count = (isRecent ? row.crash_count : 0) + 1
  if (count <= CRASHES_MAX) {
    return goto('revive', (tx) =>
      instances.change(tx, instanceId, {
        state: row.provisioned_at === null ? 'provisioning' : 'starting',
        reason: `the machine stopped unexpectedly${detail}; restart ${count} of ${CRASHES_MAX}`,
        crashCount: count,
        crashed: true,
        startedAt: null,
      }),
    )
  }
  return goto('settle', async (tx) => {
    const message = `the machine stopped unexpectedly ${count} times within ${CRASH_WINDOW_MS / 60_000} minutes${detail}`
    await instances.change(tx, instanceId, { state: 'failed', reason: message, startedAt: null, crashCount: 0 })
    await snapshots.giveUp(tx, instanceId, message)
    await operations.finish(tx, id, NOT_DELETE, 'failed', { message, errorCode: 'unavailable' })
    await incidents.open(tx, { strandId: id, kind: 'crash-loop', step: 'revive', message })
  })
}

/** The pause before a restart; a wish that came meanwhile (stop) is seen at its end. */
export async function revive({ id, db, tools, stepEnteredAt }: Context): Promise<Outcome<'settle' | 'boot'>> {
  const instanceId = id as InstanceId
  const row = await db
    .selectFrom('instance')
    .select(['crash_count', 'state'])
    .where('id', '=', instanceId)
    .executeTakeFirstOrThrow()
  if (row.state !== 'starting' && row.state !== 'provisioning') return goto('settle')
  const pauseMs = REVIVE_MS_FIRST * 2 ** Math.max(0, row.crash_count - 1)
  const waitedMs = (await tools.now(db)).getTime() - stepEnteredAt.getTime()
  return waitedMs >= pauseMs ? goto('boot') : wait(pauseMs - waitedMs)
}
