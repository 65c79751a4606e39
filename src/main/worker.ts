/**
 * The worker process: runs the strands and reconcilers of its hosts. It ends when its supervisor's channel closes, so
 * that no two workers ever share a host; QEMUs and tasks go on without it.
 */

import { hostname } from 'node:os'
import { runPolicies } from '../jobs/backup/run-policies.ts'
import { sweepBackups } from '../jobs/backup/sweep.ts'
import { DEFINITIONS } from '../jobs/definitions.ts'
import { createEngine, type Engine } from '../jobs/engine/engine.ts'
import { type ReconcilerRunner, runReconcilers } from '../jobs/engine/reconciler.ts'
import { sweepImages } from '../jobs/image/sweep.ts'
import { reconcileInstances } from '../jobs/instance/reconcile.ts'
import { keepMetrics, rollUpMetrics } from '../jobs/metrics/roll-up.ts'
import { sampleStats } from '../jobs/metrics/sample.ts'
import { auditBlobs } from '../jobs/objects/audit-blobs.ts'
import { closeHours } from '../jobs/objects/close-hours.ts'
import { expireObjects } from '../jobs/objects/expire-objects.ts'
import { scrubBlobs } from '../jobs/objects/scrub-blobs.ts'
import { sweepObjects } from '../jobs/objects/sweep-objects.ts'
import { prune } from '../jobs/prune.ts'
import { verifyBackups } from '../jobs/receipt/verify-backups.ts'
import { reportHosts } from '../jobs/report-hosts.ts'
import { measureRsync } from '../jobs/rsync/measure.ts'
import { serveRsync } from '../jobs/rsync/serve.ts'
import type { ObjectTools, ReconcilerTools, WorkerTools } from '../jobs/tools.ts'
import { describeError } from '../model/errors.ts'
import * as catalog from '../store/catalog.ts'
import { now } from '../store/db.ts'
import * as hosts from '../store/hosts.ts'
import { listen } from '../store/listen.ts'
import { STRAND_CHANNEL } from '../store/strands.ts'
import { localRegionId } from './catalog-file.ts'
import type { AppContext } from './context.ts'
import { ensureHostIds } from './host-ids.ts'
import { openRsync } from './rsync.ts'

export interface Worker {
  engine: Engine
  reconcilers: ReconcilerRunner
  stop(): Promise<void>
}

export type Log = (message: string, error?: unknown) => void

export interface WorkerOptions {
  log?: Log
  concurrency?: number
  /** How patient and how busy the sweepers of object storage are. */
  storage?: Partial<ObjectTools['storage']>
}

const STORAGE: Omit<ObjectTools['storage'], 'backupGraceMinutes'> = {
  releasedGraceSeconds: 60,
  orphanGraceSeconds: 3600,
  scrubBytes: 256 * 1024 * 1024,
}

export async function startWorker(
  context: AppContext,
  { log = logLine, concurrency = 32, storage = {} }: WorkerOptions = {},
): Promise<Worker> {
  const { config, db, compute, tasks, images, backups } = context
  await compute.open()
  const orphans = new Set<string>()
  let bootSlots: number | null = null
  let forwardsSsh = false

  const places = await hostPlaces(context)
  const ids = await ensureHostIds(
    config.home,
    places.map(({ name }) => name),
  )
  const hostIds = [...ids.values()]
  async function reportAll(): Promise<void> {
    const facts = await compute.hostFacts()
    bootSlots = facts.bootSlots
    forwardsSsh = facts.network === 'user'
    for (const { name, regionId } of places) {
      await hosts.report(db, {
        id: ids.get(name)!,
        name: config.compute === 'simulator' ? name : hostname(),
        regionId,
        driver: compute.name,
        vcpus: facts.cores === null ? null : Math.floor(facts.cores * config.cpuRatio),
        memoryMib: facts.memoryMib === null ? null : Math.floor(facts.memoryMib * config.memoryRatio),
        diskBytes: facts.diskBytes,
        diskFreeBytes: facts.diskFreeBytes,
        diskHighWater: config.diskHighWater,
        bootSlots,
        facts: { ...facts.facts, network: facts.network, orphans: [...orphans] },
      })
    }
  }
  await reportAll()

  const tools: WorkerTools = {
    compute,
    tasks,
    images,
    backups,
    hosts: hostIds,
    bootSlots: () => bootSlots,
    now,
    settings: {
      shutdownSeconds: config.shutdownSeconds,
      quarantineMinutes: config.quarantineMinutes,
      forwardsSsh,
    },
  }
  const engine = createEngine<WorkerTools>({
    db,
    // There is one worker a host, because the supervisor holds HAVN_HOME's lock: its name is its right to take over.
    worker: hostIds[0]!,
    hosts: hostIds,
    definitions: DEFINITIONS,
    tools,
    log,
    concurrency,
  })
  const reconcilerTools: ReconcilerTools & ObjectTools = {
    db,
    compute,
    objects: context.objects,
    storage: { ...STORAGE, backupGraceMinutes: config.backupGraceMinutes, ...storage },
    log,
    images,
    hosts: hostIds,
    orphans,
    slowSamples: new Map(),
    metrics: config.metrics,
    reportHosts: reportAll,
  }
  const rsync = config.rsync && openRsync(context.paths, context.settings.masterKey)
  await rsync?.open()
  const reconcilers = runReconcilers<ReconcilerTools & ObjectTools>(
    [
      reportHosts,
      reconcileInstances,
      sampleStats,
      rollUpMetrics,
      keepMetrics,
      sweepImages,
      prune,
      sweepObjects,
      auditBlobs,
      scrubBlobs,
      closeHours,
      runPolicies,
      sweepBackups,
      verifyBackups(config.verify),
      expireObjects(config.storage.lifecycleMinutes * 60_000),
      ...(rsync ? [serveRsync(rsync), measureRsync(rsync)] : []),
    ],
    reconcilerTools,
    log,
  )
  const listener = listen(
    context.databaseUrl,
    [STRAND_CHANNEL],
    (_channel, intent) => engine.nudge(intent !== ''),
    (isConnected) => isConnected && engine.nudge(true),
  )
  compute.onChange(() => reconcilers.nudge(reconcileInstances.name))
  await engine.start()
  reconcilers.start()
  return {
    engine,
    reconcilers,
    async stop() {
      await listener.close()
      await reconcilers.stop()
      await engine.stop()
      await compute.close()
    },
  }
}

/** A simulator stands in every region; a real machine stands in one. */
async function hostPlaces({ config, db }: AppContext): Promise<{ name: string; regionId: string }[]> {
  if (config.compute !== 'simulator') return [{ name: 'local', regionId: await localRegionId(config) }]
  return (await catalog.listRegions(db)).map(({ id }) => ({ name: `simulator-${id}`, regionId: id }))
}

export const logLine: Log = (message, error) =>
  console.error(error === undefined ? message : `${message}: ${describeError(error)}`)
