/** The latest measurement of an instance; how it came to be over time is told by `metrics.ts`. */
import type { InstanceState } from '../model/instance.ts'
import * as stats from '../store/stats.ts'
import type { Ctx } from './ctx.ts'
import * as instances from './instances.ts'

export interface Stats {
  state: InstanceState
  uptimeSeconds: number | null
  measuredAt: Date | null
  cpuPercent: number | null
  memoryUsedBytes: number | null
  memoryTotalBytes: number | null
  diskUsedBytes: number | null
  diskTotalBytes: number | null
  networkInBytes: number | null
  networkOutBytes: number | null
  diskReadBytes: number | null
  diskWriteBytes: number | null
  diskReadOps: number | null
  diskWriteOps: number | null
}

/** A measurement older than this says nothing about now. */
const STALE_MS = 60_000

/** What was measured; null what nothing measures. Traffic counts since creation and stays readable while it is off. */
export async function get(ctx: Ctx, ref: instances.Ref): Promise<Stats> {
  return of(ctx, await instances.get(ctx, ref))
}

/** The same of an instance that was just read. */
export async function of(ctx: Pick<Ctx, 'db'>, instance: instances.Instance): Promise<Stats> {
  const row = (await stats.find(ctx.db, instance.id)) ?? null
  const time = instance.readAt
  const isRunning = instance.state === 'running'
  const isFresh =
    isRunning &&
    row !== null &&
    time.getTime() - row.measuredAt.getTime() < STALE_MS &&
    (instance.startedAt === null || row.measuredAt >= instance.startedAt)
  return {
    state: instance.state,
    uptimeSeconds:
      isRunning && instance.startedAt
        ? Math.max(0, Math.floor((time.getTime() - instance.startedAt.getTime()) / 1_000))
        : null,
    measuredAt: row?.measuredAt ?? null,
    cpuPercent: isFresh ? row.cpuPercent : null,
    memoryUsedBytes: isFresh ? row.memoryUsedBytes : null,
    memoryTotalBytes: isFresh ? row.memoryTotalBytes : null,
    diskUsedBytes: isFresh ? row.diskUsedBytes : null,
    diskTotalBytes: isFresh ? row.diskTotalBytes : null,
    networkInBytes: row?.networkInBytes ?? null,
    networkOutBytes: row?.networkOutBytes ?? null,
    diskReadBytes: row?.diskReadBytes ?? null,
    diskWriteBytes: row?.diskWriteBytes ?? null,
    diskReadOps: row?.diskReadOps ?? null,
    diskWriteOps: row?.diskWriteOps ?? null,
  }
}
