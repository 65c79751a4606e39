/** What an instance used, over time: for plots, for traffic bills, for what is left of a plan's traffic. */
import { CloudError } from '../model/errors.ts'
import { growth } from '../model/growth.ts'
import type { InstanceId } from '../model/ids.ts'
import {
  type Counter,
  firstInterval,
  type Gauge,
  type Granularity,
  intervals,
  isCounter,
  METRICS,
  type Metric,
  type Span,
  type Step,
  startOf,
} from '../model/metric.ts'
import type { Instance } from '../store/instances.ts'
import * as metrics from '../store/metrics.ts'
import type { Ctx } from './ctx.ts'
import * as instances from './instances.ts'
import * as statistics from './stats.ts'

/** A leap year of 5-minute intervals, and a day more. */
export const TRAFFIC_VALUES_MAX = 367 * 288
/** More than a screen can show. */
export const SERIES_VALUES_MAX = 12_000
const EARLIEST = Date.UTC(1970, 0)

export interface TrafficQuery {
  /** Inclusive; the beginning of this month when absent. */
  from?: Date
  /** Exclusive; now when absent. */
  to?: Date
  granularity: Granularity
}
export interface TrafficValue extends Span {
  /** Null when nobody looked then; see model/growth.ts. */
  bytes: number | null
}
/** From the instance's point of view; intervals in UTC, oldest first, those clipped that reach over the span's ends. */
export interface Traffic extends Span {
  instanceId: InstanceId
  granularity: Granularity
  in: TrafficValue[]
  out: TrafficValue[]
}

/**
 * The bytes an instance's own interface moved. Intervals that begin after now are left out. Sums are exact: cut a span
 * anywhere, and its parts add up to the whole. Throws `invalid` (query `from`, `to`, `granularity`) and `not_found`.
 */
export async function traffic(ctx: Ctx, ref: string, { granularity, ...asked }: TrafficQuery): Promise<Traffic> {
  const instance = await instances.get(ctx, ref)
  const { to = justAfter(instance.readAt), from = startOf('month', instance.readAt) } = asked
  return trafficOf(ctx, instance, granularity, { from, to })
}

async function trafficOf(ctx: Ctx, instance: Instance, granularity: Granularity, asked: Span): Promise<Traffic> {
  const spans = spansOf(instance, granularity, asked, TRAFFIC_VALUES_MAX)
  const level = granularity === 'year' || granularity === 'none' ? 'month' : granularity
  const grown = await growthIn(ctx, instance, ['networkInBytes', 'networkOutBytes'], level, spans)
  const valued = (bytes: (number | null)[]) => spans.map((span, index) => ({ ...span, bytes: bytes[index] ?? null }))
  const [incoming, out] = [valued(grown.networkInBytes), valued(grown.networkOutBytes)]
  return { instanceId: instance.id, ...asked, granularity, in: incoming, out }
}

/** So that a span up to now holds what was measured in this very moment. */
const justAfter = (time: Date): Date => new Date(time.getTime() + 1)

/** What counts against a plan's traffic: this calendar month in UTC, up to now. */
export async function monthTraffic(
  ctx: Ctx,
  ref: string,
): Promise<Span & { inBytes: number | null; outBytes: number | null }> {
  return monthTrafficOf(ctx, await instances.get(ctx, ref))
}

async function monthTrafficOf(ctx: Ctx, instance: Instance) {
  const to = instance.readAt
  const from = startOf('month', to)
  const moved = await trafficOf(ctx, instance, 'none', { from, to: justAfter(to) })
  return { from, to, inBytes: moved.in[0]?.bytes ?? null, outBytes: moved.out[0]?.bytes ?? null }
}

export interface Usage {
  stats: statistics.Stats
  /** Bytes of this month in both directions; null when nobody counted. */
  monthBytes: number | null
}

/** What an instance that was just read uses now, and moved this month; who never moved anything is not searched for it. */
export async function usageOf(ctx: Ctx, instance: Instance): Promise<Usage> {
  const stats = await statistics.of(ctx, instance)
  if (stats.networkInBytes === null && stats.networkOutBytes === null) return { stats, monthBytes: null }
  const { inBytes, outBytes } = await monthTrafficOf(ctx, instance)
  return { stats, monthBytes: inBytes === null && outBytes === null ? null : (inBytes ?? 0) + (outBytes ?? 0) }
}

export interface SeriesQuery extends Span {
  metric: Metric
  step: Step
}
export interface SeriesValue extends Span {
  /** A gauge's average; how much a counter grew. Null when nothing was measured. */
  value: number | null
  /** The highest sample, where it is kept: of the CPU, and of samples themselves. */
  max: number | null
}

/**
 * One curve. Every interval of the span has its value; with the step `10s` it is the samples that are left, each with the
 * time since the one before it. Throws `invalid` and `not_found`.
 */
export async function series(ctx: Ctx, ref: string, { metric, step, ...asked }: SeriesQuery): Promise<SeriesValue[]> {
  return seriesOf(ctx, await instances.get(ctx, ref), metric, step, asked)
}

export interface Curves extends Span {
  instanceId: InstanceId
  step: Step
  curves: { metric: Metric; values: SeriesValue[] }[]
}
const CURVES_MS = 3_600_000

/** One curve or all, of the last hour when no span is named. */
export async function curves(
  ctx: Ctx,
  ref: string,
  { metric, step, ...asked }: { metric?: Metric; step: Step; from?: Date; to?: Date },
): Promise<Curves> {
  const instance = await instances.get(ctx, ref)
  const { to = justAfter(instance.readAt) } = asked
  const { from = new Date(to.getTime() - CURVES_MS) } = asked
  const all: Curves['curves'] = []
  for (const one of metric === undefined ? METRICS : [metric]) {
    all.push({ metric: one, values: await seriesOf(ctx, instance, one, step, { from, to }) })
  }
  return { instanceId: instance.id, from, to, step, curves: all }
}

async function seriesOf(ctx: Ctx, instance: Instance, metric: Metric, step: Step, asked: Span): Promise<SeriesValue[]> {
  if (step === '10s') return samples(ctx, instance, metric, asked)
  const spans = spansOf(instance, step, asked, SERIES_VALUES_MAX)
  if (isCounter(metric)) {
    const grown = await growthIn(ctx, instance, [metric], step, spans)
    return spans.map((span, index) => ({ ...span, value: grown[metric][index] ?? null, max: null }))
  }
  const whole = wholeOf(spans)
  const points = whole
    ? await metrics.gaugePoints(ctx.db, { number: instance.number, gauge: metric, level: step, ...whole })
    : []
  const byStart = new Map(points.map((point) => [point.from.getTime(), point]))
  return spans.map((span) => {
    const point = byStart.get(startOf(step, span.from).getTime())
    return { ...span, value: point?.average ?? null, max: point?.max ?? null }
  })
}

const SAMPLE_MS = 10_000

async function samples(ctx: Ctx, instance: Instance, metric: Metric, asked: Span): Promise<SeriesValue[]> {
  const { number } = instance
  const [span] = spansOf(instance, 'none', asked, 1)
  if (!span) return []
  if (isCounter(metric)) {
    const points = await metrics.counterPoints(ctx.db, { number, counters: [metric], level: '10s', ...span })
    return points.flatMap((point, index) => {
      const before = points[index - 1]
      if (!before || point.measuredAt < span.from) return []
      const [value, from] = [point[metric] ?? null, before[metric] ?? 0]
      return [{ from: before.measuredAt, to: point.measuredAt, value: value === null ? null : value - from, max: null }]
    })
  }
  const points = await metrics.gaugePoints(ctx.db, { number, gauge: metric as Gauge, level: '10s', ...span })
  return points.map(({ from: to, average, max }, index) => {
    const before = points[index - 1]?.from ?? new Date(to.getTime() - SAMPLE_MS)
    return { from: before, to, value: average, max }
  })
}

async function growthIn<C extends Counter>(
  ctx: Ctx,
  { number, createdAt }: Instance,
  counters: readonly C[],
  level: Step,
  spans: readonly Span[],
): Promise<Record<C, (number | null)[]>> {
  const whole = wholeOf(spans)
  const points = whole ? await metrics.counterPoints(ctx.db, { number, counters, level, ...whole }) : []
  return Object.fromEntries(
    counters.map((counter) => [counter, growth(points, (point) => point[counter] ?? null, spans, { createdAt })]),
  ) as Record<C, (number | null)[]>
}

const wholeOf = (spans: readonly Span[]): Span | null =>
  spans.length === 0 ? null : { from: spans[0]!.from, to: spans.at(-1)!.to }

/** The intervals asked for that have begun; the one that holds now is as long as was asked for. */
function spansOf({ readAt }: Instance, granularity: Granularity, { from, to }: Span, max: number): Span[] {
  if (!(from.getTime() >= EARLIEST)) throw invalidQuery('from', 'from is not a time after 1970', from)
  if (!(to > from)) throw invalidQuery('to', 'to is not a time after from', to)
  if (from > readAt) return []
  const spans = intervals(granularity, { from, to: new Date(Math.min(to.getTime(), readAt.getTime() + 1)) }, max)
  if (!spans) {
    throw invalidQuery('granularity', `${granularity} makes more than ${max} values of this span`, granularity)
  }
  const newest = firstInterval(granularity, { from: spans.at(-1)!.from, to })
  return [...spans.slice(0, -1), newest]
}

const invalidQuery = (field: string, message: string, input: unknown): CloudError =>
  new CloudError('invalid', message, { issues: [{ where: 'query', path: [field], code: 'custom', message, input }] })
