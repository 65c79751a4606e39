/**
 * A disk that is written before it becomes the root disk. It lies beside that under another name, so that putting it in
 * place is one rename: whoever looks sees the old disk or the new one, also after a power cut.
 */
import { chmod, chown, open, rename, rm } from 'node:fs/promises'
import { basename } from 'node:path'
import { syncFile, syncFolder } from '../../../lib/files.ts'
import { CloudError } from '../../../model/errors.ts'
import type { InstanceSpec } from '../compute.ts'
import { filesFor, isThere, type QemuContext } from './context.ts'
import { endExports } from './exports/exports.ts'
import { CommandError, run } from './host/command.ts'
import type { Owner } from './host/process.ts'
import { livingProcess } from './machine.ts'
import { newRecord, readRecord, writeRecord } from './record.ts'

/** A header is read, and tables: 2 MiB for 128 GiB of disk. */
const CHECK_MS = 10 * 60_000

/** Notes the instance down where it is new, so that what is written there is never nobody's. */
export async function prepareDisk(
  context: QemuContext,
  spec: InstanceSpec,
): Promise<{ file: string; format: 'qcow2' | 'raw' }> {
  const files = filesFor(context, spec.id)
  if (!(await readRecord(files))) await writeRecord(files, newRecord(spec))
  const file = files.prepared(spec.generation)
  await rm(file, { force: true })
  return { file, format: 'qcow2' }
}

export async function discardPreparedDisk(context: QemuContext, spec: InstanceSpec): Promise<void> {
  await rm(filesFor(context, spec.id).prepared(spec.generation), { force: true })
}

/** Throws `invalid` when what was prepared is no whole disk that stands alone; then the old one is as it was. */
export async function replaceDisk(context: QemuContext, spec: InstanceSpec, signal: AbortSignal): Promise<void> {
  const files = filesFor(context, spec.id)
  const prepared = files.prepared(spec.generation)
  const disk = files.disk(spec.generation)
  if (!(await isThere(prepared))) {
    if (await isThere(disk)) return
    throw new CloudError('conflict', 'no disk was prepared')
  }
  const record = await readRecord(files)
  if (await livingProcess(context, record ?? { uuid: spec.uuid, process: null })) {
    throw new CloudError('conflict', 'the instance runs: stop it before its disk is replaced')
  }
  const owner = await context.findOwner()
  await chmod(prepared, 0o600)
  if (owner) await chown(prepared, owner.uid, owner.gid)
  await assertStandsAlone(prepared)
  await assertWhole(prepared, owner, signal)
  await endExports(context, spec.id)
  await syncFile(prepared)
  await rename(prepared, disk)
  await syncFolder(files.folder)
}

const HEADER_BYTES = 80
const MAGIC = 0x514649fb // "QFI" and 0xfb
const DATA_FILE_BIT = 1n << 2n // of the incompatible features (QEMU, docs/interop/qcow2.txt)

/** No backing file and no data file: whatever it shows lies in it. */
async function assertStandsAlone(file: string): Promise<void> {
  const handle = await open(file, 'r')
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0)
    const version = bytesRead < HEADER_BYTES || buffer.readUInt32BE(0) !== MAGIC ? 0 : buffer.readUInt32BE(4)
    if (version !== 2 && version !== 3) throw unfit(file, 'it is no qcow2 disk')
    if (buffer.readBigUInt64BE(8) !== 0n) throw unfit(file, 'it stands on another file')
    if (version === 3 && (buffer.readBigUInt64BE(72) & DATA_FILE_BIT) !== 0n) {
      throw unfit(file, 'its content lies in another file')
    }
  } finally {
    await handle.close()
  }
}

const LEAKS_ONLY = 3 // of qemu-img check: nothing is wrong but wasted room

async function assertWhole(file: string, owner: Owner | null, signal: AbortSignal): Promise<void> {
  try {
    await run('qemu-img', ['check', '-q', '-f', 'qcow2', file], { signal, timeoutMs: CHECK_MS, ...(owner ?? {}) })
  } catch (error) {
    if (signal.aborted || !(error instanceof CommandError) || error.status === LEAKS_ONLY) {
      if (error instanceof CommandError && error.status === LEAKS_ONLY) return
      throw error
    }
    // 2: corrupt. 1, or no status at all, is the check's own trouble.
    if (error.status === 2) throw unfit(file, error.stderr.trim().slice(0, 300) || 'its tables are damaged', error)
    throw new CloudError('unavailable', `the prepared disk could not be checked: ${error.message}`, { cause: error })
  }
}

const unfit = (file: string, why: string, cause?: unknown) =>
  new CloudError('invalid', `${basename(file)} cannot be a root disk: ${why}`, { cause })
