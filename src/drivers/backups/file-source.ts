/** A raw file as a disk; also one that is shorter than the disk, which then ends in zeros. */
import { type FileHandle, open } from 'node:fs/promises'
import type { DiskSource } from '../compute/compute.ts'
import { createBlockMap } from './block-map.ts'
import { type DiskReader, sourceGone } from './source.ts'

export async function openFileSource(
  { path, extents }: Extract<DiskSource, { kind: 'file' }>,
  diskBytes: number,
): Promise<DiskReader> {
  let handle: FileHandle
  try {
    handle = await open(path)
  } catch (cause) {
    throw sourceGone(cause)
  }
  const data = createBlockMap(diskBytes)
  for (const { offset, length } of extents) data.mark(offset, length)
  return {
    data,
    changed: null,
    async read(offset, into) {
      for (let filled = 0; filled < into.length; ) {
        const { bytesRead } = await handle.read(into, filled, into.length - filled, offset + filled).catch((cause) => {
          throw sourceGone(cause)
        })
        if (bytesRead === 0) return void into.fill(0, filled)
        filled += bytesRead
      }
    },
    close: () => handle.close(),
  }
}
