/**
 * The latest measurement of each instance. An interface's counters begin at zero with every power-on; the row's totals
 * only grow: what an interface counted is added, and a smaller number than last time means that it began anew.
 */
import { sql } from 'kysely'
import type { InstanceId } from '../model/ids.ts'
import type { Db } from './db.ts'

export interface Measured {
  instanceId: InstanceId
  measuredAt: Date
  cpuPercent: number | null
  memoryUsedBytes: number | null
  memoryTotalBytes: number | null
  diskUsedBytes: number | null
  diskTotalBytes: number | null
  networkInBytes: number | null
  networkOutBytes: number | null
}

export async function record(db: Db, sample: Measured): Promise<void> {
  const grown = (total: 'network_in_bytes' | 'network_out_bytes', raw: 'network_in_raw' | 'network_out_raw') =>
    sql`CASE WHEN excluded.${sql.ref(raw)} IS NULL THEN instance_stats.${sql.ref(total)}
      ELSE coalesce(instance_stats.${sql.ref(total)}, 0) + excluded.${sql.ref(raw)}
        - CASE WHEN excluded.${sql.ref(raw)} >= coalesce(instance_stats.${sql.ref(raw)}, 0)
               THEN coalesce(instance_stats.${sql.ref(raw)}, 0) ELSE 0 END END`
  await sql`
    INSERT INTO instance_stats (instance_id, measured_at, cpu_percent, memory_used_bytes, memory_total_bytes,
      disk_used_bytes, disk_total_bytes, network_in_bytes, network_out_bytes, network_in_raw, network_out_raw)
    SELECT id, ${sample.measuredAt}::timestamptz, ${sample.cpuPercent}::float8, ${sample.memoryUsedBytes}::bigint,
      ${sample.memoryTotalBytes}::bigint, ${sample.diskUsedBytes}::bigint, ${sample.diskTotalBytes}::bigint,
      ${sample.networkInBytes}::bigint, ${sample.networkOutBytes}::bigint,
      ${sample.networkInBytes}::bigint, ${sample.networkOutBytes}::bigint
    FROM instance WHERE id = ${sample.instanceId}
    ON CONFLICT (instance_id) DO UPDATE SET
      measured_at = excluded.measured_at, cpu_percent = excluded.cpu_percent,
      memory_used_bytes = excluded.memory_used_bytes, memory_total_bytes = excluded.memory_total_bytes,
      disk_used_bytes = excluded.disk_used_bytes, disk_total_bytes = excluded.disk_total_bytes,
      network_in_bytes = ${grown('network_in_bytes', 'network_in_raw')},
      network_out_bytes = ${grown('network_out_bytes', 'network_out_raw')},
      network_in_raw = coalesce(excluded.network_in_raw, instance_stats.network_in_raw),
      network_out_raw = coalesce(excluded.network_out_raw, instance_stats.network_out_raw)`.execute(db)
}

export const find = (db: Db, instanceId: InstanceId) =>
  db
    .selectFrom('instance_stats')
    .select([
      'measured_at as measuredAt',
      'cpu_percent as cpuPercent',
      'memory_used_bytes as memoryUsedBytes',
      'memory_total_bytes as memoryTotalBytes',
      'disk_used_bytes as diskUsedBytes',
      'disk_total_bytes as diskTotalBytes',
      'network_in_bytes as networkInBytes',
      'network_out_bytes as networkOutBytes',
    ])
    .where('instance_id', '=', instanceId)
    .executeTakeFirst()
