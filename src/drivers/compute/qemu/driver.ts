/**
 * Instances as QEMU processes on this host. Every verb reads what is there (the notes, the process, QMP), acts on the
 * difference, and can be interrupted anywhere: notes are written before the thing, names come from the instance's id,
 * and a process that nobody noted down is found by its uuid. One verb at a time per instance; instances do not wait for
 * each other.
 *
 * This file only puts the verbs together. Each has its own: open.ts, start.ts (with launch.ts), stop.ts, observe.ts …;
 * what they share is context.ts, and what they act on lies one file a thing beside them (process, disk, tap, seed …).
 */
import { join } from 'node:path'
import { createLocks } from '../../../lib/locks.ts'
import { CloudError } from '../../../model/errors.ts'
import type { InstanceId } from '../../../model/ids.ts'
import type { ComputeDriver, InstanceSpec } from '../compute.ts'
import { createContext, filesFor, isThere, mended, type QemuContext, type QemuOptions } from './context.ts'
import { ensureDisk } from './disk.ts'
import { closeExport, openExport } from './exports/exports.ts'
import { checkFilesystems } from './guest/filesystems.ts'
import { forgetSecrets } from './guest/first-boot.ts'
import { inspectGuest } from './guest/guest.ts'
import { waitForSsh } from './guest/wait-for-ssh.ts'
import { readLogTail } from './log.ts'
import { answering } from './machine.ts'
import { list, observe, stats } from './observe.ts'
import { adoptAll, boundLogs, prepareHost, removeHostParts } from './open.ts'
import { discardPreparedDisk, prepareDisk, replaceDisk } from './prepared.ts'
import { newRecord, readRecord, writeRecord } from './record.ts'
import { hostFacts, listResources } from './resources.ts'
import { screenshot } from './screen.ts'
import { ensureSnapshot, ensureSnapshotAbsent, listSnapshots, rollbackToSnapshot } from './snapshots/snapshots.ts'
import { ensureRunning } from './start.ts'
import { ensureAbsent, ensureStopped } from './stop.ts'

export type { QemuOptions }

const LOG_CHECK_MS = 10_000

export function createQemuDriver(options: QemuOptions): ComputeDriver {
  const context = createContext(options)
  const exclusively = createLocks()
  let logTimer: NodeJS.Timeout | null = null

  return {
    name: 'qemu',
    async open() {
      await prepareHost(context)
      await adoptAll(context, exclusively)
      await boundLogs(context)
      logTimer ??= setInterval(() => void boundLogs(context), LOG_CHECK_MS).unref()
    },
    async close() {
      if (logTimer) clearInterval(logTimer)
      logTimer = null
      context.monitors.close()
    },

    ensureDisk: (spec, signal) => exclusively(spec.id, () => makeDisk(context, spec, signal)),
    ensureRunning: (spec, signal) => exclusively(spec.id, () => ensureRunning(context, spec, signal).catch(mended)),
    requestShutdown: (id) => pressPowerButton(context, id),
    ensureStopped: (id) => exclusively(id, () => ensureStopped(context, id).catch(mended)),
    ensureAbsent: (id) => exclusively(id, () => ensureAbsent(context, id).catch(mended)),
    forgetSecrets: (spec) => exclusively(spec.id, () => forgetSecrets(context, spec)),
    waitForSsh: (spec, waitMs, signal) => waitForSsh(context, spec, waitMs, signal),

    ensureSnapshot: (spec, tag, options, signal) =>
      exclusively(spec.id, () => ensureSnapshot(context, spec, tag, options, signal).catch(mended)),
    rollbackToSnapshot: (spec, tag, options, signal) =>
      exclusively(spec.id, () => rollbackToSnapshot(context, spec, tag, options, signal).catch(mended)),
    ensureSnapshotAbsent: (spec, tag, signal) =>
      exclusively(spec.id, () => ensureSnapshotAbsent(context, spec, tag, signal).catch(mended)),
    listSnapshots: (id) => listSnapshots(context, id).catch(mended),
    openExport: (spec, name, options, signal) =>
      exclusively(spec.id, () => openExport(context, spec, name, options, signal).catch(mended)),
    closeExport: (id, name, options) => exclusively(id, () => closeExport(context, id, name, options).catch(mended)),
    prepareDisk: (spec) => exclusively(spec.id, () => prepareDisk(context, spec)),
    replaceDisk: (spec, signal) => exclusively(spec.id, () => replaceDisk(context, spec, signal).catch(mended)),
    discardPreparedDisk: (spec) => exclusively(spec.id, () => discardPreparedDisk(context, spec)),
    screenshot: (id) => screenshot(context, id),
    inspectGuest: (id) => inspectGuest(context, id),
    checkFilesystems: (spec, signal) =>
      exclusively(spec.id, () => checkFilesystems(context, spec, signal).catch(mended)),

    hostFacts: () => hostFacts(context),
    observe: (id) => observe(context, id),
    list: () => list(context),
    stats: (id) => stats(context, id),
    readLog: (id, maxBytes) => readLogTail(filesFor(context, id).serial, maxBytes),
    resources: () => listResources(context),
    onChange: (listener) => void context.listeners.add(listener),
    removeHostParts: () => removeHostParts(context),
  }
}

async function makeDisk(context: QemuContext, spec: InstanceSpec, signal: AbortSignal): Promise<void> {
  const files = filesFor(context, spec.id)
  if (await isThere(files.disk(spec.generation))) return // also one that came from a backup, and stands on no image
  if (!spec.imageDigest) throw new CloudError('invalid', 'the instance has no image to start from')
  if (!(await readRecord(files))) await writeRecord(files, newRecord(spec))
  await ensureDisk({
    file: files.disk(spec.generation),
    base: join(context.options.paths.images, `${spec.imageDigest}.qcow2`),
    sizeGib: spec.diskGib,
    owner: await context.findOwner(),
    signal,
  })
}

async function pressPowerButton(context: QemuContext, id: InstanceId): Promise<void> {
  if ((await observe(context, id)).power !== 'running') return
  await answering(context, id, (qmp) => qmp.execute('system_powerdown'))
}
