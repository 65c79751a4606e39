/** The machines under the instances, and which of them has room. */
import { sql } from 'kysely'
import type { HostId } from '../model/ids.ts'
import type { Db } from './db.ts'

export interface HostRow {
  id: HostId
  name: string
  regionId: string
  driver: string
  isOnline: boolean
  /** What may be sold: null = unlimited. */
  vcpus: number | null
  memoryMib: number | null
  diskBytes: number | null
  diskFreeBytes: number | null
  diskHighWater: number
  bootSlots: number | null
  facts: Record<string, unknown>
  seenAt: Date
  /** By instances that are not deleted, and by machines that prove a backup. */
  usedVcpus: number
  usedMemoryMib: number
  instances: number
}

export interface HostReport {
  name: string
  id: HostId
  regionId: string
  driver: string
  vcpus: number | null
  memoryMib: number | null
  diskBytes: number | null
  diskFreeBytes: number | null
  diskHighWater: number
  bootSlots: number | null
  facts: Record<string, unknown>
}

/** A worker says what its host is and has. */
export async function report(db: Db, host: HostReport): Promise<void> {
  const values = {
    name: host.name,
    region_id: host.regionId,
    driver: host.driver,
    is_online: true,
    vcpus: host.vcpus,
    memory_mib: host.memoryMib,
    disk_bytes: host.diskBytes,
    disk_free_bytes: host.diskFreeBytes,
    disk_high_water: host.diskHighWater,
    boot_slots: host.bootSlots,
    facts: JSON.stringify(host.facts),
    seen_at: sql<Date>`cloud_now()`,
  }
  await db
    .insertInto('host')
    .values({ id: host.id, ...values })
    .onConflict((conflict) => conflict.column('id').doUpdateSet(values))
    .execute()
}

/** A worker reports every few seconds; one that is silent this long is taken to be gone. */
const SILENT_SECONDS = 30

export async function list(db: Db, only?: { regionId?: string; id?: HostId }): Promise<HostRow[]> {
  const { rows } = await sql<HostRow>`
    SELECT host.id, host.name, host.region_id AS "regionId", host.driver, host.vcpus, host.memory_mib AS "memoryMib",
      host.is_online AND host.seen_at > cloud_now() - ${SILENT_SECONDS} * interval '1 second' AS "isOnline",
      host.disk_bytes AS "diskBytes", host.disk_free_bytes AS "diskFreeBytes", host.disk_high_water AS "diskHighWater",
      host.boot_slots AS "bootSlots", host.facts, host.seen_at AS "seenAt",
      coalesce(used.vcpus, 0)::float8 AS "usedVcpus", coalesce(used.memory_mib, 0)::float8 AS "usedMemoryMib",
      coalesce(used.instances, 0)::float8 AS instances
    FROM host LEFT JOIN (
      SELECT host_id, sum(vcpus) AS vcpus, sum(memory_mib) AS memory_mib, sum(counts) AS instances
      FROM (
        SELECT host_id, vcpus, memory_mib, 1 AS counts FROM instance WHERE host_id IS NOT NULL AND state <> 'deleted'
        UNION ALL
        -- The machines that prove backups take their room like any other.
        SELECT receipt.host_id, (origin->>'vcpus')::int, (origin->>'memoryMib')::int, 0
        FROM receipt JOIN backup ON backup.id = backup_id
        WHERE receipt.state = 'running' AND receipt.host_id IS NOT NULL
      ) AS taken GROUP BY host_id
    ) AS used ON used.host_id = host.id
    WHERE (${only?.regionId ?? null}::text IS NULL OR host.region_id = ${only?.regionId ?? null})
      AND (${only?.id ?? null}::text IS NULL OR host.id = ${only?.id ?? null})
    ORDER BY host.name`.execute(db)
  return rows
}

/** Held while a place is given, so that two strands cannot both take the last room. */
export async function lockForPlacement(tx: Db, regionId: string): Promise<void> {
  await sql`SELECT 1 FROM host WHERE region_id = ${regionId} ORDER BY id FOR UPDATE`.execute(tx)
}

/** The lowest port from `from` on that no instance of that host has. The host's row must be locked. */
export async function freeSshPort(tx: Db, hostId: HostId, from: number): Promise<number> {
  const { rows } = await sql<{ port: number }>`
    SELECT port FROM generate_series(${from}::int, 65535) AS port
    WHERE NOT EXISTS (SELECT 1 FROM instance WHERE host_id = ${hostId} AND ssh_port = port) LIMIT 1`.execute(tx)
  return rows[0]!.port
}

/** How many guests of a host are between power-on and their first banner, not longer than `withinSeconds`. */
export async function countBooting(db: Db, hostId: HostId, withinSeconds: number): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    SELECT count(*)::float8 AS count FROM strand
    WHERE host_id = ${hostId} AND ((kind = 'instance' AND step = 'ready') OR (kind = 'receipt' AND step = 'watch'))
      AND step_entered_at > cloud_now() - ${withinSeconds} * interval '1 second'`.execute(db)
  return rows[0]!.count
}
