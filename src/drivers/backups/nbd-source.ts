/**
 * An export over NBD as a disk: QEMU's of a running guest, or qemu-nbd's of a stopped one. That of a running guest does
 * not look beneath the guest's own layer when it tells what holds data (QEMU, block/snapshot-access.c): what is not
 * allocated there it calls a hole without saying that it is zeros. What the image beneath holds, which never changes,
 * a second export tells.
 */
import { connectNbd, type NbdClient, NbdError } from '../../lib/nbd.ts'
import type { DiskSource } from '../compute/compute.ts'
import { type BlockMap, createBlockMap } from './block-map.ts'
import { type DiskReader, sourceGone } from './source.ts'

const ALLOCATION = 'base:allocation'
const HOLE = 1
const READS_AS_ZEROS = 2
const DIRTY = 1

export async function openNbdSource(
  { socket, exportName, dirtyBitmap, baseExport }: Extract<DiskSource, { kind: 'nbd' }>,
  diskBytes: number,
): Promise<DiskReader> {
  const contexts = [ALLOCATION, ...(dirtyBitmap === null ? [] : [dirtyBitmap])]
  const client = await translated(() => connectNbd({ socket, exportName, contexts }))
  try {
    if (client.sizeBytes !== diskBytes) {
      throw sourceGone(new Error(`the export has ${client.sizeBytes} bytes, not ${diskBytes}`))
    }
    const base = baseExport === null ? null : await translated(() => readBaseMap(socket, baseExport))
    const maps = await translated(() => readMaps(client, base))
    return {
      data: maps.get(ALLOCATION) ?? everything(diskBytes),
      changed: (dirtyBitmap !== null && maps.get(dirtyBitmap)) || null,
      read: (offset, into) => translated(() => client.read(offset, into)),
      close: () => client.close(),
    }
  } catch (error) {
    await client.close()
    throw error
  }
}

/** Null when nobody knows. */
async function readBaseMap(socket: string, exportName: string): Promise<BlockMap | null> {
  const client = await connectNbd({ socket, exportName, contexts: [ALLOCATION] })
  try {
    return (await readMaps(client, null)).get(ALLOCATION) ?? null
  } finally {
    await client.close()
  }
}

/** By context; what the server does not know is not there. */
async function readMaps(client: NbdClient, base: BlockMap | null): Promise<Map<string, BlockMap>> {
  const { sizeBytes, contexts } = client
  const maps = new Map(contexts.map((name) => [name, { map: createBlockMap(sizeBytes), end: 0 }]))
  // Every answer tells of all contexts, each as far as it likes; those that are behind decide where to go on.
  for (let from = 0; maps.size > 0 && from < sizeBytes; from = Math.min(...[...maps.values()].map(({ end }) => end))) {
    const told = await client.blockStatus(from, sizeBytes - from)
    for (const [name, into] of maps) {
      const extents = told.get(name)
      if (!extents) throw new NbdError(`the NBD server forgot to tell of ${name}`, true)
      let at = from
      for (const { length, flags } of extents) {
        if (at + length > into.end && isMarked(name, flags)) {
          if (base && name === ALLOCATION && flags === HOLE) into.map.markWhere(base, at, length)
          else into.map.mark(at, length)
        }
        at += length
      }
      into.end = Math.max(into.end, at)
    }
  }
  return new Map([...maps].map(([name, { map }]) => [name, map]))
}

const isMarked = (context: string, flags: number): boolean =>
  context === ALLOCATION ? (flags & READS_AS_ZEROS) === 0 : (flags & DIRTY) !== 0

function everything(diskBytes: number): BlockMap {
  const map = createBlockMap(diskBytes)
  map.mark(0, diskBytes)
  return map
}

/** Whatever goes wrong with an export, another one may be sound. */
async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw error instanceof NbdError ? sourceGone(error) : error
  }
}
