/**
 * Waits for an SSH banner (RFC 4253, section 4.2: the server speaks first, `SSH-…`). One connection at a time: parallel
 * probes trip sshd's MaxStartups and take the CPU the guest boots with.
 */
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { waitFor } from '../../../../lib/wait.ts'

export interface SshTarget {
  host: string
  port: number
  forward: Forward | null
}

/**
 * What is known of a guest behind QEMU's user-mode forward. That one accepts before the guest listens, and goes on
 * knocking at the guest for connections that were given up long ago; so it must not be tried too early nor too often.
 */
export interface Forward {
  /** The guest has switched its network interface on. */
  isUp(): Promise<boolean>
  /** The guest has accepted a connection that came through the forward. */
  isTaken(): Promise<boolean>
}

/** A SYN to a guest without network is lost; the kernel would repeat it only after 1, 3, 7 s. */
const CONNECT_MS = 250
/** From an accepted connection to the banner: sshd re-executes itself, which takes seconds on a starved guest. */
const BANNER_MS = 20_000
/** A guest that never says so may still be up. */
const UP_MS = 60_000
/** A forwarded connection the guest has not taken by then was sent to nobody; the next is given longer. */
const TAKEN_MS_FIRST = 400
const TAKEN_MS_MAX = 5_000
const PAUSE_MS = 50

export async function waitForBanner(target: SshTarget, waitMs: number, signal: AbortSignal): Promise<boolean> {
  const { forward } = target
  const until = performance.now() + waitMs
  if (forward) await waitFor(() => forward.isUp(), { timeoutMs: Math.min(UP_MS, waitMs), everyMs: 100, signal })
  for (let patienceMs = TAKEN_MS_FIRST; ; patienceMs = Math.min(patienceMs * 1.5, TAKEN_MS_MAX)) {
    signal.throwIfAborted()
    const leftMs = until - performance.now()
    if (leftMs <= 0) return false
    if (await probe(target, patienceMs, leftMs, signal)) return true
    await sleep(Math.min(PAUSE_MS, Math.max(0, until - performance.now())), undefined, { signal }).catch(() => {})
  }
}

/** One connection; true once it showed a banner. */
function probe(
  { host, port, forward }: SshTarget,
  patienceMs: number,
  leftMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    let text = ''
    const finish = (hasBanner: boolean) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      socket.destroy()
      resolve(hasBanner)
    }
    const giveUpAfter = (ms: number) => {
      clearTimeout(timer)
      timer = setTimeout(() => finish(false), Math.min(ms, leftMs))
    }
    const onAbort = () => finish(false)
    const askWhetherTaken = async ({ isTaken }: Forward) => {
      if (await isTaken().catch(() => false)) giveUpAfter(BANNER_MS)
      else finish(false)
    }
    let timer = setTimeout(onAbort, Math.min(CONNECT_MS, leftMs))
    signal.addEventListener('abort', onAbort, { once: true })
    socket.on('connect', () => {
      if (!forward) return giveUpAfter(BANNER_MS)
      clearTimeout(timer)
      timer = setTimeout(() => void askWhetherTaken(forward), Math.min(patienceMs, leftMs))
    })
    socket.on('data', (chunk: Buffer) => {
      text = (text + chunk.toString('latin1')).slice(0, 4096)
      if (/^SSH-/m.test(text)) finish(true)
    })
    socket.on('error', () => finish(false))
    socket.on('close', () => finish(false))
  })
}
