/** What is measured of an instance, and the lengths of time it is kept and asked in. */

/** Since creation, never shrinking. */
export const COUNTERS = [
  'networkInBytes',
  'networkOutBytes',
  'diskReadBytes',
  'diskWriteBytes',
  'diskReadOps',
  'diskWriteOps',
] as const
export type Counter = (typeof COUNTERS)[number]

/** As they are at a moment. */
export const GAUGES = ['cpuPercent', 'memoryUsedBytes', 'diskUsedBytes'] as const
export type Gauge = (typeof GAUGES)[number]

export type Metric = Counter | Gauge
export const METRICS = [...GAUGES, ...COUNTERS] as const

export const isCounter = (metric: Metric): metric is Counter => (COUNTERS as readonly string[]).includes(metric)

/** From fine to coarse; `10s` are the samples themselves. */
export const STEPS = ['10s', '5min', 'hour', 'day', 'month'] as const
export type Step = (typeof STEPS)[number]

/** `none`: the whole span is one interval. */
export const GRANULARITIES = ['none', '5min', 'hour', 'day', 'month', 'year'] as const
export type Granularity = (typeof GRANULARITIES)[number]

export interface Span {
  from: Date
  to: Date
}

const MINUTE = 60_000
const FIXED = { '5min': 5 * MINUTE, hour: 60 * MINUTE, day: 24 * 60 * MINUTE }

/** The beginning of the interval in UTC that holds `time`. */
export function startOf(granularity: Exclude<Granularity, 'none'>, time: Date): Date {
  const [year, month] = [time.getUTCFullYear(), time.getUTCMonth()]
  if (granularity === 'year') return new Date(Date.UTC(year, 0))
  if (granularity === 'month') return new Date(Date.UTC(year, month))
  return new Date(Math.floor(time.getTime() / FIXED[granularity]) * FIXED[granularity])
}

function startOfNext(granularity: Exclude<Granularity, 'none'>, start: Date): Date {
  if (granularity === 'year') return new Date(Date.UTC(start.getUTCFullYear() + 1, 0))
  if (granularity === 'month') return new Date(Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + 1))
  return new Date(start.getTime() + FIXED[granularity])
}

/** The interval that begins at `from`, or holds it, clipped to the span. */
export function firstInterval(granularity: Granularity, { from, to }: Span): Span {
  if (granularity === 'none') return { from, to }
  const next = startOfNext(granularity, startOf(granularity, from))
  return { from, to: next < to ? next : to }
}

/** The intervals of a span, the first and the last clipped to it; null when they are more than `max`. */
export function intervals(granularity: Granularity, { from, to }: Span, max: number): Span[] | null {
  // Not built to be thrown away: whoever asks for centuries by minutes would keep everybody else waiting.
  if (granularity in FIXED && to.getTime() - from.getTime() > max * FIXED[granularity as keyof typeof FIXED])
    return null
  const all: Span[] = []
  for (let at = from; at < to; at = all.at(-1)!.to) {
    if (all.length === max) return null
    all.push(firstInterval(granularity, { from: at, to }))
  }
  return all
}
