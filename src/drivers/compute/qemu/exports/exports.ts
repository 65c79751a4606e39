/**
 * Moments of disks, readable while life goes on: who serves them (live.ts, stopped.ts), and when they
 * end. An instance has one export at a time, and it ends with the process that serves it, with whatever wants the disk
 * for itself, and when another one is opened. What a killed control plane left half done has a note without an ending:
 * it is taken down and made anew, at another moment.
 */
import { connectNbd, NbdError } from '../../../../lib/nbd.ts'
import { isAlive } from '../../../../lib/process-identity.ts'
import { CloudError } from '../../../../model/errors.ts'
import type { InstanceId } from '../../../../model/ids.ts'
import type { DiskExport, InstanceSpec } from '../../compute.ts'
import { filesFor, type QemuContext } from '../context.ts'
import type { ProcessIdentity } from '../host/process.ts'
import { answering, livingProcess } from '../machine.ts'
import { readRecord } from '../record.ts'
import { isFreezeNoted, thawLeftover } from './freeze.ts'
import { closeLive, isLiveOpen, openLive } from './live.ts'
import { disksIn, removeLiveMarks, removeStoredMarks, type Which } from './marks.ts'
import {
  checkName,
  type ExportNote,
  exportFilesOf,
  presentExport,
  readExportNote,
  removeExportFiles,
  writeExportNote,
} from './notes.ts'
import { closeStopped, openStopped } from './stopped.ts'

export async function openExport(
  context: QemuContext,
  spec: InstanceSpec,
  name: string,
  { changedSince }: { changedSince: string | null },
  signal: AbortSignal,
): Promise<DiskExport> {
  checkName(name)
  const { id, generation } = spec
  const files = filesFor(context, id)
  const record = await readRecord(files)
  if (!record) throw new CloudError('conflict', 'the instance has no disk')
  const process = await livingProcess(context, record)
  const known = await readExportNote(files)
  if (known?.opened && known.name === name && (await isOpen(context, id, known))) {
    return presentExport(files, name, known.opened)
  }
  await endExports(context, id)
  if (process && record.generation !== generation) {
    throw new CloudError('unavailable', `the instance runs on a disk of generation ${record.generation}`)
  }
  signal.throwIfAborted()
  const note: ExportNote = { name, kind: process ? 'live' : 'stopped', generation, opened: null }
  await writeExportNote(files, note)
  try {
    const input = { spec, id, generation, name, changedSince, signal }
    const opened = process
      ? await answering(context, id, (qmp) => openLive(context, qmp, { ...input, process }))
      : await openStopped(context, { ...input, hasCrashed: record.wanted === 'running' })
    await writeExportNote(files, { ...note, opened })
    return presentExport(files, name, opened)
  } catch (error) {
    await endExports(context, id).catch(() => {}) // the note stays, so the next call does it
    throw error
  }
}

/**
 * Still served by the same process, and readable: a moment that was given up, because its copy had no room left, is
 * there as before and fails every read.
 */
async function isOpen(context: QemuContext, id: InstanceId, { name, kind, opened }: ExportNote): Promise<boolean> {
  if (!opened || !isAlive(opened.server)) return false
  if (kind === 'live' && !(await answering(context, id, isLiveOpen))) return false
  const { socket } = exportFilesOf(filesFor(context, id))
  const client = await connectNbd({ socket, exportName: name, timeoutMs: PROBE_MS }).catch(onlyNbdErrors)
  if (!client) return false
  const isReadable = await client.read(0, Buffer.alloc(PROBE_BYTES)).then(() => true, onlyNbdErrors)
  await client.close()
  return isReadable ?? false
}

const PROBE_MS = 5_000
const PROBE_BYTES = 512

function onlyNbdErrors(error: unknown): null {
  if (error instanceof NbdError) return null
  throw error
}

export async function closeExport(
  context: QemuContext,
  id: InstanceId,
  name: string,
  { keep }: { keep: boolean },
): Promise<void> {
  checkName(name)
  const open = await readExportNote(filesFor(context, id))
  if (open?.name === name) await endExports(context, id)
  const other = open?.name === name ? null : open
  // It holds the disk's file; what is left to remove goes when it is closed itself.
  if (other?.kind === 'stopped') return
  // A backup that has begun meanwhile needs its own mark.
  const others: Which = (mark) => mark.name !== name && mark.name !== other?.name
  await removeMarks(context, id, keep ? others : (mark) => mark.name === name)
}

/** None of its marks knows of what happens to the disk next. */
export const dropMarks = (context: QemuContext, id: InstanceId): Promise<void> => removeMarks(context, id, () => true)

async function removeMarks(context: QemuContext, id: InstanceId, which: Which): Promise<void> {
  if (await findProcess(context, id)) return answering(context, id, (qmp) => removeLiveMarks(qmp, which))
  for (const disk of await disksIn(filesFor(context, id).folder)) await removeStoredMarks(disk, which)
}

/**
 * No export of it is open and nothing of one is left; marks stay. For whoever wants the disk: a start, a rollback, a
 * new disk. Fast, and without effect where there is none.
 */
export async function endExports(context: QemuContext, id: InstanceId): Promise<void> {
  const files = filesFor(context, id)
  const note = await readExportNote(files)
  if (!note && !(await isFreezeNoted(files))) return
  const process = await findProcess(context, id)
  if (!process) await thawLeftover(context, id, null)
  if (!note) return
  if (process) await answering(context, id, closeLive)
  await closeStopped(context, id)
  await removeExportFiles(files)
}

/** After a new start of the control plane: what is whole stays, a guest that stands still is thawed. */
export async function adoptExport(
  context: QemuContext,
  id: InstanceId,
  process: ProcessIdentity | null,
): Promise<void> {
  await thawLeftover(context, id, process)
  const note = await readExportNote(filesFor(context, id))
  if (note && !(await isOpen(context, id, note))) await endExports(context, id)
}

async function findProcess(context: QemuContext, id: InstanceId): Promise<ProcessIdentity | null> {
  const record = await readRecord(filesFor(context, id))
  return record && livingProcess(context, record)
}
