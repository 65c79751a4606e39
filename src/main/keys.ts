/** The installation's own secrets: the key that seals stored secrets, and the SSH key that `havn ssh` logs in with. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { writeFileAtomically } from '../lib/files.ts'
import type { Paths } from '../lib/paths.ts'

export interface InstallationKeys {
  masterKey: Buffer
  sshPublicKey: string
}

export const sshKeyFile = (paths: Paths): string => join(paths.keys, 'ssh_ed25519')
const masterKeyFile = (paths: Paths): string => join(paths.keys, 'master.key')

/** Makes what is missing. A kill in the middle leaves a key whole or not there, never half. */
export async function ensureInstallationKeys(paths: Paths): Promise<InstallationKeys> {
  await mkdir(paths.keys, { recursive: true, mode: 0o700 })
  if (!(await exists(masterKeyFile(paths)))) await writeFileAtomically(masterKeyFile(paths), randomBytes(32))
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

export async function readInstallationKeys(paths: Paths): Promise<InstallationKeys> {
  const masterKey = await readFile(masterKeyFile(paths))
  const sshPublicKey = (await readFile(`${sshKeyFile(paths)}.pub`, 'utf8')).trim()
  return { masterKey, sshPublicKey }
}

const exists = (file: string): Promise<boolean> =>
  readFile(file).then(
    () => true,
    () => false,
  )
