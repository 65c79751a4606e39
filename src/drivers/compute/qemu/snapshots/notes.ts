/**
 * What the disk's file does not say about its snapshots: what machine a memory belongs to, and how much each made the
 * file grow. A small file beside the disk; snapshots that are not in the disk are not in it either once it is written.
 */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { readJson, writeFileAtomically } from '../../../../lib/files.ts'

/** What a saved memory fits into: the same devices, sizes and machine type, or QEMU will not load it. */
export interface LaunchFacts {
  /** QEMU's full name of it, `pc-q35-7.2`. */
  machine: string
  accel: 'kvm' | 'tcg'
  vcpus: number
  memoryMib: number
  /** What the network card is plugged into decides what its driver in the guest agreed upon. */
  net: 'tap' | 'user' | 'none'
}

export interface SnapshotNote {
  /** Null without memory. */
  launch: LaunchFacts | null
  /** Null until it was taken. */
  grownBytes: number | null
}

export interface SnapshotNotes {
  snapshots: Record<string, SnapshotNote>
  /**
   * Bytes of the file that the snapshots account for: what it had when the newest was taken, less what deleting gave
   * back. An estimate, since QEMU does not tell whose a cluster is.
   */
  accountedBytes: number
}

/** The instance's folder and the generation of its disk. */
export interface NotesPlace {
  folder: string
  generation: number
}

const NOTHING: SnapshotNotes = { snapshots: {}, accountedBytes: 0 }

const pathOf = ({ folder, generation }: NotesPlace) => join(folder, `snapshots-g${generation}.json`)

export const readNotes = async (at: NotesPlace): Promise<SnapshotNotes> =>
  (await readJson<SnapshotNotes>(pathOf(at))) ?? NOTHING

/** `tags`: what is in the disk by now. */
async function write(at: NotesPlace, { snapshots, accountedBytes }: SnapshotNotes, tags: string[]): Promise<void> {
  const there = Object.entries(snapshots).filter(([tag]) => tags.includes(tag))
  const notes = { snapshots: Object.fromEntries(there), accountedBytes: tags.length === 0 ? 0 : accountedBytes }
  await writeFileAtomically(pathOf(at), JSON.stringify(notes, null, 1))
}

/** Before it is taken: without the note on its machine nobody could bring a memory back. */
export async function noteTaking(
  at: NotesPlace,
  tags: string[],
  tag: string,
  launch: LaunchFacts | null,
): Promise<void> {
  const notes = await readNotes(at)
  const accountedBytes = tags.length === 0 ? 0 : notes.accountedBytes
  const snapshots = { ...notes.snapshots, [tag]: { launch, grownBytes: null } }
  await write(at, { snapshots, accountedBytes }, [...tags, tag])
}

/** After: how much the file grew since the snapshot before it. What was noted once stays. */
export async function noteTaken(
  at: NotesPlace,
  tags: string[],
  tag: string,
  fileBytes: number,
): Promise<number | null> {
  const notes = await readNotes(at)
  const known = notes.snapshots[tag]
  if (!known || known.grownBytes !== null) return known?.grownBytes ?? null
  const grownBytes = Math.max(0, fileBytes - notes.accountedBytes)
  const snapshots = { ...notes.snapshots, [tag]: { ...known, grownBytes } }
  await write(at, { snapshots, accountedBytes: fileBytes }, tags)
  return grownBytes
}

export async function noteDeleted(at: NotesPlace, tags: string[], freedBytes: number): Promise<void> {
  const notes = await readNotes(at)
  const accountedBytes = Math.max(0, notes.accountedBytes - Math.max(0, freedBytes))
  await write(at, { ...notes, accountedBytes }, tags)
}

/** What the file takes of the host's disk; stat(2) counts blocks of 512 bytes. */
export const allocatedBytes = async (file: string): Promise<number> => (await stat(file)).blocks * 512
