/** After a leap back in time a guest's clock shows the moment of its snapshot. Its agent sets it, where there is one. */
import { askAgent } from './agent.ts'

/** A guest that has just woken up may be slow; one without an agent keeps its old time. */
const TRIES = 3
const NANOSECONDS_PER_MS = 1_000_000

/** QEMU, docs/interop/qemu-ga-ref, "guest-set-time": without a time the guest would read its own hardware clock. */
export async function setGuestClock(agentSocket: string, signal: AbortSignal): Promise<boolean> {
  for (let tried = 0; tried < TRIES && !signal.aborted; tried++) {
    try {
      await askAgent(agentSocket, 'guest-set-time', { time: Date.now() * NANOSECONDS_PER_MS })
      return true
    } catch {} // no agent, or one whose guest has no hwclock to set as well: then the time is set all the same
  }
  return false
}
