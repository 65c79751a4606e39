/** Folders with a known owner and mode, made on demand. */
import { chmodSync, chownSync, lstatSync, mkdirSync } from 'node:fs'

export interface FolderOptions {
  mode: number
  owner?: { uid: number; gid: number } | undefined
}

/**
 * The folder exists, is really a folder (no link that somebody put there), belongs to `owner` (else to us) and has the
 * mode. Its parent must be there. A folder of another user that we may not take is an error: under /tmp anybody may
 * have made it first.
 */
export function ensureFolder(path: string, { mode, owner }: FolderOptions): void {
  try {
    mkdirSync(path, { mode })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  const stat = lstatSync(path)
  if (!stat.isDirectory()) throw new Error(`${path} must be a folder: move it away`)
  const me = process.getuid?.() ?? 0
  const want = owner ?? { uid: me, gid: process.getgid?.() ?? 0 }
  if (stat.uid !== want.uid) {
    if (me !== 0) throw new Error(`${path} belongs to user ${stat.uid}, not to ${want.uid}: remove it or give it back`)
    chownSync(path, want.uid, want.gid)
  }
  if ((stat.mode & 0o7777) !== mode) chmodSync(path, mode)
}
