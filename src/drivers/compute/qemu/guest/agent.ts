/**
 * The QEMU guest agent (docs/interop/qemu-ga-ref), one command a connection. Everything it says comes from inside the
 * guest, so it is bounded in size and time and believed about the guest only. A port remembers what an earlier client
 * left unread; `guest-sync-delimited` with its 0xFF mark finds the beginning of our own answers.
 */
import { randomInt } from 'node:crypto'
import { connect } from 'node:net'
import { createLocks } from '../../../../lib/locks.ts'

const ANSWER_BYTES_MAX = 256 * 1024
const MARK = 0xff

/** The agent answered, and its answer was an error. */
export class AgentRefusal extends Error {
  override name = 'AgentRefusal'
}

export type AskAgent = (command: string, args?: object, timeoutMs?: number) => Promise<unknown>

/** The port serves one client at a time: a second one would wait in the dark, its clock running. */
const inTurn = createLocks()

/** The command's `return`. Throws when there is no answer in time, an error, or no sense in it. */
export const askAgent = (path: string, command: string, args: object = {}, timeoutMs = 1_500): Promise<unknown> =>
  inTurn(path, () => ask(path, command, args, timeoutMs))

/** Nobody else in this process talks to that agent while `act` does. */
export const holdAgent = <T>(path: string, act: (ask: AskAgent) => Promise<T>): Promise<T> =>
  inTurn(path, () => act((command, args = {}, timeoutMs = 1_500) => ask(path, command, args, timeoutMs)))

function ask(path: string, command: string, args: object, timeoutMs: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    const sync = randomInt(1, 2 ** 31)
    let buffer = Buffer.alloc(0)
    let isSynced = false
    const finish = (act: () => void) => {
      clearTimeout(timer)
      socket.destroy()
      act()
    }
    const fail = (why: string) => finish(() => reject(new Error(`guest agent, ${command}: ${why}`)))
    const timer = setTimeout(() => fail(`no answer within ${timeoutMs} ms`), timeoutMs)
    const send = (execute: string, payload: object) =>
      socket.write(`${JSON.stringify({ execute, arguments: payload })}\n`)
    socket.on('error', (error) => fail(error.message))
    socket.on('close', () => fail('the connection was closed'))
    socket.on('connect', () => {
      socket.write(Buffer.from([MARK]))
      send('guest-sync-delimited', { id: sync })
    })
    socket.on('data', (chunk: Buffer) => {
      buffer = Buffer.concat([buffer, chunk])
      if (buffer.length > ANSWER_BYTES_MAX) return fail('the answer is too long')
      if (!isSynced) buffer = buffer.subarray(buffer.lastIndexOf(MARK) + 1)
      for (let end = buffer.indexOf(10); end >= 0; end = buffer.indexOf(10)) {
        const line = buffer.subarray(0, end).toString()
        buffer = buffer.subarray(end + 1)
        const answer = parse(line)
        if (isSynced) {
          if (answer && 'return' in answer) return finish(() => resolve(answer.return))
          if (!answer?.error?.desc) return fail('the answer makes no sense')
          const refusal = new AgentRefusal(`guest agent, ${command}: ${String(answer.error.desc).slice(0, 200)}`)
          return finish(() => reject(refusal))
        }
        if (answer?.return === sync) {
          isSynced = true
          send(command, args)
        }
      }
    })
  })
}

function parse(line: string): { return?: unknown; error?: { desc?: string } } | null {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' ? value : null
  } catch {
    return null
  }
}

/**
 * Ends a freeze, and says how many file systems stood still until now; 0 also for an agent that knows of no freezing.
 * Throws as long as it is not known to be over.
 */
export async function thaw(ask: AskAgent, timeoutMs: number): Promise<number> {
  try {
    return Number(await ask('guest-fsfreeze-thaw', {}, timeoutMs))
  } catch (error) {
    if (!(error instanceof AgentRefusal)) throw error
    const status = await ask('guest-fsfreeze-status', {}, timeoutMs).catch((other: unknown) => {
      if (other instanceof AgentRefusal) return 'thawed'
      throw other
    })
    if (status === 'frozen') throw error
    return 0
  }
}

/** Bytes used on the guest's file systems, each block device once; null when the answer makes no sense. */
export function usedBytes(fsinfo: unknown): number | null {
  if (!Array.isArray(fsinfo)) return null
  const byDevice = new Map<string, number>()
  for (const entry of fsinfo as { name?: unknown; 'used-bytes'?: unknown }[]) {
    const used = entry?.['used-bytes']
    if (typeof used === 'number' && Number.isFinite(used) && used >= 0) byDevice.set(String(entry.name), used)
  }
  return byDevice.size === 0 ? null : [...byDevice.values()].reduce((sum, used) => sum + used, 0)
}
