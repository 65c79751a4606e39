/** Waiting for a condition, always with an end. */
import { setTimeout as delay } from 'node:timers/promises'

export interface WaitOptions {
  timeoutMs: number
  everyMs?: number
  signal?: AbortSignal | undefined
}

/** Asks again and again until the answer is neither undefined, null nor false, and returns it; null when time is up. */
export async function waitFor<T>(
  ask: () => Promise<T | null | undefined | false> | T | null | undefined | false,
  { timeoutMs, everyMs = 50, signal }: WaitOptions,
): Promise<T | null> {
  const end = performance.now() + timeoutMs
  for (;;) {
    signal?.throwIfAborted()
    const answer = await ask()
    if (answer !== undefined && answer !== null && answer !== false) return answer
    if (performance.now() >= end) return null
    await delay(everyMs, undefined, { signal })
  }
}
