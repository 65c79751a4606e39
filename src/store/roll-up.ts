/**
 * Brings the levels of measurements up to date: samples → 5 minutes → hour → day → month. Every interval that may hold
 * something new is made anew from the level below, so running it again changes nothing, and a late sample is put right.
 * Then what is over is packed, and what has served its time is thrown away.
 */
import { type RawBuilder, sql } from 'kysely'
import { COUNTERS } from '../model/metric.ts'
import { atomically, type Db } from './db.ts'
import { columnOf, LATE_MINUTES_MAX, SETTLE_SECONDS } from './stats.ts'

export interface Retention {
  sampleHours: number
  fiveMinuteDays: number
  hourDays: number
}

const LOCK = 0x6d657472 // "metr"
const COUNTER_COLUMNS = COUNTERS.map(columnOf)
const VALUES = [
  'measured_at',
  'ended',
  'samples',
  'cpu_percent',
  'cpu_percent_max',
  'memory_used_bytes',
  'disk_used_bytes',
  ...COUNTER_COLUMNS,
]
const list = (parts: readonly string[]): RawBuilder<unknown> => sql.raw(parts.join(', '))

/** False when another process is at it. */
export async function rollUp(db: Db): Promise<boolean> {
  return atomically(db, async (tx) => {
    const { rows } = await sql<{ isMine: boolean; now: Date; dirtyFrom: Date }>`
      SELECT pg_try_advisory_xact_lock(${LOCK}) AS "isMine", cloud_now() AS now, dirty_from AS "dirtyFrom"
      FROM metric_mark`.execute(tx)
    const { isMine, now } = rows[0]!
    if (!isMine) return false
    // What is recorded from here on and older than the mark lowers it again, after this commit.
    const mark = await sql<{ from: Date }>`
      UPDATE metric_mark SET dirty_from = ${now}::timestamptz - ${SETTLE_SECONDS} * interval '1 second'
      FROM (SELECT dirty_from AS before FROM metric_mark FOR UPDATE) old
      RETURNING date_bin('5 minutes', before, '2000-01-01Z') AS "from"`.execute(tx)
    const { from } = mark.rows[0]!
    await sql`
      INSERT INTO metric_5min AS old (number, at, ${list(VALUES)})
      SELECT number, date_bin('5 minutes', measured_at, '2000-01-01Z'), max(measured_at), ${wasEnded},
        count(*) FILTER (WHERE NOT ended), round(avg(cpu_percent)::numeric, 2), max(cpu_percent),
        avg(memory_used_bytes)::bigint, avg(disk_used_bytes)::bigint, ${maxima}
      FROM metric_sample WHERE measured_at >= ${from}::timestamptz GROUP BY 1, 2
      ${putRight}`.execute(tx)
    await fold(tx, 'metric_5min', 'hour', from)
    await fold(tx, 'metric_hour', 'day', from)
    await fold(tx, 'metric_day', 'month', from)
    return true
  })
}

/** A level from the one below it. Totals only grow, so the last of an interval is the greatest. */
async function fold(tx: Db, source: string, level: 'hour' | 'day' | 'month', from: Date): Promise<void> {
  await sql`
    INSERT INTO ${sql.table(`metric_${level}`)} AS old (number, at, ${list(VALUES)})
    SELECT number, date_trunc(${level}, at, 'UTC'), max(measured_at), ${wasEnded}, sum(samples),
      ${weighted('cpu_percent')}, max(cpu_percent_max), ${weighted('memory_used_bytes')}::bigint,
      ${weighted('disk_used_bytes')}::bigint, ${maxima}
    FROM ${sql.table(source)} WHERE at >= date_trunc(${level}, ${from}::timestamptz, 'UTC') GROUP BY 1, 2
    ${putRight}`.execute(tx)
}

const maxima = list(COUNTER_COLUMNS.map((name) => `max(${name})`))
const wasEnded = sql`coalesce(max(measured_at) FILTER (WHERE ended) = max(measured_at), false)`
const weighted = (name: string) =>
  sql.raw(`round(sum(${name}::numeric * samples) / nullif(sum(samples) FILTER (WHERE ${name} IS NOT NULL), 0), 2)`)
const putRight = sql`
  ON CONFLICT (number, at) DO UPDATE SET ${list(VALUES.map((name) => `${name} = excluded.${name}`))}
  WHERE (${list(VALUES.map((name) => `old.${name}`))}) IS DISTINCT FROM (${list(VALUES.map((name) => `excluded.${name}`))})`

/** Which levels are packed, by which longer interval, once that is over and nothing late can come any more. */
const PAGES = [
  { table: 'metric_5min', slot: '5 minutes', page: 'day' },
  { table: 'metric_hour', slot: '1 hour', page: 'month' },
] as const
const PACK_AT_ONCE = 500

/** Packs all that is over. A few hundred instances a transaction: whatever interrupts it, the rest is found again. */
export async function pack(db: Db, signal: AbortSignal): Promise<void> {
  for (const level of PAGES) {
    for (let after: number | null = 0; after !== null && !signal.aborted; ) after = await packSome(db, level, after)
  }
}

/** The oldest page of the next instances; null after the last one, or when no page is over. */
async function packSome(db: Db, { table, slot, page }: (typeof PAGES)[number], after: number): Promise<number | null> {
  const [rows, length] = [sql.table(table), sql.lit(`1 ${page}`)]
  const columns = VALUES.filter((name) => name !== 'measured_at')
  const packed = await sql<{ last: number | null }>`
    WITH span AS MATERIALIZED (
      SELECT oldest.at, oldest.at + ${length}::interval AS next
      FROM (SELECT date_trunc(${page}, min(at), 'UTC') AS at FROM ${rows}) oldest, metric_mark
      WHERE oldest.at + ${length}::interval + ${LATE_MINUTES_MAX * 2} * interval '1 minute'
        < least(dirty_from, cloud_now())
    ),
    few AS MATERIALIZED (
      SELECT number FROM instance WHERE number > ${after} AND EXISTS (SELECT FROM span)
      ORDER BY number LIMIT ${PACK_AT_ONCE}
    ),
    gone AS (
      DELETE FROM ${rows} live USING span, few
      WHERE live.number = few.number AND live.at >= span.at AND live.at < span.next
      RETURNING live.*, span.at AS page_at
    ),
    packed AS (
      INSERT INTO ${sql.table(`${table}_page`)} (number, at, slot, after_ms, ${list(columns)})
      SELECT number, page_at,
        array_agg(extract(epoch FROM at - page_at) / extract(epoch FROM ${sql.lit(slot)}::interval) ORDER BY at),
        array_agg(extract(epoch FROM measured_at - at) * 1000 ORDER BY at),
        ${list(columns.map((name) => `array_agg(${name} ORDER BY at)`))}
      FROM gone GROUP BY number, page_at ON CONFLICT DO NOTHING
    )
    SELECT max(number) AS last FROM few`.execute(db)
  return packed.rows[0]!.last
}

/** Whole partitions of samples, old pages. Days and months stay: they are what an invoice is recomputed from. */
export async function prune(db: Db, { sampleHours, fiveMinuteDays, hourDays }: Retention): Promise<void> {
  await sql`DELETE FROM metric_5min_page WHERE at < cloud_now() - ${fiveMinuteDays + 1} * interval '1 day'`.execute(db)
  await sql`DELETE FROM metric_hour_page WHERE at < cloud_now() - ${hourDays + 31} * interval '1 day'`.execute(db)
  const { rows } = await sql<{ name: string }>`
    SELECT relname AS name FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid, metric_mark
    WHERE inhparent = 'metric_sample'::regclass
      AND to_timestamp(right(relname, 10) || '+00', 'YYYYMMDDHH24TZH') + interval '1 hour'
        < least(dirty_from, cloud_now() - ${Math.max(sampleHours, LATE_MINUTES_MAX / 60)} * interval '1 hour')`.execute(
    db,
  )
  for (const { name } of rows) {
    await atomically(db, async (tx) => {
      // Whoever reads the samples now is not made to wait behind us: the next round will do.
      await sql`SET LOCAL lock_timeout = '1s'`.execute(tx)
      await sql`DROP TABLE IF EXISTS ${sql.table(name)}`.execute(tx)
    })
  }
}
