/** Waiting for an operation to end. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Operation } from '../dialects/native/contract/operations.ts'
import { isOpen } from '../model/operation.ts'
import type { Client } from './client.ts'
import { CliError } from './exit.ts'

export interface WaitOptions {
  timeoutMs: number
  /** Called when state, progress or message changed. */
  onChange?: (operation: Operation) => void
  signal?: AbortSignal | undefined
}

const POLL_FIRST_MS = 50
const POLL_MAX_MS = 1_000

/** Returns the operation when it succeeded; a failed one is an error, as is the end of the time. */
export async function waitForOperation(client: Client, id: string, options: WaitOptions): Promise<Operation> {
  const end = performance.now() + options.timeoutMs
  let shown = ''
  for (let pause = POLL_FIRST_MS; ; pause = Math.min(pause * 1.3, POLL_MAX_MS)) {
    options.signal?.throwIfAborted()
    const operation = await client.call('getOperation', { id })
    const face = `${operation.state} ${operation.progressPercent} ${operation.message}`
    if (face !== shown) options.onChange?.(operation)
    shown = face
    if (operation.state === 'succeeded') return operation
    if (!isOpen(operation.state)) {
      throw new CliError(
        'error',
        `${operation.kind} ${operation.state}: ${operation.message ?? operation.errorCode ?? 'no reason given'}`,
      )
    }
    if (performance.now() > end) {
      throw new CliError(
        'timedOut',
        `${operation.kind} is still ${operation.state} after ${Math.round(options.timeoutMs / 1000)} s; it goes on. Look again with: ./havn operation show ${id}`,
      )
    }
    await delay(pause, undefined, { signal: options.signal })
  }
}
