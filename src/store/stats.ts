/**
 * The latest measurement of each instance, and the samples of the last hours. The counters of a driver begin at zero
 * with every run; the totals kept here only grow: of the same run what it counted more than last time is added, of a new
 * run all of it. A sample that is not newer than the last changes nothing, so it may be recorded twice.
 */
import { type RawBuilder, sql } from 'kysely'
import { askAtOnceOf } from '../lib/at-once.ts'
import type { InstanceId } from '../model/ids.ts'
import { COUNTERS, type Counter, type Gauge } from '../model/metric.ts'
import type { Db } from './db.ts'

export interface Measured extends Record<Counter | Gauge, number | null> {
  instanceId: InstanceId
  /** By the host's clock. */
  measuredAt: Date
  /** Which run the counters count; null when the driver cannot tell: then only a counter that shrinks shows a new one. */
  run: string | null
  memoryTotalBytes: number | null
  diskTotalBytes: number | null
}

/** A sample may come so late and still find its place; what comes later only counts into the totals. */
export const LATE_MINUTES_MAX = 60
/** What is older than this when it is written makes the roll-up look back; a younger one it has not passed yet. */
const LATE_SECONDS = 30
/** The roll-up stays so far behind: a writer may take the difference from measuring to its commit. */
export const SETTLE_SECONDS = 60

export const columnOf = (metric: string): string => metric.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
const COUNTER_COLUMNS = COUNTERS.map(columnOf)
const list = (parts: readonly string[]): RawBuilder<unknown> => sql.raw(parts.join(', '))

const IN_ROW = [
  'cpu_percent',
  'memory_used_bytes',
  'memory_total_bytes',
  'disk_used_bytes',
  'disk_total_bytes',
] as const
const IN_SAMPLE = ['cpu_percent', 'memory_used_bytes', 'disk_used_bytes', ...COUNTER_COLUMNS]

/** The values of one run so far, added to what the row has. */
const grown = (counter: string): string => {
  const [raw, before] = [`excluded.${counter}_raw`, baseOf(counter)]
  return `${counter} = CASE WHEN ${raw} IS NULL THEN was.${counter} ELSE coalesce(was.${counter}, 0) + CASE
      WHEN ${raw} >= ${before} THEN ${raw} - ${before} WHEN excluded.run IS NULL THEN ${raw} ELSE 0 END END`
}
/** Of the same run a smaller number was read earlier, by somebody slower; without a run it is a new beginning. */
const remembered = (counter: string): string => {
  const raw = `excluded.${counter}_raw`
  return `${counter}_raw = CASE WHEN ${raw} IS NULL THEN ${baseOf(counter)}
      WHEN excluded.run IS NULL THEN ${raw} ELSE greatest(${raw}, ${baseOf(counter)}) END`
}
const baseOf = (counter: string) =>
  `CASE WHEN excluded.run IS NOT DISTINCT FROM was.run THEN coalesce(was.${counter}_raw, 0) ELSE 0 END`

/** Each instance at most once. Of instances that are not there nothing is kept. */
export async function record(db: Db, samples: readonly Measured[]): Promise<void> {
  if (samples.length === 0) return
  await ensurePartitions(db)
  const given = samples.map((sample) => ({ ...sample, measuredAt: sample.measuredAt.toISOString() }))
  const types = ['"instanceId" text', '"measuredAt" timestamptz', 'run text', '"cpuPercent" float8']
  const bytes = ['memoryUsedBytes', 'memoryTotalBytes', 'diskUsedBytes', 'diskTotalBytes', ...COUNTERS]
  await sql`
    WITH clock AS MATERIALIZED (SELECT cloud_now() AS now, time_offset FROM clock),
    given AS (
      SELECT id, least(given."measuredAt" + time_offset, now) AS measured_at, given.*
      FROM jsonb_to_recordset(${JSON.stringify(given)}::jsonb) AS given(${list([...types, ...bytes.map((name) => `"${name}" bigint`)])})
      JOIN instance ON id = "instanceId", clock
    ),
    fresh AS (
      INSERT INTO instance_stats AS was (instance_id, measured_at, run, ${list([...IN_ROW, ...COUNTER_COLUMNS, ...COUNTER_COLUMNS.map((name) => `${name}_raw`)])})
      SELECT id, measured_at, run, "cpuPercent", "memoryUsedBytes", "memoryTotalBytes", "diskUsedBytes",
        "diskTotalBytes", ${list([...COUNTERS, ...COUNTERS].map((name) => `"${name}"`))}
      FROM given ORDER BY id
      ON CONFLICT (instance_id) DO UPDATE SET measured_at = excluded.measured_at, run = excluded.run, ended = false,
        ${list(IN_ROW.map((name) => `${name} = excluded.${name}`))},
        ${list(COUNTER_COLUMNS.map(grown))},
        ${list(COUNTER_COLUMNS.map(remembered))}
      -- A clock that was set back must not silence an instance until its time has come again.
      WHERE excluded.measured_at > was.measured_at OR was.measured_at > cloud_now()
      RETURNING *
    ),
    kept AS (
      INSERT INTO metric_sample (number, measured_at, ${list(IN_SAMPLE)})
      SELECT number, measured_at, ${list(IN_SAMPLE.map((name) => `fresh.${name}`))}
      FROM fresh JOIN instance ON instance.id = fresh.instance_id, clock
      WHERE measured_at > now - ${LATE_MINUTES_MAX} * interval '1 minute'
      ON CONFLICT DO NOTHING RETURNING measured_at
    )
    UPDATE metric_mark SET dirty_from = least(dirty_from, late.measured_at)
    FROM (SELECT min(measured_at) AS measured_at FROM kept) late, clock
    WHERE late.measured_at < now - ${LATE_SECONDS} * interval '1 second'
  `.execute(db)
}

/**
 * Writes down the end of runs that are over: from there to the next sample an instance is known to have moved nothing.
 * The totals are those of its last sample.
 */
export async function endRuns(db: Db): Promise<void> {
  await ensurePartitions(db)
  await sql`
    WITH ended AS (
      UPDATE instance_stats stats SET ended = true FROM instance
      WHERE instance.id = stats.instance_id AND NOT stats.ended AND instance.state IN ('stopped', 'failed', 'deleted')
      RETURNING instance.number, greatest(instance.state_changed_at, stats.measured_at + interval '1 ms',
        cloud_now() - ${LATE_MINUTES_MAX} * interval '1 minute') AS at,
        ${list(COUNTER_COLUMNS.map((name) => `stats.${name}`))}
    ),
    kept AS (
      INSERT INTO metric_sample (number, measured_at, ended, ${list(COUNTER_COLUMNS)})
      SELECT number, at, true, ${list(COUNTER_COLUMNS)} FROM ended ON CONFLICT DO NOTHING RETURNING measured_at
    )
    UPDATE metric_mark SET dirty_from = least(dirty_from, late.measured_at)
    FROM (SELECT min(measured_at) AS measured_at FROM kept) late
    WHERE late.measured_at < cloud_now() - ${LATE_SECONDS} * interval '1 second'
  `.execute(db)
}

/** Apart from the samples' own transaction, which should hold no lock on the table that longer than need be. */
const ensurePartitions = (db: Db) =>
  sql`SELECT ensure_metric_partitions(now - ${LATE_MINUTES_MAX} * interval '1 minute', now + interval '10 minutes')
    FROM cloud_now() AS now`.execute(db)

const COLUMNS = [
  'measured_at as measuredAt',
  'cpu_percent as cpuPercent',
  'memory_used_bytes as memoryUsedBytes',
  'memory_total_bytes as memoryTotalBytes',
  'disk_used_bytes as diskUsedBytes',
  'disk_total_bytes as diskTotalBytes',
  'network_in_bytes as networkInBytes',
  'network_out_bytes as networkOutBytes',
  'disk_read_bytes as diskReadBytes',
  'disk_write_bytes as diskWriteBytes',
  'disk_read_ops as diskReadOps',
  'disk_write_ops as diskWriteOps',
] as const

/** Undefined: never measured. Who asks in the same turn shares a question. */
export const find = (db: Db, instanceId: InstanceId) => latestOf(db)(instanceId)

const AT_ONCE_MAX = 100
const latestOf = askAtOnceOf(AT_ONCE_MAX, async (db: Db, ids: readonly InstanceId[]) => {
  const rows = await db
    .selectFrom('instance_stats')
    .select(['instance_id', ...COLUMNS])
    .where('instance_id', '=', sql<InstanceId>`ANY ((SELECT ${ids}::text[])::text[])`)
    .execute()
  const found = new Map(rows.map(({ instance_id, ...row }) => [instance_id, row]))
  return ids.map((id) => found.get(id))
})
