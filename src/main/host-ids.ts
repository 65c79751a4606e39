/**
 * Who this host is. Its id is kept in a file of its own beside its disks, not guessed from a host name that may change:
 * the instances whose disks lie here belong to it.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeFileAtomically } from '../lib/files.ts'
import { type HostId, newId } from '../model/ids.ts'

export async function ensureHostIds(home: string, names: readonly string[]): Promise<Map<string, HostId>> {
  const file = join(home, 'hosts.json')
  const known = await readFile(file, 'utf8').then(
    (text) => JSON.parse(text) as Record<string, HostId>,
    () => ({}) as Record<string, HostId>,
  )
  const ids = new Map(names.map((name) => [name, known[name] ?? newId('host')]))
  if (names.some((name) => !known[name])) {
    await writeFileAtomically(file, `${JSON.stringify({ ...known, ...Object.fromEntries(ids) })}\n`)
  }
  return ids
}
