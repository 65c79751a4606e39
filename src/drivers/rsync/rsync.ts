/**
 * The rsync server's side of file backups: its configuration, the folders of its accounts, how much lies in them, and
 * who is connected. Debian's `rsync --daemon` itself is run by main/up.ts; it reads its configuration anew for every
 * connection, so changing a file is all that an account takes.
 *
 * The server runs as a user of its own, who owns what is in the accounts' folders and nothing else: everything that it
 * is told lies in folders that only we may write to. A connection stands in its account's folder (its working
 * directory), by which it is found.
 */
import { chownSync, existsSync, readdirSync } from 'node:fs'
import { open, readdir, rename, rm, rmdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ensureFolder } from '../../lib/folders.ts'
import { identityOf, type ProcessIdentity, processLink, signalProcess } from '../../lib/process-identity.ts'
import { run } from '../../lib/run.ts'
import { unseal } from '../../lib/secrets.ts'
import { waitFor } from '../../lib/wait.ts'
import { ADMIT, configText, rsyncPlaces, secretsText } from './config-text.ts'
import { measureUse, type Use } from './measure.ts'

export interface RsyncServer {
  /** What the server needs to start is there. */
  open(): Promise<void>
  /** These accounts and no others get in; whoever is in and is none of them is cut off. */
  serve(accounts: readonly { username: number; passwordSealed: Buffer }[]): Promise<void>
  /** The accounts that a transfer began with since the last call. */
  takeTouched(): Promise<number[]>
  /** The accounts that somebody is connected to now. */
  connected(): Set<number>
  measure(username: number, signal: AbortSignal): Promise<Use>
  /** Nothing more may be sent to it. Returns whether that is new. */
  setFull(username: number, isFull: boolean): Promise<boolean>
  disconnect(username: number): void
  /** Its files are gone. It must not be served any more. */
  ensureAbsent(username: number): Promise<void>
}

export interface RsyncOptions {
  folder: string
  masterKey: Buffer
  /** The user that the server runs as; undefined: the one that we are. */
  owner: { uid: number; gid: number } | undefined
}

const LAST_CONNECTION_MS = 10_000

export function createRsyncServer({ folder, masterKey, owner }: RsyncOptions): RsyncServer {
  const places = rsyncPlaces(folder)
  const folderOf = (username: number) => join(folder, String(username))
  let written = ''

  /** The server's user may pass and look, and write nothing. */
  function ensureOurs(path: string): void {
    ensureFolder(path, { mode: owner ? 0o710 : 0o700 })
    if (owner) chownSync(path, 0, owner.gid)
  }

  function connections(): { username: number; identity: ProcessIdentity }[] {
    const inside = `${folder}/`
    return readdirSync('/proc').flatMap((name) => {
      const cwd = /^\d+$/.test(name) ? processLink(Number(name), 'cwd') : null
      const username = cwd?.startsWith(inside) ? Number(cwd.slice(inside.length).split('/')[0]) : Number.NaN
      if (!Number.isSafeInteger(username) || !processLink(Number(name), 'exe')?.includes('/rsync')) return []
      const identity = identityOf(Number(name))
      return identity ? [{ username, identity }] : []
    })
  }

  function disconnect(isOver: (username: number) => boolean): void {
    for (const { username, identity } of connections()) if (isOver(username)) signalProcess(identity, 'SIGTERM')
  }

  return {
    async open() {
      for (const path of [folder, dirname(places.config), places.full]) ensureOurs(path)
      for (const path of [places.touched, places.locks]) ensureFolder(path, { mode: 0o700, owner })
      await putFile(places.admit, ADMIT, owner)
      if (!existsSync(places.config)) await putFile(places.config, configText(places, []), owner)
      if (!existsSync(places.log)) await putFile(places.log, '', owner)
      written = ''
    },

    async serve(accounts) {
      const usernames = accounts.map(({ username }) => username)
      const secrets = secretsText(
        accounts.map(({ username, passwordSealed }) => ({ username, password: unseal(masterKey, passwordSealed) })),
      )
      const config = configText(places, usernames)
      if (written !== config + secrets) {
        for (const username of usernames) ensureFolder(folderOf(username), { mode: 0o700, owner })
        await putFile(places.secrets, secrets, owner)
        await putFile(places.config, config, owner)
        written = config + secrets
      }
      const served = new Set(usernames)
      disconnect((username) => !served.has(username))
    },

    async takeTouched() {
      const names = (await readdir(places.touched)).filter((name) => /^\d+$/.test(name))
      for (const name of names) await rm(join(places.touched, name), { force: true })
      return names.map(Number)
    },

    connected: () => new Set(connections().map(({ username }) => username)),
    measure: (username, signal) => measureUse(folderOf(username), signal),

    async setFull(username, isFull) {
      const mark = join(places.full, String(username))
      const wasFull = (await readdir(places.full)).includes(String(username))
      if (isFull) await writeFile(mark, '')
      else await rm(mark, { force: true })
      return isFull && !wasFull
    },

    disconnect: (username) => disconnect((one) => one === username),

    async ensureAbsent(username) {
      const isAlone = await waitFor(
        () => {
          disconnect((one) => one === username)
          return !connections().some((one) => one.username === username)
        },
        { timeoutMs: LAST_CONNECTION_MS },
      )
      if (!isAlone) throw new Error(`somebody is still connected to the rsync account ${username}`)
      // As their owner: whatever a stranger put there, it leads to nothing that is not his.
      await run('find', [folderOf(username), '-xdev', '-mindepth', '1', '-delete'], { ...owner, cwd: '/' }).catch(
        async (error: unknown) => {
          if (await isMissing(folderOf(username))) return
          throw error
        },
      )
      await rmdir(folderOf(username)).catch(ignoreMissing)
      for (const place of [places.full, places.touched, places.locks]) {
        await rm(join(place, String(username)), { force: true })
      }
    },
  }
}

/** Whole or not there, and the server's user may read it. Its folder is ours. */
async function putFile(file: string, text: string, owner: RsyncOptions['owner']): Promise<void> {
  const temporary = `${file}.new`
  await rm(temporary, { force: true })
  const handle = await open(temporary, 'wx', 0o600)
  try {
    await handle.writeFile(text)
    if (owner) await handle.chown(owner.uid, owner.gid)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(temporary, file)
}

const isMissing = (path: string): Promise<boolean> =>
  readdir(path).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === 'ENOENT',
  )

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error
}
