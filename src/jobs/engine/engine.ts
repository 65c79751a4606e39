/**
 * The loop that runs strands: lease what is due, run its step, commit the outcome, go on while the strand says `goto`.
 * NOTIFY and finished steps make the loop look at once; polling is the truth behind them. A worker that dies leaves
 * its leases to expire; one that starts again under the same name frees them at once (`releaseAllOf`).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { HostId } from '../../model/ids.ts'
import type { Db } from '../../store/db.ts'
import * as strands from '../../store/strands.ts'
import { LeaseLost } from '../../store/strands.ts'
import { Crash, createStepRunner, type Faults, intentOf } from './step.ts'
import type { StrandDefinition } from './strand.ts'

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

export function createEngine<Tools>(options: EngineOptions<Tools>): Engine {
  const { db, worker, hosts, tools, log, faults, concurrency = 32, leaseMs = 30_000, pollMs = 1_000 } = options
  const definitions = new Map(options.definitions.map((definition) => [definition.kind, definition]))
  const running = new Map<string, Running>()
  const runStep = createStepRunner({ db, tools, log, faults })
  let stopped = true
  let dead = false
  let loopEnded: Promise<unknown> = Promise.resolve()
  let poke: () => void = () => {}
  let poked = false
  let isBeating = false
  let beatsAgain = false
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
    if (intent) beat()
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
      while (!stopped && (await runStep(definition, entry.lease, entry.abort.signal)))
        entry.abort = renewedAbort(entry.abort)
      if (stopped && !dead) await strands.release(db, entry.lease)
    } catch (error) {
      if (dead || error instanceof LeaseLost) return
      if (error instanceof Crash) return die()
      log(`strand ${entry.lease.id} could not be written; its lease is given back`, error)
      await giveBack(entry.lease)
    }
  }

  async function giveBack(lease: strands.Lease): Promise<void> {
    for (let wait = 100; !stopped; wait = Math.min(2_000, wait * 2)) {
      try {
        return await strands.release(db, lease)
      } catch {
        await sleep(wait)
      }
    }
  }

  /** One at a time: a hundred intents in one moment ask for one more renewal, not for a hundred that lock each other. */
  function beat(): void {
    beatsAgain = isBeating
    if (isBeating) return
    isBeating = true
    void heartbeat().finally(() => {
      isBeating = false
      if (beatsAgain) beat()
    })
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
      const timer = setInterval(beat, Math.min(leaseMs / 3, 2_000))
      loopEnded = loop().finally(() => clearInterval(timer))
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
