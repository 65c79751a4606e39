/** Waits for a condition with a generous limit; a test that gives up says what it waited for. */
import assert from 'node:assert/strict'
import { waitFor } from '../src/lib/wait.ts'

const LIMIT_MS = 30_000

export async function eventually<T>(
  what: string,
  ask: () => Promise<T | null | undefined | false> | T | null | undefined | false,
  timeoutMs = LIMIT_MS,
): Promise<T> {
  const answer = await waitFor(ask, { timeoutMs })
  if (answer === null) assert.fail(`not within ${timeoutMs / 1000} s: ${what}`)
  return answer
}
