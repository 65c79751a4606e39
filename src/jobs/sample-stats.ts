/** Measures the running instances. A few at a time, each with its own deadline: one slow guest never holds the sweep. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { InstanceId } from '../model/ids.ts'
import * as instances from '../store/instances.ts'
import * as stats from '../store/stats.ts'
import type { Reconciler } from './engine/reconciler.ts'
import type { ReconcilerTools } from './tools.ts'

const AT_ONCE = 8
const EACH_MS = 3_000

export const sampleStats: Reconciler<ReconcilerTools> = {
  name: 'stats.sample',
  everyMs: 10_000,
  async run({ db, compute, hosts, lastSamples }, signal) {
    const running = (await instances.onHosts(db, hosts)).filter(({ state }) => state === 'running')
    const queue = running.map(({ id }) => id)
    const sampleNext = async (): Promise<void> => {
      for (let id = queue.shift(); id && !signal.aborted; id = queue.shift()) await sampleOne(id)
    }
    async function sampleOne(id: InstanceId): Promise<void> {
      const timeout = new AbortController()
      const sample = await Promise.race([
        compute.stats(id).catch(() => null),
        sleep(EACH_MS, null, { signal: timeout.signal }).catch(() => null),
      ])
      timeout.abort()
      if (!sample) return
      const { measuredAt, ...values } = sample
      // What never changes need not be written: a fleet of idle simulated machines costs nothing.
      const text = JSON.stringify(values)
      if (lastSamples.get(id) === text && Object.values(values).every((value) => value === null)) return
      lastSamples.set(id, text)
      await stats.record(db, { instanceId: id, measuredAt, ...values })
    }
    await Promise.all(Array.from({ length: AT_ONCE }, sampleNext))
    const alive = new Set<string>(running.map(({ id }) => id))
    for (const id of lastSamples.keys()) if (!alive.has(id)) lastSamples.delete(id)
  },
}
