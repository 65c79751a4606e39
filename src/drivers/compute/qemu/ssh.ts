/**
 * Waits for an SSH banner (RFC 4253, section 4.2: the server speaks first, `SSH-…`). One connection at a time: parallel
 * probes trip sshd's MaxStartups and take the CPU the guest boots with.
 */
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export interface SshTarget {
  host: string
  port: number
  /** QEMU's user-mode forward accepts before the guest listens, so being connected means nothing there. */
  isForwarded: boolean
}

/** A SYN to a guest without network is lost; the kernel would repeat it only after 1, 3, 7 s. */
const CONNECT_MS = 250
/** From an accepted connection to the banner: sshd re-executes itself, which takes seconds on a starved guest. */
const BANNER_MS = 20_000
/** Behind a forward nobody may be there: begin impatiently, then leave a slow sshd the time it needs. */
const FORWARD_FIRST_MS = 500
const PAUSE_MS = 50

export async function waitForBanner(target: SshTarget, waitMs: number, signal: AbortSignal): Promise<boolean> {
  const until = performance.now() + waitMs
  let patienceMs = target.isForwarded ? FORWARD_FIRST_MS : BANNER_MS
  for (;;) {
    signal.throwIfAborted()
    const leftMs = until - performance.now()
    if (leftMs <= 0) return false
    const end = await probe(target, Math.min(patienceMs, leftMs), Math.min(CONNECT_MS, leftMs), signal)
    if (end === 'banner') return true
    // A refusal came from the guest itself: its network is up, so the next connection is worth waiting for.
    if (target.isForwarded) patienceMs = end === 'closed' ? 8_000 : Math.min(patienceMs * 1.5, 8_000)
    await sleep(Math.min(PAUSE_MS, Math.max(0, until - performance.now())), undefined, { signal }).catch(() => {})
  }
}

function probe(
  { host, port }: SshTarget,
  bannerMs: number,
  connectMs: number,
  signal: AbortSignal,
): Promise<'banner' | 'closed' | 'silent'> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    let text = ''
    const finish = (end: 'banner' | 'closed' | 'silent') => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      socket.destroy()
      resolve(end)
    }
    const onAbort = () => finish('silent')
    let timer = setTimeout(() => finish('silent'), connectMs)
    signal.addEventListener('abort', onAbort, { once: true })
    socket.on('connect', () => {
      clearTimeout(timer)
      timer = setTimeout(() => finish('silent'), bannerMs)
    })
    socket.on('data', (chunk: Buffer) => {
      text = (text + chunk.toString('latin1')).slice(0, 4096)
      if (/^SSH-/m.test(text)) finish('banner')
    })
    socket.on('error', () => finish('closed'))
    socket.on('close', () => finish('closed'))
  })
}
