/**
 * Measures what file backup accounts hold, and closes those that are full for more. Accounts in use are measured again
 * and again, one that is large with pauses of ten times as long as it took; the others every hour. Who sends at the
 * moment in which an account turns out to be full, or goes on sending afterwards, is cut off: so what is stored exceeds
 * the quota by what can be sent between two measurements.
 */
import type { RsyncServer } from '../../drivers/rsync/rsync.ts'
import type { Db } from '../../store/db.ts'
import * as accounts from '../../store/rsync-accounts.ts'
import type { Reconciler } from '../engine/reconciler.ts'

const IDLE_MS = 3_600_000
const REST_FACTOR = 10

export function measureRsync(rsync: RsyncServer): Reconciler<{ db: Db }> {
  const inUse = new Set<number>()
  /** Milliseconds of the monotonic clock. */
  const measured = new Map<number, { at: number; notBefore: number }>()

  const isDue = ({ username }: accounts.RsyncAccount): boolean => {
    const last = measured.get(username)
    if (!last) return true
    const now = performance.now()
    return now >= last.notBefore && (inUse.has(username) || now - last.at > IDLE_MS)
  }

  async function measure(db: Db, account: accounts.RsyncAccount, signal: AbortSignal): Promise<void> {
    const { username, quotaBytes, usedBytes } = account
    const began = performance.now()
    const { bytes, isCutShort } = await rsync.measure(username, signal)
    const isFull = isCutShort || bytes >= quotaBytes
    const turnedFull = await rsync.setFull(username, isFull)
    if (turnedFull || (isFull && bytes > (usedBytes ?? 0))) rsync.disconnect(username)
    await accounts.noteUse(db, username, bytes)
    const at = performance.now()
    measured.set(username, { at, notBefore: at + REST_FACTOR * (at - began) })
  }

  return {
    name: 'rsync.measure',
    everyMs: 1_000,
    async run({ db }, signal) {
      // Marks first: a transfer that begins after this look leaves another, one that began before it is connected.
      for (const username of await rsync.takeTouched()) inUse.add(username)
      const connected = rsync.connected()
      for (const username of connected) inUse.add(username)
      const problems: unknown[] = []
      for (const account of (await accounts.served(db)).filter(isDue)) {
        try {
          await measure(db, account, signal)
          if (!connected.has(account.username)) inUse.delete(account.username)
        } catch (error) {
          signal.throwIfAborted()
          // What cannot be measured takes no more.
          if (await rsync.setFull(account.username, true)) rsync.disconnect(account.username)
          problems.push(error)
        }
      }
      if (problems.length > 0) throw new AggregateError(problems, `cannot measure: ${problems.join('; ')}`)
    },
  }
}
