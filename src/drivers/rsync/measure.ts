/** How much of the disk a folder takes. */
import type { Dir } from 'node:fs'
import { lstat, opendir } from 'node:fs/promises'
import { join } from 'node:path'

export interface Use {
  /** Blocks on the disk, of folders too; a file with several names counts once. */
  bytes: number
  /** It has more entries than are counted, and `bytes` is of those that were. */
  isCutShort: boolean
}

/** Some forty seconds of looking. */
const ENTRIES_MAX = 1_000_000
const BLOCK_BYTES = 512 // of st_blocks, whatever the file system's are

/** What goes while it looks does not count. Throws when something cannot be looked at. */
export async function measureUse(folder: string, signal: AbortSignal, entriesMax = ENTRIES_MAX): Promise<Use> {
  let bytes = 0
  let entries = 0
  const folders = [folder]
  for (let at = folders.pop(); at !== undefined; at = folders.pop()) {
    for await (const { name } of (await openFolder(at)) ?? []) {
      signal.throwIfAborted()
      if (++entries > entriesMax) return { bytes: Math.round(bytes), isCutShort: true }
      const path = join(at, name)
      const stat = await lstat(path).catch(nullWhenGone)
      if (!stat) continue
      if (stat.isDirectory()) folders.push(path)
      // All names of a file lie in this folder, so their shares add up to the file.
      bytes += (stat.blocks * BLOCK_BYTES) / (stat.isDirectory() ? 1 : stat.nlink)
    }
  }
  return { bytes: Math.round(bytes), isCutShort: false }
}

const openFolder = (path: string): Promise<Dir | null> => opendir(path).catch(nullWhenGone)

function nullWhenGone(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null
  throw error
}
