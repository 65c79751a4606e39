/**
 * Snapshots of a disk that no QEMU has open, by qemu-img. It runs as the user that the disk belongs to, and it locks the
 * file: one that outlived its killed caller makes the next one fail until it has ended.
 */
import { run } from '../host/command.ts'
import type { Owner } from '../host/process.ts'

/** A snapshot as the disk's file lists it. */
export interface StoredSnapshot {
  /** We name them by their ids, so this is unique. */
  name: string
  'vm-state-size': number
}

export interface StoppedDisk {
  file: string
  owner: Owner | null
}

/** Long, for a disk that is large and a host that is busy: what is killed half-way leaves clusters that nobody has. */
const TIMEOUT_MS = 5 * 60_000

export async function listStopped({ file, owner }: StoppedDisk): Promise<StoredSnapshot[]> {
  const text = await run('qemu-img', ['info', '-f', 'qcow2', '--output=json', file], owner ?? {})
  return (JSON.parse(text) as { snapshots?: StoredSnapshot[] }).snapshots ?? []
}

/** `signal` is only looked at before: these are over in a moment, and best not cut off. */
async function change(flag: '-c' | '-a' | '-d', tag: string, disk: StoppedDisk, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  await run('qemu-img', ['snapshot', '-q', flag, tag, '--image-opts', imageOptions(disk.file)], {
    ...disk.owner,
    timeoutMs: TIMEOUT_MS,
  })
}

/** `qemu-img snapshot` has no option for the format, and must not guess it; a comma in a value is doubled. */
const imageOptions = (file: string): string =>
  `driver=qcow2,discard=unmap,file.driver=file,file.discard=unmap,file.filename=${file.replaceAll(',', ',,')}`

export const takeStopped = (disk: StoppedDisk, tag: string, signal: AbortSignal) => change('-c', tag, disk, signal)
export const applyStopped = (disk: StoppedDisk, tag: string, signal: AbortSignal) => change('-a', tag, disk, signal)
export const deleteStopped = (disk: StoppedDisk, tag: string, signal: AbortSignal) => change('-d', tag, disk, signal)
