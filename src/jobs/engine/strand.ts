/**
 * Strands: durable work. A strand is one row that belongs to one resource for as long as the resource lives. Its
 * `step` names what comes next; a worker leases the row, runs that step and writes the outcome. All the rules are here:
 *
 * - A step reads, then acts on a driver, then returns its outcome. It may run again after a crash at any point, so what
 *   it does must converge. What it writes to the database goes into the outcome's `write`, which commits in the same
 *   transaction as the move to the next step: the two can never disagree.
 * - Every write is fenced. A lease carries a token that counts up with each leasing; a worker that lost its lease (it
 *   was paused, its clock jumped) finds another token in the row and its write is refused.
 * - `intents` are wishes that pre-empt (`delete`): the engine moves the strand to the intent's step before it would run
 *   any other, and aborts the step that runs.
 * - A step past its deadline opens an incident, and goes on trying slowly. Nothing is ever silently stuck.
 *
 * The row's layout is in store/migrations/0001-core.ts, its SQL in store/strands.ts, the loop in engine.ts.
 */
import type { Db } from '../../store/db.ts'

/** What a step says comes next. `write` runs in the transaction that makes the move. */
export type Outcome<Step extends string = string> =
  // The strand moves on.
  | {
      kind: 'goto'
      step: Step
      write?: Write
      state?: StrandState
      /** Give the lease back in between, because the next step belongs to another host's worker. */
      handOver?: boolean
    }
  /** Run this step again after `ms`, or when something wakes the strand. `ms` null: only when woken. */
  | { kind: 'wait'; ms: number | null; write?: Write; state?: StrandState }
  /** The resource is gone for good; so is the strand. */
  | { kind: 'done'; write?: Write }
export type Write = (tx: Db) => Promise<void>
/** The strand's own memory between steps: small, JSON, nothing that belongs into the resource's row. */
export type StrandState = Record<string, unknown>

export const goto = <Step extends string>(step: Step, write?: Write): Outcome<Step> =>
  write ? { kind: 'goto', step, write } : { kind: 'goto', step }
export const wait = (ms: number, write?: Write): Outcome<never> =>
  write ? { kind: 'wait', ms, write } : { kind: 'wait', ms }
/** Rest until somebody wakes the strand. A wake that came while the step ran is not lost. */
export const rest = (write?: Write): Outcome<never> =>
  write ? { kind: 'wait', ms: null, write } : { kind: 'wait', ms: null }
export const done = (write?: Write): Outcome<never> => (write ? { kind: 'done', write } : { kind: 'done' })

export interface StepContext<Tools> {
  /** The id of the resource, which is the id of the strand. */
  id: string
  db: Db
  tools: Tools
  /** Aborted when the lease is lost, an intent arrives or the worker stops. Pass it to every driver call. */
  signal: AbortSignal
  /** How often this step failed in a row before this run. */
  tries: number
  state: StrandState
  stepEnteredAt: Date
  /** A fenced write in the middle of a step, for progress that should be seen now. */
  write(work: Write): Promise<void>
}

export interface StepDefinition<Tools, Step extends string> {
  run(context: StepContext<Tools>): Promise<Outcome<Step>>
  /** Past it an incident opens. Null: this step may take for ever (it rests, or waits for room). */
  deadlineMs: number | null
}

export interface StrandDefinition<Tools, Step extends string = string> {
  kind: string
  first: Step
  steps: Record<Step, StepDefinition<Tools, Step>>
  /** Where an intent leads, in the order of their strength. A step listed in `beyond` is past being pre-empted by it. */
  intents?: Record<string, { step: Step; beyond: readonly Step[] }>
  /**
   * What to do about an error that trying again cannot mend (a `CloudError` other than `unavailable`). Without it, or
   * when it returns null, the step is tried again like any other.
   */
  onRefused?(context: StepContext<Tools>, step: Step, error: Error): Promise<Outcome<Step> | null>
}

export function defineStrand<Tools>() {
  return <const Step extends string>(definition: StrandDefinition<Tools, Step>): StrandDefinition<Tools, Step> =>
    definition
}
