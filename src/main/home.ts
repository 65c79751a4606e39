/**
 * The folder everything lies in. As root, PostgreSQL and QEMU run as other users: they must get through to their own
 * subfolders and see nothing else, so the home is 0711 and what lies in it is closed to all but its user.
 */
import { existsSync, mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { ensureFolder } from '../lib/folders.ts'
import type { Paths } from '../lib/paths.ts'

/** Makes what is missing. An `Error` says which command mends a parent that others cannot pass. */
export function ensureHome(paths: Paths, isRoot = process.getuid?.() === 0): void {
  const parent = dirname(paths.home)
  if (!existsSync(parent)) mkdirSync(parent, { recursive: true, mode: 0o755 })
  if (isRoot) refuseClosedParents(parent)
  const passable = isRoot ? 0o711 : 0o700
  ensureFolder(paths.home, { mode: passable })
  ensureFolder(paths.run, { mode: passable })
  for (const folder of [paths.keys, paths.logs, paths.objects]) ensureFolder(folder, { mode: 0o700 })
}

function refuseClosedParents(folder: string): void {
  const closed: string[] = []
  for (let at = folder; ; at = dirname(at)) {
    if ((statSync(at).mode & 0o001) === 0) closed.unshift(at)
    if (at === dirname(at)) break
  }
  if (closed.length === 0) return
  throw new Error(
    `PostgreSQL and QEMU run as users of their own and cannot pass ${closed.join(', ')}. Let them through with:\n` +
      `  chmod o+x ${closed.map((path) => `'${path}'`).join(' ')}\nor choose another HAVN_HOME`,
  )
}
