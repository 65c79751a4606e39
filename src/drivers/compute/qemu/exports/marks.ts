/**
 * Marks: dirty bitmaps that lie in the disk's own file and note what is written from one moment on (QEMU,
 * docs/interop/bitmaps.rst). A clean end of QEMU stores them; after any other end they are flagged and worth nothing.
 * None is ever trusted beyond that: what does not know of every write is removed.
 */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../host/command.ts'
import type { Qmp } from '../qmp.ts'

export interface Mark {
  name: string
  /** It knows of every write since its moment. */
  isSound: boolean
}
export type Which = (mark: Mark) => boolean

/** The disk's node in QEMU's block graph (args.ts). */
export const DISK_NODE = 'd0'

/** Parts of an export have a `-` in their names, which no export has. */
const isMark = (name: string) => !name.includes('-')

interface NodeInfo {
  'node-name': string
  image: { 'virtual-size': number }
  'dirty-bitmaps'?: { name?: string; recording: boolean; persistent: boolean; inconsistent?: boolean; busy: boolean }[]
}

export interface LiveDisk {
  bytes: number
  marks: Mark[]
  /** All bitmaps with a name, marks or not. */
  bitmaps: ReadonlySet<string>
  /** All nodes of the block graph. */
  nodes: ReadonlySet<string>
}

export async function readLiveDisk(qmp: Qmp): Promise<LiveDisk> {
  const nodes = await qmp.execute<NodeInfo[]>('query-named-block-nodes', { flat: true })
  const disk = nodes.find((node) => node['node-name'] === DISK_NODE)
  if (!disk) throw new Error('the virtual machine monitor knows no root disk')
  const bitmaps = (disk['dirty-bitmaps'] ?? []).filter(({ name }) => name !== undefined)
  return {
    bytes: disk.image['virtual-size'],
    marks: bitmaps.flatMap(({ name = '', recording, persistent, inconsistent, busy }) =>
      isMark(name) ? [{ name, isSound: recording && persistent && !inconsistent && !busy }] : [],
    ),
    bitmaps: new Set(bitmaps.map(({ name = '' }) => name)),
    nodes: new Set(nodes.map((node) => node['node-name'])),
  }
}

interface BlockLayer {
  'node-name'?: string
  backing?: BlockLayer
}

/** The node of the image that the disk lies over; null when there is none, or when QEMU does not say. */
export async function findBaseNode(qmp: Qmp): Promise<string | null> {
  const disks = await qmp.execute<BlockLayer[]>('query-blockstats') // the layers of each disk, from the guest down
  for (let layer of disks as (BlockLayer | undefined)[]) {
    while (layer && layer['node-name'] !== DISK_NODE) layer = layer.backing
    if (layer) return layer.backing?.['node-name'] ?? null
  }
  return null
}

export async function removeLiveMarks(qmp: Qmp, which: Which): Promise<void> {
  for (const mark of (await readLiveDisk(qmp)).marks.filter(which)) {
    await qmp.execute('block-dirty-bitmap-remove', { node: DISK_NODE, name: mark.name })
  }
}

interface ImageInfo {
  'virtual-size': number
  'format-specific'?: { data?: { bitmaps?: { name: string; flags: string[] }[] } }
}

/** Of a disk that no QEMU has open. */
export async function readStoredDisk(file: string): Promise<{ bytes: number; marks: Mark[] }> {
  const info = JSON.parse(await run('qemu-img', ['info', '-f', 'qcow2', '--output=json', file])) as ImageInfo
  const bitmaps = info['format-specific']?.data?.bitmaps ?? []
  // qcow2.txt, "Bitmap directory entry": `auto` records every write, `in-use` was not stored by whoever had it last.
  const isSound = (flags: string[]) => flags.includes('auto') && !flags.includes('in-use')
  return { bytes: info['virtual-size'], marks: bitmaps.map(({ name, flags }) => ({ name, isSound: isSound(flags) })) }
}

export async function removeStoredMarks(file: string, which: Which): Promise<void> {
  for (const mark of (await readStoredDisk(file)).marks.filter(which)) {
    await run('qemu-img', ['bitmap', '--remove', '-f', 'qcow2', file, mark.name])
  }
}

export async function addStoredMark(file: string, name: string): Promise<void> {
  await run('qemu-img', ['bitmap', '--add', '-f', 'qcow2', file, name])
}

/** The root disks of every generation that lie in an instance's folder. */
export async function disksIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  return names.filter((name) => /^disk-g\d+\.qcow2$/.test(name)).map((name) => join(folder, name))
}
