/** The installation's own secrets: the key that seals stored secrets, and the SSH key that `havn ssh` logs in with. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { writeFileAtomically } from '../lib/files.ts'
import type { Paths } from '../lib/paths.ts'
import { CloudError } from '../model/errors.ts'

export interface InstallationKeys {
  masterKey: Buffer
  sshPublicKey: string
}

const MASTER_KEY_BYTES = 32

export const sshKeyFile = (paths: Paths): string => join(paths.keys, 'ssh_ed25519')
export const masterKeyFile = (paths: Paths): string => join(paths.keys, 'master.key')

/**
 * Makes what is missing. A kill in the middle leaves a key whole or not there, never half. Throws `conflict` where the
 * master key of a home that was used is gone: another one would open nothing of what is stored.
 */
export async function ensureInstallationKeys(paths: Paths): Promise<InstallationKeys> {
  await mkdir(paths.keys, { recursive: true, mode: 0o700 })
  const masterKey = masterKeyFile(paths)
  if (!(await exists(masterKey))) {
    if (await exists(paths.credentials)) {
      throw new CloudError(
        'conflict',
        `${masterKey} is gone, and nothing sealed opens without it: put the copy of it back`,
      )
    }
    await writeFileAtomically(masterKey, randomBytes(MASTER_KEY_BYTES))
  }
  const file = sshKeyFile(paths)
  if (!(await exists(file)) || !(await exists(`${file}.pub`))) {
    const temporary = `${file}.new`
    await rm(temporary, { force: true })
    await rm(`${temporary}.pub`, { force: true })
    await promisify(execFile)('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'havn', '-f', temporary])
    await rename(`${temporary}.pub`, `${file}.pub`)
    await rename(temporary, file)
  }
  return readInstallationKeys(paths)
}

/** Throws `not_found` with where it should be. */
export async function readMasterKey(paths: Paths): Promise<Buffer> {
  const masterKey = await readFile(masterKeyFile(paths)).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'ENOENT') throw cause
    throw new CloudError('not_found', `there is no ${masterKeyFile(paths)}: put the copy of it there`, { cause })
  })
  if (masterKey.length === MASTER_KEY_BYTES) return masterKey
  throw new CloudError('conflict', `${masterKeyFile(paths)} holds ${masterKey.length} bytes, not ${MASTER_KEY_BYTES}`)
}

export async function readInstallationKeys(paths: Paths): Promise<InstallationKeys> {
  const masterKey = await readMasterKey(paths)
  const sshPublicKey = (await readFile(`${sshKeyFile(paths)}.pub`, 'utf8')).trim()
  return { masterKey, sshPublicKey }
}

const exists = (file: string): Promise<boolean> =>
  readFile(file).then(
    () => true,
    () => false,
  )
