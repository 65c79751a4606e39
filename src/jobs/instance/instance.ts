/**
 * The strand of an instance, from its creation to its purge. `settle` is where it rests: whatever woke it, the step
 * compares what is wished with what is seen and goes where the difference leads.
 *
 *   place → disk → boot → ready → settle ⇄ shutdown → halt → (boot | settle)
 *                                  settle → revive → boot              a guest that died
 *   (place | settle) → restore → swap → (boot | settle)                the disk of a backup
 *                                  settle ⇄ snapshot                   take, go back to or delete one
 *                                  settle → rebuild → place            another disk
 *   any → remove → kept → purge                                        the intent `delete`
 */
import { CloudError } from '../../model/errors.ts'
import type { InstanceId } from '../../model/ids.ts'
import * as incidents from '../../store/incidents.ts'
import * as instances from '../../store/instances.ts'
import * as operations from '../../store/operations.ts'
import * as snapshots from '../../store/snapshots.ts'
import { defineStrand, goto, type StepContext } from '../engine/strand.ts'
import type { WorkerTools } from '../tools.ts'
import { boot, disk, place, ready } from './create.ts'
import { kept, purge, remove } from './delete.ts'
import { halt, NOT_DELETE, revive, settle, shutdown } from './power.ts'
import { rebuild } from './rebuild.ts'
import { refuseRestore, restore, swap } from './restore.ts'
import { snapshot } from './snapshot.ts'

const MINUTE = 60_000

export const instanceStrand = defineStrand<WorkerTools>()({
  kind: 'instance',
  first: 'place',
  steps: {
    place: { run: place, deadlineMs: null },
    disk: { run: disk, deadlineMs: 10 * MINUTE },
    boot: { run: boot, deadlineMs: 10 * MINUTE },
    ready: { run: ready, deadlineMs: 15 * MINUTE },
    settle: { run: settle, deadlineMs: null },
    shutdown: { run: shutdown, deadlineMs: 70 * MINUTE },
    halt: { run: halt, deadlineMs: 5 * MINUTE },
    revive: { run: revive, deadlineMs: 10 * MINUTE },
    rebuild: { run: rebuild, deadlineMs: 5 * MINUTE },
    restore: { run: restore, deadlineMs: 12 * 60 * MINUTE },
    swap: { run: swap, deadlineMs: 30 * MINUTE },
    snapshot: { run: snapshot, deadlineMs: 15 * MINUTE },
    remove: { run: remove, deadlineMs: 5 * MINUTE },
    kept: { run: kept, deadlineMs: null },
    purge: { run: purge, deadlineMs: 10 * MINUTE },
  },
  intents: { delete: { step: 'remove', beyond: ['kept', 'purge'] } },
  async onRefused(context, step, error) {
    if (step === 'remove' || step === 'purge') return null
    if (step === 'restore' || step === 'swap') return refuseRestore(context, step, error)
    return goto('settle', (tx) => giveUp(context, tx, step, error))
  },
})

/** The driver said that trying again is pointless: the instance has failed, its operation too, and an operator knows. */
async function giveUp(
  { id }: StepContext<WorkerTools>,
  tx: Parameters<typeof instances.change>[0],
  step: string,
  error: Error,
): Promise<void> {
  await instances.change(tx, id as InstanceId, { state: 'failed', reason: error.message, startedAt: null })
  await snapshots.giveUp(tx, id as InstanceId, error.message)
  await operations.finish(tx, id, NOT_DELETE, 'failed', {
    message: error.message,
    errorCode: error instanceof CloudError ? error.code : 'unavailable',
  })
  await incidents.open(tx, { strandId: id, kind: 'refused', step, message: error.message })
}
