/**
 * One step of a leased strand: pre-empt it or run it, and commit what it says comes next. The commit is the only place
 * where a strand moves; it carries the step's writes, and the lease's token decides whether it counts.
 */
import { CloudError, describeError } from '../../model/errors.ts'
import type { Db } from '../../store/db.ts'
import * as incidents from '../../store/incidents.ts'
import * as strands from '../../store/strands.ts'
import { LeaseLost } from '../../store/strands.ts'
import type { Outcome, StepContext, StrandDefinition, Write } from './strand.ts'

export type CrashPoint = 'before' | 'after' | 'committed'
/** What a test does to a running engine. `crash` throws to end it like SIGKILL would: nothing more is written. */
export interface Faults {
  crash(kind: string, step: string, point: CrashPoint): void
  runsTwice(kind: string, step: string): boolean
}
/** Thrown by `Faults.crash`: from here on this engine is dead. */
export class Crash extends Error {}

interface StepRunnerOptions<Tools> {
  db: Db
  tools: Tools
  log: (message: string, error?: unknown) => void
  faults: Faults | undefined
}

const BACKOFF_MS_FIRST = 200
const BACKOFF_MS_MAX = 30_000

export function createStepRunner<Tools>({ db, tools, log, faults }: StepRunnerOptions<Tools>) {
  /** One step and its commit. True when the strand goes on with the next step under the same lease. */
  async function runStep(
    definition: StrandDefinition<Tools>,
    lease: strands.Lease,
    signal: AbortSignal,
  ): Promise<boolean> {
    const intent = intentOf(definition, lease)
    if (intent?.preempts) {
      await commit(definition, lease, { kind: 'goto', step: intent.step }, [intent.name])
      return true
    }
    const dropIntents = intent ? [intent.name] : []
    const step = definition.steps[lease.step]
    if (!step) throw new Error(`strand ${lease.id} stands at ${lease.step}, which is no step of ${lease.kind}`)
    if (lease.isOverdue) await reportOverdue(lease)

    const context: StepContext<Tools> = {
      id: lease.id,
      db,
      tools,
      signal,
      tries: lease.tries,
      state: lease.state,
      stepEnteredAt: lease.stepEnteredAt,
      write: (work) => fenced(lease, work),
    }
    faults?.crash(lease.kind, lease.step, 'before')
    let outcome: Outcome
    try {
      outcome = await step.run(context)
      if (faults?.runsTwice(lease.kind, lease.step)) outcome = await step.run(context)
    } catch (error) {
      return await failed(definition, lease, context, error, dropIntents)
    }
    faults?.crash(lease.kind, lease.step, 'after')
    await commit(definition, lease, outcome, dropIntents)
    return outcome.kind === 'goto' && !outcome.handOver
  }

  async function failed(
    definition: StrandDefinition<Tools>,
    lease: strands.Lease,
    context: StepContext<Tools>,
    error: unknown,
    dropIntents: readonly string[],
  ): Promise<boolean> {
    if (error instanceof LeaseLost || error instanceof Crash || context.signal.reason instanceof Crash) throw error
    if (context.signal.aborted) {
      // The step was interrupted, not refused: by an intent, which runs next, or by the worker's end.
      await commit(definition, lease, { kind: 'wait', ms: 0 }, dropIntents)
      return false
    }
    if (error instanceof CloudError && error.code !== 'unavailable' && definition.onRefused) {
      const outcome = await definition.onRefused(context, lease.step, error)
      if (outcome) {
        await commit(definition, lease, outcome, dropIntents)
        return outcome.kind === 'goto'
      }
    }
    log(`strand ${lease.id} step ${lease.step} failed, try ${lease.tries + 1}`, error)
    const ms = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_FIRST * 2 ** Math.min(lease.tries, 20)) * (0.75 + Math.random() / 2)
    await strands.move(db, lease, {
      step: lease.step,
      wakeInMs: ms,
      deadlineMs: null,
      state: undefined,
      dropIntents,
      tries: lease.tries + 1,
      lastError: describeError(error).slice(0, 2_000),
      keepLease: false,
    })
    return false
  }

  async function commit(
    definition: StrandDefinition<Tools>,
    lease: strands.Lease,
    outcome: Outcome,
    dropIntents: readonly string[],
  ): Promise<void> {
    const write = async (tx: Db): Promise<strands.Moved | null> => {
      await outcome.write?.(tx)
      const leaves = outcome.kind === 'done' || (outcome.kind === 'goto' && outcome.step !== lease.step)
      if (lease.isOverdue && leaves) await incidents.resolve(tx, lease.id, 'the step came to its end', 'deadline')
      if (outcome.kind === 'done') {
        await strands.remove(tx, lease)
        return null
      }
      const step = outcome.kind === 'goto' ? outcome.step : lease.step
      return strands.move(tx, lease, {
        step,
        wakeInMs: outcome.kind === 'goto' ? 0 : outcome.ms,
        deadlineMs: definition.steps[step]?.deadlineMs ?? null,
        state: outcome.state,
        dropIntents,
        tries: 0,
        lastError: null,
        keepLease: outcome.kind === 'goto' && !outcome.handOver,
      })
    }
    const needsTransaction = outcome.write !== undefined || lease.isOverdue
    const moved = needsTransaction ? await db.transaction().execute(write) : await write(db)
    const { step } = lease
    if (moved) {
      if (outcome.kind === 'goto' && outcome.step !== lease.step) lease.isOverdue = false
      lease.step = outcome.kind === 'goto' ? outcome.step : lease.step
      lease.state = (outcome.kind !== 'done' && outcome.state) || lease.state
      lease.tries = 0
      Object.assign(lease, moved)
    }
    faults?.crash(lease.kind, step, 'committed')
  }

  const fenced = (lease: strands.Lease, work: Write): Promise<void> =>
    db.transaction().execute(async (tx) => {
      await work(tx)
      // Last, so that rows are locked in one order everywhere: the resource's, then the strand's.
      await strands.fence(tx, lease)
    })

  const reportOverdue = (lease: strands.Lease): Promise<void> =>
    strands.find(db, lease.id).then((row) =>
      incidents.open(db, {
        strandId: lease.id,
        kind: 'deadline',
        step: lease.step,
        message: `step ${lease.step} is past its deadline${row?.last_error ? `; last error: ${row.last_error}` : ''}`,
      }),
    )

  return runStep
}

export function intentOf<Tools>(definition: StrandDefinition<Tools>, lease: Pick<strands.Lease, 'intents' | 'step'>) {
  for (const [name, { step, beyond }] of Object.entries(definition.intents ?? {})) {
    if (lease.intents.includes(name)) {
      return { name, step, preempts: step !== lease.step && !beyond.includes(lease.step) }
    }
  }
  return null
}
