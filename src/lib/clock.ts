/** Time as something that can be handed in: the real one, or one that stands still until a test moves it. */
import { setTimeout as pause } from 'node:timers/promises'

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number
  /** Resolves after `ms`; rejects with the signal's reason when that is aborted first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export const realClock: Clock = {
  now: Date.now,
  async sleep(ms, signal) {
    try {
      await pause(ms, undefined, signal ? { signal } : {})
    } catch (error) {
      throw signal?.aborted ? signal.reason : error
    }
  },
}

export interface VirtualClock extends Clock {
  /** Moves time on and wakes, in order, every sleeper whose time has come; also those who fall asleep meanwhile. */
  advance(ms: number): Promise<void>
}

export function createVirtualClock(start = Date.UTC(2030, 0, 1)): VirtualClock {
  let time = start
  const sleepers = new Set<{ at: number; wake: () => void }>()

  function sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const onAbort = () => {
        sleepers.delete(sleeper)
        reject(signal?.reason)
      }
      const wake = () => {
        sleepers.delete(sleeper)
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }
      const sleeper = { at: time + ms, wake }
      sleepers.add(sleeper)
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  async function advance(ms: number): Promise<void> {
    const end = time + ms
    for (;;) {
      // Let those who were just woken go on, so that their next sleep counts from the right moment.
      await new Promise<void>((resolve) => setImmediate(resolve))
      const next = [...sleepers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0]
      if (!next) break
      time = Math.max(time, next.at)
      next.wake()
    }
    time = end
  }

  return { now: () => time, sleep, advance }
}
