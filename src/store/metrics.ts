/**
 * The measurements of one instance over time, read as points of its curves: each row of every level is a sample, with the
 * totals at its moment. What a counter counted between two moments is the difference of the last points before them.
 * Rows outlive their instance: a number is all that is needed to read them.
 */
import { type RawBuilder, sql } from 'kysely'
import type { Point } from '../model/growth.ts'
import type { Counter, Gauge, Span, Step } from '../model/metric.ts'
import type { Db } from './db.ts'
import { columnOf } from './stats.ts'

/** The totals of the counters that were asked for. */
export type CounterPoint = Point & Partial<Record<Counter, number | null>>

export interface GaugePoint {
  from: Date
  average: number | null
  max: number | null
}

type Level = Exclude<Step, '10s'>
const LEVELS: readonly Level[] = ['5min', 'hour', 'day', 'month']
const PAGES: Partial<Record<Level, { slot: string; slotMs: number; page: string }>> = {
  '5min': { slot: '5 minutes', slotMs: 300_000, page: 'day' },
  hour: { slot: '1 hour', slotMs: 3_600_000, page: 'month' },
}

const list = (parts: readonly string[]): RawBuilder<unknown> => sql.raw(parts.join(', '))
const unionAll = (parts: readonly RawBuilder<unknown>[]) => sql.join(parts, sql` UNION ALL `)

/**
 * The points of a level (and of coarser ones, for what is not kept finer) and those not rolled up yet, measured in the
 * span, oldest first; before them the last one at or before its beginning, at the end the last one before its end.
 */
export async function counterPoints(
  db: Db,
  { number, counters, level, ...span }: Span & { number: number; counters: readonly Counter[]; level: Step },
): Promise<CounterPoint[]> {
  const columns = counters.map(columnOf)
  const levels = level === '10s' ? [] : LEVELS.slice(LEVELS.indexOf(level))
  const parts = [
    ...levels.map((one) => inLevel(one, columns, number, span)),
    samplesIn(columns, number, span, { onlyNew: level !== '10s' }),
    lastBefore(columns, number, span.from),
    lastBefore(columns, number, span.to),
  ]
  const { rows } = await sql<CounterPoint>`
    SELECT DISTINCT ON (measured_at) measured_at AS "measuredAt", ended, ${list(
      counters.map((counter) => `${columnOf(counter)} AS "${counter}"`),
    )}
    FROM (${unionAll(parts)}) points
    ORDER BY measured_at, ended DESC`.execute(db)
  return rows
}

/** Rows of one level whose last sample lies in the span. */
function inLevel(level: Level, columns: readonly string[], number: number, { from, to }: Span): RawBuilder<unknown> {
  const values = list(['measured_at', 'ended', ...columns])
  const table = `metric_${level}`
  const live = sql`
    SELECT ${values} FROM ${sql.table(table)}
    WHERE number = ${number} AND at >= ${startOfLevel(level, from)} AND at < ${to}
      AND measured_at >= ${from} AND measured_at < ${to}`
  const packed = PAGES[level]
  if (!packed) return live
  const paged = sql`
    SELECT ${values} FROM ${unpacked(
      level,
      columns,
      sql`
      WHERE number = ${number} AND at >= date_trunc(${packed.page}, ${from}::timestamptz, 'UTC') AND at < ${to}`,
    )} rows
    WHERE measured_at >= ${from} AND measured_at < ${to}`
  return unionAll([live, paged])
}

const startOfLevel = (level: Level, at: Date) =>
  level === '5min'
    ? sql`date_bin('5 minutes', ${at}::timestamptz, '2000-01-01Z')`
    : sql`date_trunc(${level}, ${at}::timestamptz, 'UTC')`

/** Pages as the rows that were packed into them; `which` chooses pages. */
function unpacked(level: Level, columns: readonly string[], which: RawBuilder<unknown>): RawBuilder<unknown> {
  const { slot, slotMs } = PAGES[level]!
  const names = ['slot', 'after_ms', 'ended', 'samples', ...columns]
  return sql`(
    SELECT page.at + row.slot * ${sql.lit(slot)}::interval AS at,
      page.at + (row.slot * ${sql.lit(slotMs)}::bigint + row.after_ms) * interval '1 ms' AS measured_at,
      ${list(['ended', 'samples', ...columns].map((name) => `row.${name}`))}
    FROM (SELECT * FROM ${sql.table(`metric_${level}_page`)} ${which}) page,
      LATERAL unnest(${list(names.map((name) => `page.${name}`))}) AS row(${list(names)})
  )`
}

const samplesIn = (columns: readonly string[], number: number, { from, to }: Span, { onlyNew }: { onlyNew: boolean }) =>
  sql`SELECT ${list(['measured_at', 'ended', ...columns])} FROM metric_sample
    WHERE number = ${number} AND measured_at < ${to} AND measured_at >= ${
      onlyNew ? sql`greatest(${from}::timestamptz, (SELECT dirty_from FROM metric_mark))` : sql`${from}::timestamptz`
    }`

/** The last point of all levels before a moment. An interval's last sample may lie behind it, so two are looked at. */
function lastBefore(columns: readonly string[], number: number, at: Date): RawBuilder<unknown> {
  const values = list(['measured_at', 'ended', ...columns])
  const newest = (rows: RawBuilder<unknown>, order: string) =>
    sql`(SELECT ${values} FROM ${rows} rows WHERE measured_at < ${at} ORDER BY ${sql.ref(order)} DESC LIMIT 1)`
  const before = sql`WHERE number = ${number} AND at < ${at}`
  const parts = [
    newest(sql`(SELECT * FROM metric_sample WHERE number = ${number})`, 'measured_at'),
    ...LEVELS.map((level) => newest(sql`(SELECT * FROM ${sql.table(`metric_${level}`)} ${before})`, 'at')),
    ...LEVELS.filter((level) => PAGES[level]).map((level) =>
      newest(unpacked(level, columns, sql`${before} ORDER BY at DESC LIMIT 2`), 'measured_at'),
    ),
  ]
  return sql`(SELECT * FROM (${unionAll(parts)}) newest ORDER BY measured_at DESC LIMIT 1)`
}

/** A gauge by intervals of a level, oldest first; only those in which something was measured. */
export async function gaugePoints(
  db: Db,
  { number, gauge, level, from, to }: Span & { number: number; gauge: Gauge; level: Step },
): Promise<GaugePoint[]> {
  const value = columnOf(gauge)
  const max = gauge === 'cpuPercent' ? 'cpu_percent_max' : value
  if (level === '10s') {
    const { rows } = await sql<GaugePoint>`
      SELECT measured_at AS "from", ${asMeasured(value)} AS average, ${asMeasured(value)} AS max
      FROM metric_sample WHERE number = ${number} AND measured_at >= ${from} AND measured_at < ${to} AND NOT ended
      ORDER BY measured_at`.execute(db)
    return rows
  }
  const columns = [...new Set([value, max])]
  const start = startOfLevel(level, from)
  const live = sql`SELECT ${list(['at', ...columns])} FROM ${sql.table(`metric_${level}`)}
    WHERE number = ${number} AND at >= ${start} AND at < ${to} AND samples > 0`
  const packed = PAGES[level]
  const pages = packed
    ? [
        sql`SELECT ${list(['at', ...columns])} FROM ${unpacked(
          level,
          columns,
          sql`
          WHERE number = ${number} AND at >= date_trunc(${packed.page}, ${from}::timestamptz, 'UTC') AND at < ${to}`,
        )} rows
          WHERE at >= ${start} AND at < ${to} AND samples > 0`,
      ]
    : []
  const { rows } = await sql<GaugePoint>`
    SELECT at AS "from", ${asMeasured(value)} AS average, ${
      gauge === 'cpuPercent' ? asMeasured(max) : sql`NULL::float8`
    } AS max
    FROM (${unionAll([live, ...pages])}) points ORDER BY at`.execute(db)
  return rows
}

/** By way of a decimal: 25.6 that is kept in four bytes would come out as 25.600000381469727. */
const asMeasured = (column: string) => sql`${sql.ref(column)}::numeric::float8`
