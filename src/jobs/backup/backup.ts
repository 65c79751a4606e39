/**
 * The strand of a backup, from its creation until nothing points at it any more. It never holds the instance up: power
 * verbs end the export, and the strand opens another, at another moment, with what was uploaded so far still good.
 *
 *   open → upload → publish → close → kept → remove
 *   open, upload, publish → undo → kept               it failed; nothing of it is left but the row that says why
 *   any → remove                                      the intent `delete`
 *
 * Up to `close` or `undo` it works on the instance's host. From then on it is nobody's, so a backup expires although
 * its host is gone.
 */
import { CloudError } from '../../model/errors.ts'
import type { BackupId } from '../../model/ids.ts'
import * as backups from '../../store/backups.ts'
import * as strands from '../../store/strands.ts'
import { defineStrand, done, goto, type Outcome, rest, type StepContext, wait } from '../engine/strand.ts'
import type { WorkerTools } from '../tools.ts'
import { open, publish, upload } from './create.ts'
import { giveUp } from './failure.ts'

type Context = StepContext<WorkerTools>

const MINUTE = 60_000
const HOUR = 60 * MINUTE

export const backupStrand = defineStrand<WorkerTools>()({
  kind: 'backup',
  first: 'open',
  steps: {
    open: { run: open, deadlineMs: 25 * HOUR },
    upload: { run: upload, deadlineMs: 25 * HOUR },
    publish: { run: publish, deadlineMs: 10 * MINUTE },
    close: { run: (context) => leaveHost(context, { keep: true }), deadlineMs: 30 * MINUTE },
    undo: { run: (context) => leaveHost(context, { keep: false }), deadlineMs: 30 * MINUTE },
    kept: { run: kept, deadlineMs: null },
    remove: { run: remove, deadlineMs: 30 * MINUTE },
  },
  intents: { delete: { step: 'remove', beyond: [] } },
  async onRefused({ id }, step, error) {
    if (step !== 'open' && step !== 'upload' && step !== 'publish') return null
    return giveUp(id as BackupId, error instanceof CloudError ? error.code : 'unavailable', error.message)
  },
})

/** Nothing of the backup is left on the host but, if it is to be kept, the mark that the next one counts from. */
async function leaveHost(context: Context, options: { keep: boolean }): Promise<Outcome<'kept'>> {
  await clearHost(context, options)
  const { id } = context
  return { kind: 'goto', step: 'kept', state: { isClosed: true }, write: (tx) => strands.setHost(tx, id, null) }
}

async function clearHost({ id, db, tools, signal }: Context, options: { keep: boolean }): Promise<void> {
  const { instanceId } = await backups.subject(db, id as BackupId)
  await tools.tasks.remove(id)
  await tools.backups.remove(id as BackupId)
  await tools.compute.closeExport(instanceId, id, options, signal)
}

async function kept({ id, db, tools }: Context): Promise<Outcome<'remove' | 'kept'>> {
  const { expiresAt } = await backups.subject(db, id as BackupId)
  if (!expiresAt) return rest()
  const leftMs = expiresAt.getTime() - (await tools.now(db)).getTime()
  return leftMs > 0 ? wait(leftMs) : goto('remove', (tx) => backups.markDeleted(tx, id as BackupId))
}

/** The row says that it is deleted. What it was made of is the sweep's to let go. */
async function remove(context: Context): Promise<Outcome> {
  if (!context.state.isClosed) await clearHost(context, { keep: false })
  return done()
}
