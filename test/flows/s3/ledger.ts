/**
 * What clients of a store may believe. Every write of a key has a start, an end and an outcome; what a reader may find
 * afterwards follows from them alone: the content of any write that was acknowledged, or whose outcome nobody knows,
 * unless an acknowledged one began after it had ended. Reads are held against it; the store's own word counts nothing.
 */

/** Its bytes follow from it (`bytesOf`); null = there is no object. */
export type Content = { id: string; length: number } | null

export interface Write {
  acknowledged(): void
  /** It was refused, and so it never happened. */
  refused(): void
  /** The line was cut: it may have happened, or still happen until `settle`. */
  unknown(): void
}

export interface Ledger {
  keys(): string[]
  begin(key: string, content: Content): Write
  /** Whoever might still have carried out a write of unknown outcome is gone. */
  settle(): void
  /** A write hangs over the key, under way or of unknown outcome. */
  isOpen(key: string): boolean
  allowed(key: string): Content[]
  readonly counts: Readonly<Record<'acknowledged' | 'refused' | 'unknown', number>>
}

interface Entry {
  content: Content
  start: number
  end: number
  isAcknowledged: boolean
}

export function createLedger(): Ledger {
  let clock = 0
  const history = new Map<string, Entry[]>()
  const counts = { acknowledged: 0, refused: 0, unknown: 0 }
  const unsettled = new Set<Entry>()
  const entriesOf = (key: string) =>
    history.get(key) ?? [{ content: null, start: -1, end: -1, isAcknowledged: true } satisfies Entry]
  // What may not stand now never may again, so that a busy key's history stays short.
  const keep = (key: string, entries: Entry[]) => history.set(key, entries.filter(mayStandAmong(entries)))

  return {
    counts,
    keys: () => [...history.keys()],
    begin(key, content) {
      const entry: Entry = { content, start: clock++, end: Number.POSITIVE_INFINITY, isAcknowledged: false }
      history.set(key, [...entriesOf(key), entry])
      return {
        acknowledged() {
          entry.end = clock++
          entry.isAcknowledged = true
          counts.acknowledged += 1
          keep(key, entriesOf(key))
        },
        refused() {
          counts.refused += 1
          keep(
            key,
            entriesOf(key).filter((one) => one !== entry),
          )
        },
        unknown() {
          counts.unknown += 1
          unsettled.add(entry)
        },
      }
    },
    settle() {
      for (const entry of unsettled) entry.end = clock++
      unsettled.clear()
    },
    isOpen: (key) => entriesOf(key).some(({ end }) => end === Number.POSITIVE_INFINITY),
    allowed: (key) =>
      entriesOf(key)
        .filter(mayStandAmong(entriesOf(key)))
        .map(({ content }) => content),
  }
}

const mayStandAmong = (entries: readonly Entry[]) => (one: Entry) =>
  !entries.some((other) => other.isAcknowledged && other.start > one.end)
