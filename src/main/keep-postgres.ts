/** Keeps the private PostgreSQL running: a server that ends is started again, and its clients connect anew. */
import { setTimeout as delay } from 'node:timers/promises'
import type { ProcessIdentity } from '../lib/process-identity.ts'
import { describeError } from '../model/errors.ts'
import type { Kept } from './keep-running.ts'
import { pauseMs } from './keep-running.ts'
import { type Postgres, type PostgresPlace, startPostgres } from './postgres.ts'

export interface PostgresHooks {
  started(identity: ProcessIdentity): void
  say(line: string): void
}

/** Returns when the first start is done. */
export async function keepPostgres(place: PostgresPlace, hooks: PostgresHooks, signal: AbortSignal): Promise<Kept> {
  const stopping = new AbortController()
  let server: Postgres = await begin(signal)
  const loop = run()

  async function begin(until: AbortSignal): Promise<Postgres> {
    const started = await startPostgres(place, until)
    hooks.started(started.process)
    hooks.say(`version ${started.major} ${started.adopted ? 'ran already, taken over' : 'started'}`)
    return started
  }

  async function run(): Promise<void> {
    for (;;) {
      await server.ended
      if (stopping.signal.aborted) return
      hooks.say('ended; starting it again')
      for (let deaths = 0; ; deaths++) {
        try {
          server = await begin(stopping.signal)
          break
        } catch (error) {
          if (stopping.signal.aborted) return
          hooks.say(`${describeError(error)}; again in ${pauseMs(deaths) / 1000} s`)
          await delay(pauseMs(deaths), undefined, { signal: stopping.signal }).catch(() => {})
        }
      }
    }
  }

  return {
    async stop() {
      stopping.abort()
      await server.stop()
      await loop
    },
  }
}
