/**
 * How much a counter grew in each interval, told by points of its curve. What was counted stands in the interval of the
 * first sample that saw it, and so in exactly one: the sum over any intervals that follow each other is the difference of
 * the totals at their ends. Without a sample in it an interval grew by
 *   0     when it is known: the instance was off or not yet there, or the counter stood where it had stood before;
 *   null  when nobody looked: what moved then is part of the next sample's.
 */
import type { Span } from './metric.ts'

export interface Point {
  measuredAt: Date
  /** A run ended here: until the next point nothing moved. */
  ended: boolean
}

/** This soon after a sample the next one is merely not due yet. */
const FRESH_MS = 60_000

/** `points` and `spans` oldest first; of `points` those before the first span tell where it begins. */
export function growth<P extends Point>(
  points: readonly P[],
  totalOf: (point: P) => number | null,
  spans: readonly Span[],
  { createdAt }: { createdAt: Date },
): (number | null)[] {
  const isMeasured = points.some((point) => totalOf(point) !== null)
  let before: P | null = null
  let total = 0
  let next = 0
  return spans.map(({ from, to }) => {
    for (let point = points[next]; point && point.measuredAt < from; point = points[++next]) {
      before = point
      total = totalOf(point) ?? total
    }
    const start = total
    const isSampled = next < points.length && points[next]!.measuredAt < to
    for (let point = points[next]; point && point.measuredAt < to; point = points[++next]) {
      before = point
      total = totalOf(point) ?? total
    }
    if (isSampled && isMeasured) return total - start
    if (to <= createdAt) return 0
    if (!isMeasured) return null
    const after = points[next]
    if (before === null) return after ? 0 : null
    const stoodStill = after !== undefined && totalOf(after) === total
    const isFresh = after === undefined && from.getTime() - before.measuredAt.getTime() < FRESH_MS
    return before.ended || stoodStill || isFresh ? 0 : null
  })
}
