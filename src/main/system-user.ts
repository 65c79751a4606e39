/**
 * The unprivileged system users that programs run under when Havn itself runs as root (PostgreSQL refuses root, QEMU
 * should not have it). Without root everything runs as the user who started Havn.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

export interface SystemUser {
  uid: number
  gid: number
}

/** Makes the user where it is missing. Undefined when we are not root: there is nobody else to become. */
export function ensureSystemUser(name: string): SystemUser | undefined {
  if (process.getuid?.() !== 0) return undefined
  const known = findUser(name)
  if (known) return known
  execFileSync('useradd', ['--system', '--user-group', '--no-create-home', '--home-dir', '/nonexistent'].concat(
    ['--shell', '/usr/sbin/nologin', '--comment', 'Havn', name],
  ), { stdio: ['ignore', 'ignore', 'pipe'] }) // biome-ignore format: one call
  const made = findUser(name)
  if (!made) throw new Error(`useradd said it made the user ${name}, but /etc/passwd does not have it`)
  return made
}

function findUser(name: string): SystemUser | undefined {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${name}:`))
  const [, , uid, gid] = line?.split(':') ?? []
  return uid && gid ? { uid: Number(uid), gid: Number(gid) } : undefined
}
