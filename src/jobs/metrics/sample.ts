/**
 * Measures the instances that may be running. A few at a time, each with its own deadline, and one that missed it is left
 * alone for a while: a slow guest never holds the sweep. What nothing measures costs nothing: a fleet of idle simulated
 * machines writes no row.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ComputeDriver } from '../../drivers/compute/compute.ts'
import type { InstanceId } from '../../model/ids.ts'
import { COUNTERS, GAUGES } from '../../model/metric.ts'
import type { Db } from '../../store/db.ts'
import * as instances from '../../store/instances.ts'
import * as stats from '../../store/stats.ts'
import type { Reconciler } from '../engine/reconciler.ts'
import type { ReconcilerTools } from '../tools.ts'

const AT_ONCE = 16
const EACH_MS = 3_000
const RECORD_AT_ONCE = 500
const PAUSE_MS_FIRST = 10_000
const PAUSE_MS_MAX = 60_000

/** Who was too slow: still under way, and how long it is left alone. */
export interface Slow {
  isPending: boolean
  pauseMs: number
  until: number
}

export const sampleStats: Reconciler<ReconcilerTools> = {
  name: 'stats.sample',
  everyMs: 10_000,
  async run({ db, compute, hosts, slowSamples }, signal) {
    const rows = await instances.onHosts(db, hosts)
    const may = new Set(rows.filter(({ state }) => state !== 'stopped' && state !== 'deleted').map(({ id }) => id))
    for (const id of slowSamples.keys()) if (!may.has(id)) slowSamples.delete(id)
    const queue = [...may].filter((id) => isPatient(slowSamples.get(id)))
    let measured: stats.Measured[] = []
    const write = async () => {
      const some = measured
      measured = []
      await stats.record(db, some)
    }
    const sampleNext = async (): Promise<void> => {
      for (let id = queue.shift(); id && !signal.aborted; id = queue.shift()) {
        const sample = await measureWithin(compute, id, slowSamples)
        if (sample && saysSomething(sample)) measured.push(sample)
        if (measured.length >= RECORD_AT_ONCE) await write()
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, sampleNext))
    await write()
    await stats.endRuns(db)
  },
}

/**
 * What is left to count of a run that is about to end: its last seconds. Whoever ends it must not wait for long, nor fail
 * over it; what a machine moves between this and its end is not counted.
 */
export async function recordLast(db: Db, compute: Pick<ComputeDriver, 'stats'>, id: InstanceId): Promise<void> {
  const sample = await measureWithin(compute, id, new Map())
  if (sample && saysSomething(sample)) await stats.record(db, [sample]).catch(() => {})
}

const isPatient = (slow: Slow | undefined) => !slow || (!slow.isPending && performance.now() >= slow.until)

async function measureWithin(
  compute: Pick<ComputeDriver, 'stats'>,
  id: InstanceId,
  slow: Map<InstanceId, Slow>,
): Promise<stats.Measured | null> {
  const timeout = new AbortController()
  const asking = compute.stats(id).catch(() => null)
  const sample = await Promise.race([
    asking,
    sleep(EACH_MS, 'late' as const, { signal: timeout.signal }).catch(() => null),
  ])
  timeout.abort()
  if (sample === 'late') {
    const pauseMs = Math.min(2 * (slow.get(id)?.pauseMs ?? PAUSE_MS_FIRST / 2), PAUSE_MS_MAX)
    const entry = { isPending: true, pauseMs, until: performance.now() + pauseMs }
    slow.set(id, entry)
    void asking.then(() => {
      entry.isPending = false
    })
    return null
  }
  slow.delete(id)
  return sample && { instanceId: id, ...sample }
}

const saysSomething = (sample: stats.Measured) => [...GAUGES, ...COUNTERS].some((name) => sample[name] !== null)
