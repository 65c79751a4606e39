/**
 * Snapshots: moments of the disk inside its own qcow2 file, named by their tag, with the memory or without. Where no
 * process is, qemu-img works on the file (stopped.ts); where one is, it does so itself (live.ts).
 * Everything reads first what is there, so that what was cut off anywhere converges. An export of the disk ends with
 * each of these verbs: QEMU keeps snapshots only at the root of its block graph, and a stopped disk has one user.
 */
import { join } from 'node:path'
import { CloudError, notFound } from '../../../../model/errors.ts'
import type { InstanceId } from '../../../../model/ids.ts'
import type { InstanceSpec, SnapshotFacts } from '../../compute.ts'
import { SOCKETS } from '../args.ts'
import { filesFor, hostOf, isThere, type QemuContext } from '../context.ts'
import { newestGeneration } from '../disk.ts'
import { dropMarks, endExports } from '../exports/exports.ts'
import { setGuestClock } from '../guest/clock.ts'
import type { ProcessIdentity } from '../host/process.ts'
import { answering, livingProcess, note } from '../machine.ts'
import type { Qmp } from '../qmp.ts'
import { type InstanceRecord, readRecord } from '../record.ts'
import { start } from '../start.ts'
import { endProcess } from '../stop.ts'
import {
  deleteLive,
  finishJobs,
  launchFactsOf,
  listLive,
  loadMachine,
  misfit,
  refused,
  saveDisk,
  saveMachine,
} from './live.ts'
import {
  allocatedBytes,
  type LaunchFacts,
  type NotesPlace,
  noteDeleted,
  noteTaken,
  noteTaking,
  readNotes,
} from './notes.ts'
import {
  applyStopped,
  deleteStopped,
  listStopped,
  type StoppedDisk,
  type StoredSnapshot,
  takeStopped,
} from './stopped.ts'

/** Run states in which the vCPUs run, or only wait to be told to. */
const LOADABLE = ['running', 'paused', 'prelaunch', 'restore-vm', 'save-vm']

export async function ensureSnapshot(
  context: QemuContext,
  spec: InstanceSpec,
  tag: string,
  { withMemory }: { withMemory: boolean },
  signal: AbortSignal,
): Promise<SnapshotFacts> {
  const at = await look(context, spec)
  await endExports(context, spec.id)
  if (at.process) {
    return answering(context, spec.id, (qmp) => takeFrom(at, qmp, tag, withMemory, signal)).catch(refused)
  }
  const before = await listStopped(at.disk)
  if (!find(before, tag)) {
    if (withMemory) throw new CloudError('conflict', 'the instance does not run, so there is no memory to keep')
    await noteTaking(at, tagsOf(before), tag, null)
    await takeStopped(at.disk, tag, signal)
  }
  return factsOf(at, await listStopped(at.disk), tag)
}

async function takeFrom(
  at: Place,
  qmp: Qmp,
  tag: string,
  withMemory: boolean,
  signal: AbortSignal,
): Promise<SnapshotFacts> {
  await finishJobs(qmp, signal)
  const before = await listLive(qmp)
  if (!find(before, tag)) {
    const { status } = await qmp.execute<{ status: string }>('query-status')
    if (withMemory && status !== 'running') {
      throw new CloudError('conflict', `the guest does not run (${status}), so there is no memory to keep`)
    }
    await noteTaking(at, tagsOf(before), tag, withMemory ? await launchFactsOf(qmp, at.record) : null)
    if (withMemory) await saveMachine(qmp, tag, signal)
    else await saveDisk(qmp, tag)
  }
  return factsOf(at, await listLive(qmp), tag)
}

export async function rollbackToSnapshot(
  context: QemuContext,
  spec: InstanceSpec,
  tag: string,
  { withMemory }: { withMemory: boolean },
  signal: AbortSignal,
): Promise<void> {
  const at = await look(context, spec)
  if (withMemory) return resume(context, spec, at, tag, signal)
  const found = find(await listAt(context, at), tag)
  if (!found) throw notFound('snapshot', tag)
  if (at.process) throw new CloudError('conflict', 'the instance runs: stop it before its disk goes back')
  await letGo(context, spec.id)
  await applyStopped(at.disk, tag, signal)
}

/** The guest runs on from the snapshot: in its own process if that fits, otherwise in a new one that is made to. */
async function resume(
  context: QemuContext,
  spec: InstanceSpec,
  at: Place,
  tag: string,
  signal: AbortSignal,
): Promise<void> {
  const { record } = at
  const found = find(await listAt(context, at), tag)
  if (!found) throw notFound('snapshot', tag)
  const saved = (await readNotes(at)).snapshots[tag]?.launch
  if (found['vm-state-size'] === 0 || !saved) {
    throw new CloudError('conflict', 'this snapshot holds the disk alone, or nothing is known of the machine it fits')
  }
  const fitsProcess = at.process && (await answering(context, spec.id, (qmp) => canLoad(qmp, saved, record)))
  if (!fitsProcess) refuseMisfit(saved, { ...startFacts(context, spec), machine: saved.machine })
  await letGo(context, spec.id)
  if (fitsProcess) {
    await answering(context, spec.id, (qmp) => goBack(context, at, qmp, tag, signal)).catch(refused)
  } else {
    if (at.process) await endProcess(context, record)
    const idle = await note(context, record, { process: null, startedAt: null })
    await start(context, spec, idle, signal, { tag, machine: saved.machine })
  }
  await setGuestClock(join(filesFor(context, spec.id).run, SOCKETS.agent), signal)
}

async function canLoad(qmp: Qmp, saved: LaunchFacts, record: InstanceRecord): Promise<boolean> {
  const { status } = await qmp.execute<{ status: string }>('query-status')
  return LOADABLE.includes(status) && misfit(saved, await launchFactsOf(qmp, record)) === null
}

const startFacts = (context: QemuContext, { vcpus, memoryMib }: InstanceSpec): Omit<LaunchFacts, 'machine'> => {
  const { accel, network } = hostOf(context)
  return { accel: accel.kind, vcpus, memoryMib, net: network.mode === 'routed' ? 'tap' : 'user' }
}

function refuseMisfit(saved: LaunchFacts, now: LaunchFacts): void {
  const why = misfit(saved, now)
  if (why) throw new CloudError('conflict', `the memory does not fit the machine any more: ${why}; its disk still can`)
}

/** A machine that took up only a part of it must never run on: it is ended, and starts anew from its disk. */
async function goBack(context: QemuContext, at: Place, qmp: Qmp, tag: string, signal: AbortSignal): Promise<void> {
  await finishJobs(qmp, signal)
  try {
    await loadMachine(qmp, tag, signal)
  } catch (error) {
    if (signal.aborted) throw error
    await endProcess(context, at.record)
    await note(context, at.record, { process: null, startedAt: null })
    const message = `the memory could not be brought back (${(error as Error).message}); the machine starts anew`
    throw new CloudError('conflict', message, { cause: error })
  }
  await qmp.execute('cont')
}

export async function ensureSnapshotAbsent(
  context: QemuContext,
  spec: InstanceSpec,
  tag: string,
  signal: AbortSignal,
): Promise<void> {
  if (!(await isThere(filesFor(context, spec.id).disk(spec.generation)))) return
  const at = await look(context, spec)
  const before = await listAt(context, at)
  if (!find(before, tag)) return
  await endExports(context, spec.id)
  const bytes = await allocatedBytes(at.disk.file)
  if (at.process) {
    const act = async (qmp: Qmp) => {
      await finishJobs(qmp, signal)
      await deleteLive(qmp, tag, signal)
    }
    await answering(context, spec.id, act).catch(refused)
  } else {
    await deleteStopped(at.disk, tag, signal)
  }
  const left = tagsOf(before).filter((name) => name !== tag)
  await noteDeleted(at, left, bytes - (await allocatedBytes(at.disk.file)))
}

/** Of the newest disk there is. */
export async function listSnapshots(context: QemuContext, id: InstanceId): Promise<SnapshotFacts[]> {
  const files = filesFor(context, id)
  const record = await readRecord(files)
  const generation = await newestGeneration(files.folder)
  if (!record || generation === null) return []
  const at = await look(context, { id, generation }, record)
  const notes = await readNotes(at)
  return (await listAt(context, at)).map((stored) => present(stored, notes.snapshots[stored.name]?.grownBytes ?? null))
}

/** A disk, and who has it open. */
interface Place extends NotesPlace {
  record: InstanceRecord
  process: ProcessIdentity | null
  disk: StoppedDisk
}

async function look(
  context: QemuContext,
  { id, generation }: Pick<InstanceSpec, 'id' | 'generation'>,
  known?: InstanceRecord,
): Promise<Place> {
  const files = filesFor(context, id)
  const file = files.disk(generation)
  const record = known ?? (await readRecord(files))
  if (!record || !(await isThere(file))) {
    throw new CloudError('conflict', `the instance has no disk of generation ${generation}`)
  }
  const process = await livingProcess(context, record)
  if (process && record.generation !== generation) {
    throw new CloudError('unavailable', `the instance runs on a disk of generation ${record.generation}`)
  }
  return { folder: files.folder, generation, record, process, disk: { file, owner: await context.findOwner() } }
}

const listAt = (context: QemuContext, { process, disk, record }: Place): Promise<StoredSnapshot[]> =>
  process ? answering(context, record.id, listLive) : listStopped(disk)

const find = (snapshots: readonly StoredSnapshot[], tag: string) => snapshots.find(({ name }) => name === tag)
const tagsOf = (snapshots: readonly StoredSnapshot[]) => snapshots.map(({ name }) => name)

/** The disk is nobody's, and no mark on it claims to know what changed. */
async function letGo(context: QemuContext, id: InstanceId): Promise<void> {
  await endExports(context, id)
  await dropMarks(context, id)
}

async function factsOf(at: Place, snapshots: readonly StoredSnapshot[], tag: string): Promise<SnapshotFacts> {
  const stored = find(snapshots, tag)
  if (!stored) throw new CloudError('unavailable', 'the snapshot was taken and is not in the disk')
  return present(stored, await noteTaken(at, tagsOf(snapshots), tag, await allocatedBytes(at.disk.file)))
}

const present = (stored: StoredSnapshot, grownBytes: number | null): SnapshotFacts => ({
  tag: stored.name,
  hasMemory: stored['vm-state-size'] > 0,
  memoryBytes: stored['vm-state-size'],
  grownBytes,
})
