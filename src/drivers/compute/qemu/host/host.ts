/** Facts about this host, and what it must offer before an instance can run: a user for QEMU and folders it can reach. */
import { readFile, stat, statfs } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { dirname } from 'node:path'
import { CloudError } from '../../../../model/errors.ts'
import { run } from './command.ts'
import type { Owner } from './process.ts'

/** Kept for the system, PostgreSQL and the control plane, and the overhead of each QEMU: an eighth, at least 768 MiB. */
export const reservedMib = (totalMib: number): number => Math.max(768, Math.ceil(totalMib / 8))

export interface Capacity {
  cores: number
  memoryMib: number
  diskBytes: number
  diskFreeBytes: number
}

export async function readCapacity(home: string): Promise<Capacity> {
  const totalKib = Number(/^MemTotal:\s+(\d+)/m.exec(await readFile('/proc/meminfo', 'utf8'))?.[1])
  const totalMib = Math.floor(totalKib / 1024)
  const disk = await statfs(home)
  return {
    cores: availableParallelism(),
    memoryMib: Math.max(0, totalMib - reservedMib(totalMib)),
    diskBytes: disk.bsize * disk.blocks,
    diskFreeBytes: disk.bsize * disk.bavail,
  }
}

/** Null when we are not root: QEMU then runs as ourselves. The user is made where it is missing. */
export async function ensureOwner(user: string): Promise<Owner | null> {
  if (process.getuid!() !== 0) return null
  try {
    return await findOwner(user).catch(async () => {
      await run('useradd', [...USERADD, user])
      return findOwner(user)
    })
  } catch (error) {
    throw new CloudError(
      'unavailable',
      `the system user ${user} that QEMU runs as is missing; make it with: useradd ${USERADD.join(' ')} ${user}`,
      { cause: error },
    )
  }
}

const USERADD = ['--system', '--user-group', '--no-create-home', '--home-dir', '/nonexistent'].concat([
  '--shell',
  '/usr/sbin/nologin',
])

async function findOwner(user: string): Promise<Owner> {
  const [uid, gid] = await Promise.all([run('id', ['-u', user]), run('id', ['-g', user])])
  return { uid: Number(uid), gid: Number(gid) }
}

/** Throws when some folder above cannot be passed by QEMU's user, with the command that mends it. */
export async function checkReachable(folder: string, owner: Owner | null): Promise<void> {
  if (!owner) return
  for (let path = folder; ; path = dirname(path)) {
    const { mode, uid, gid } = await stat(path)
    const bit = uid === owner.uid ? 0o100 : gid === owner.gid ? 0o010 : 0o001
    if (!(mode & bit)) {
      throw new CloudError(
        'unavailable',
        `QEMU's user cannot enter ${path}; chmod o+x ${path}, or set HAVN_HOME elsewhere`,
      )
    }
    if (path === dirname(path)) return
  }
}

/** The host's own name servers, as far as a guest can reach them too, else public ones. */
export async function findNameservers(): Promise<string[]> {
  for (const file of ['/run/systemd/resolve/resolv.conf', '/etc/resolv.conf']) {
    const text = await readFile(file, 'utf8').catch(() => '')
    const found = parseNameservers(text)
    if (found.length > 0) return found
  }
  return ['9.9.9.9', '1.1.1.1']
}

const NAMESERVERS_MAX = 3 // resolv.conf(5), MAXNS
export const parseNameservers = (text: string): string[] =>
  [...text.matchAll(/^nameserver\s+([0-9a-f.:]+)\s*$/gim)]
    .map((match) => match[1]!)
    .filter((ip) => !/^(127\.|::1$|fe80:)/i.test(ip))
    .slice(0, NAMESERVERS_MAX)
