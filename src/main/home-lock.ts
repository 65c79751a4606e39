/**
 * One supervisor per HAVN_HOME. The lock is an abstract unix socket (unix(7)) named after the folder: the kernel gives
 * the name to one process only and takes it back however that one ends, so there is no stale lock to clear away. A
 * file beside it says who holds it; it is also looked at, since another network namespace has other abstract names.
 */
import { createHash } from 'node:crypto'
import { readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import type { Paths } from '../lib/paths.ts'
import { identityOf, isAlive, type ProcessIdentity } from '../lib/process-identity.ts'
import { waitFor } from '../lib/wait.ts'
import { CloudError } from '../model/errors.ts'

export interface LockHolder extends ProcessIdentity {
  /** ISO 8601. */
  since: string
}
export interface HomeLock {
  release(): void
}

/** Takes the lock, or throws `conflict` naming the process that has it. */
export async function lockHome(paths: Paths): Promise<HomeLock> {
  const server = await bind(paths)
  const other = server ? findHolder(paths) : await waitFor(() => findHolder(paths), { timeoutMs: 1_000 })
  if (!server || other) {
    server?.close()
    const who = other ? `process ${other.pid}, since ${other.since}` : 'a process that is just starting'
    throw new CloudError('conflict', `Havn already runs on ${paths.home}: ${who}. Stop it with: ./havn down`)
  }
  const me: LockHolder = { ...(identityOf(process.pid) as ProcessIdentity), since: new Date().toISOString() }
  writeFileSync(`${paths.lock}.new`, `${JSON.stringify(me)}\n`, { mode: 0o600 })
  renameSync(`${paths.lock}.new`, paths.lock)
  return {
    release() {
      rmSync(paths.lock, { force: true })
      server.close()
    },
  }
}

/** The living holder, or null. */
export function findHolder(paths: Paths): LockHolder | null {
  try {
    const holder = JSON.parse(readFileSync(paths.lock, 'utf8')) as LockHolder
    return isAlive(holder) ? holder : null
  } catch {
    return null
  }
}

async function bind(paths: Paths): Promise<Server | null> {
  const name = createHash('sha256').update(realpathSync(paths.home)).digest('hex').slice(0, 32)
  const server = createServer((socket) => socket.destroy())
  server.unref()
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(null) : reject(error),
    )
    server.listen(`\0havn-${name}`, () => resolve(server))
  })
}
