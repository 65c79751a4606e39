/**
 * Who is reading. A body's blobs may lose their last segment while somebody reads on; so each process tells the
 * database every few seconds when the oldest of its reads began, and the sweeper removes nothing that was released
 * since the oldest of all. A process that stopped telling is dead, and so are its reads.
 */
import type { Db } from '../../store/db.ts'
import * as readers from '../../store/object-readers.ts'

const REPORT_MS = 5_000

export interface Readers {
  /** A read begins; call the result, once or more, when it is over. */
  reading(): () => void
  /** Tells the database at once; resolves when it knows. */
  report(): Promise<void>
  stop(): Promise<void>
}

/** `processId` names this process and no other, also after a restart. */
export async function createReaders(
  db: Db,
  processId: string,
  warn: (message: string, error: unknown) => void = () => {},
): Promise<Readers> {
  // In the order of their beginning, in this machine's monotonic time: the database knows only how long ago that is.
  const begun = new Set<{ at: number }>()
  const oldestMs = (): number | null => {
    const [oldest] = begun
    return oldest ? performance.now() - oldest.at : null
  }
  const report = () => readers.report(db, processId, oldestMs())
  await report()
  const timer = setInterval(
    () => void report().catch((error) => warn('cannot report which bodies are being read', error)),
    REPORT_MS,
  ).unref()
  return {
    reading() {
      const mine = { at: performance.now() }
      begun.add(mine)
      return () => void begun.delete(mine)
    },
    report,
    async stop() {
      clearInterval(timer)
      await readers.leave(db, processId).catch(() => {}) // else it is forgotten by itself
    },
  }
}
