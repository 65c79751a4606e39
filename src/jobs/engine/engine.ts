/**
 * The loop that runs strands: lease what is due, run its step, commit the outcome, go on while the strand says `goto`.
 * NOTIFY and finished steps make the loop look at once; polling is the truth behind them. A worker that dies leaves
 * its leases to expire; one that starts again under the same name frees them at once (`releaseAllOf`).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { CloudError, describeError } from '../../model/errors.ts'
import type { HostId } from '../../model/ids.ts'
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

export interface EngineOptions<Tools> {
  db: Db
  /** One name per worker process and host set; an earlier holder of the name is taken to be dead. */
  worker: string
  hosts: readonly HostId[]
  definitions: readonly StrandDefinition<Tools>[]
  tools: Tools
  log: (message: string, error?: unknown) => void
  concurrency?: number
  leaseMs?: number
  pollMs?: number
  faults?: Faults
}

export interface Engine {
  start(): Promise<void>
  /** Aborts running steps, gives their leases back and returns when nothing runs. */
  stop(): Promise<void>
  /** Look for due strands now; `intent` when one may have to pre-empt a running step. */
  nudge(intent?: boolean): void
  /** Resolves when the engine ended by itself, through an injected crash. */
  readonly crashed: Promise<void>
}

interface Running {
  lease: strands.Lease
  abort: AbortController
  ended: Promise<void>
}

const BACKOFF_MS_FIRST = 200
const BACKOFF_MS_MAX = 30_000

export function createEngine<Tools>(options: EngineOptions<Tools>): Engine {
  const { db, worker, hosts, tools, log, faults, concurrency = 32, leaseMs = 30_000, pollMs = 1_000 } = options
  const definitions = new Map(options.definitions.map((definition) => [definition.kind, definition]))
  const running = new Map<string, Running>()
  let stopped = true
  let dead = false
  let loopEnded: Promise<unknown> = Promise.resolve()
  let poke: () => void = () => {}
  let poked = false
  let reportCrash: () => void = () => {}
  const crashed = new Promise<void>((resolve) => {
    reportCrash = resolve
  })

  function die(): void {
    dead = true
    stopped = true
    for (const { abort } of running.values()) abort.abort(new Crash())
    nudge()
    reportCrash()
  }

  function nudge(intent = false): void {
    poked = true
    poke()
    if (intent && running.size > 0) void heartbeat()
  }

  async function idle(ms: number): Promise<void> {
    if (poked || stopped) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      poke = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    poke = () => {}
  }

  async function loop(): Promise<void> {
    while (!stopped) {
      poked = false
      try {
        const room = concurrency - running.size
        const leases = room > 0 ? await strands.lease(db, worker, hosts, room, leaseMs) : []
        for (const lease of leases) begin(lease)
        if (room > 0 && leases.length < room) {
          const dueInMs = await strands.nextDueInMs(db, hosts)
          await idle(Math.min(pollMs, dueInMs === null ? pollMs : Math.max(5, dueInMs)))
        } else if (running.size >= concurrency) {
          await idle(pollMs)
        }
      } catch (error) {
        if (stopped) return
        log('the database does not answer; trying again', error)
        await idle(500)
      }
    }
  }

  function begin(lease: strands.Lease): void {
    const abort = new AbortController()
    const entry: Running = { lease, abort, ended: Promise.resolve() }
    running.set(lease.id, entry)
    entry.ended = follow(entry).finally(() => {
      if (running.get(lease.id) === entry) running.delete(lease.id)
      nudge()
    })
  }

  /** Runs steps of one leased strand until it waits, ends, or the lease is gone. */
  async function follow(entry: Running): Promise<void> {
    const definition = definitions.get(entry.lease.kind)
    try {
      if (!definition) throw new Error(`no strand of kind ${entry.lease.kind} is known to this version`)
      while (!stopped && (await runStep(definition, entry))) entry.abort = renewedAbort(entry.abort)
      if (stopped && !dead) await strands.release(db, entry.lease)
    } catch (error) {
      if (dead || error instanceof LeaseLost) return
      if (error instanceof Crash) return die()
      log(`strand ${entry.lease.id} could not be written; its lease is given back`, error)
      await giveBack(entry.lease)
    }
  }

  /** One step and its commit. True when the strand goes on with the next step under the same lease. */
  async function runStep(definition: StrandDefinition<Tools>, entry: Running): Promise<boolean> {
    const { lease } = entry
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
      signal: entry.abort.signal,
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
      return await failed(definition, entry, context, error, dropIntents)
    }
    faults?.crash(lease.kind, lease.step, 'after')
    await commit(definition, lease, outcome, dropIntents)
    return outcome.kind === 'goto' && !outcome.handOver
  }

  async function failed(
    definition: StrandDefinition<Tools>,
    entry: Running,
    context: StepContext<Tools>,
    error: unknown,
    dropIntents: readonly string[],
  ): Promise<boolean> {
    const { lease, abort } = entry
    if (dead || error instanceof LeaseLost || error instanceof Crash) throw error
    if (abort.signal.aborted) {
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

  async function giveBack(lease: strands.Lease): Promise<void> {
    for (let wait = 100; !stopped; wait = Math.min(2_000, wait * 2)) {
      try {
        return await strands.release(db, lease)
      } catch {
        await sleep(wait)
      }
    }
  }

  /** Renews all leases in one statement; a lost lease or a pre-empting intent aborts its step. */
  async function heartbeat(): Promise<void> {
    const held = [...running.values()]
    if (held.length === 0) return
    try {
      const intents = await strands.renew(
        db,
        held.map(({ lease }) => lease),
        leaseMs,
      )
      for (const { lease, abort } of held) {
        const now = intents.get(lease.id)
        const definition = definitions.get(lease.kind)
        if (running.get(lease.id)?.lease !== lease) continue
        if (!now) abort.abort(new LeaseLost(lease.id))
        else if (definition && intentOf(definition, { ...lease, intents: now })?.preempts) {
          lease.intents = now
          abort.abort(new Error('pre-empted'))
        }
      }
    } catch (error) {
      log('leases could not be renewed', error)
    }
  }

  return {
    crashed,
    nudge,
    async start() {
      const freed = await strands.releaseAllOf(db, worker)
      if (freed > 0) log(`freed ${freed} leases of an earlier worker`)
      stopped = false
      // Often enough for a lease, and for an intent whose NOTIFY was lost.
      const beat = setInterval(() => void heartbeat(), Math.min(leaseMs / 3, 2_000))
      loopEnded = loop().finally(() => clearInterval(beat))
    },
    async stop() {
      stopped = true
      poke()
      for (const { abort } of running.values()) abort.abort(new Error('the worker stops'))
      await loopEnded
      await Promise.allSettled([...running.values()].map(({ ended }) => ended))
    },
  }
}

/** An aborted signal stays aborted, so the next step of a strand gets a new one. */
const renewedAbort = (abort: AbortController): AbortController => (abort.signal.aborted ? new AbortController() : abort)

function intentOf<Tools>(definition: StrandDefinition<Tools>, lease: Pick<strands.Lease, 'intents' | 'step'>) {
  for (const [name, { step, beyond }] of Object.entries(definition.intents ?? {})) {
    if (lease.intents.includes(name)) {
      return { name, step, preempts: step !== lease.step && !beyond.includes(lease.step) }
    }
  }
  return null
}
