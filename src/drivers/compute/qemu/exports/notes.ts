/**
 * What this driver notes down of an export, and where its parts lie. An instance has at most one at a time, so every
 * part of it has a fixed name and is found without notes. The note is written before the first part is made and removed
 * after the last one is gone: no note, nothing there.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { readJson, writeFileAtomically } from '../../../../lib/files.ts'
import type { ProcessIdentity } from '../../../../lib/process-identity.ts'
import { CloudError } from '../../../../model/errors.ts'
import type { DiskExport } from '../../compute.ts'
import type { InstanceFiles } from '../record.ts'

export interface ExportNote {
  name: string
  /** `live`: served by the instance's own QEMU. `stopped`: by a qemu-nbd. */
  kind: 'live' | 'stopped'
  generation: number
  /** Null while it is being opened. */
  opened: OpenedExport | null
}

export interface OpenedExport {
  /** Who serves it; the export ends with it. */
  server: ProcessIdentity
  diskBytes: number
  /** ISO time. */
  pointAt: string
  consistency: DiskExport['consistency']
  consistencyReason: string | null
  frozenMs: number | null
  /** The name of the bitmap that tells the changes. */
  changes: string | null
  /** What lies beneath the disk has an export of its own. */
  hasBase: boolean
}

export interface ExportFiles {
  note: string
  /** What the guest overwrites goes here first, so that the moment stays readable. */
  copy: string
  socket: string
  /** What qemu-nbd says. */
  log: string
}

export const exportFilesOf = ({ folder, run }: InstanceFiles): ExportFiles => ({
  note: join(folder, 'export.json'),
  copy: join(folder, 'export.qcow2'),
  socket: join(run, 'nbd'),
  log: join(folder, 'export.log'),
})

/** Of what lies beneath the disk. */
export const baseExportOf = (name: string): string => `${name}-base`

export const readExportNote = (files: InstanceFiles): Promise<ExportNote | null> =>
  readJson<ExportNote>(exportFilesOf(files).note)

export const writeExportNote = (files: InstanceFiles, note: ExportNote): Promise<void> =>
  writeFileAtomically(exportFilesOf(files).note, JSON.stringify(note))

export async function removeExportFiles(files: InstanceFiles): Promise<void> {
  const { note, copy, socket, log } = exportFilesOf(files)
  for (const file of [socket, copy, log, note]) await rm(file, { force: true })
}

/** Names of parts have a `-`, those of marks never: neither can pose as the other. */
const NAME = /^[0-9a-z_]{1,60}$/

export function checkName(name: string): string {
  if (!NAME.test(name)) throw new CloudError('invalid', `${JSON.stringify(name)} cannot name an export`)
  return name
}

export function presentExport(files: InstanceFiles, name: string, opened: OpenedExport): DiskExport {
  const { changes, hasBase, pointAt, diskBytes, consistency, consistencyReason, frozenMs } = opened
  const baseExport = hasBase ? baseExportOf(name) : null
  const dirtyBitmap = changes && `qemu:dirty-bitmap:${changes}` // QEMU, docs/interop/nbd.txt
  return {
    source: { kind: 'nbd', socket: exportFilesOf(files).socket, exportName: name, dirtyBitmap, baseExport },
    diskBytes,
    pointAt: new Date(pointAt),
    consistency,
    consistencyReason,
    frozenMs,
  }
}
