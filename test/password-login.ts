/** Logs in to a guest as its owner would who has nothing but the root password. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execute } from './havn.ts'

const OPTIONS = [
  'PubkeyAuthentication=no',
  'PreferredAuthentications=password,keyboard-interactive',
  'NumberOfPasswordPrompts=1',
  'StrictHostKeyChecking=no',
  'UserKnownHostsFile=/dev/null',
  'LogLevel=ERROR',
]

/** Who the guest says it let in; null when it refused the password. Throws when there was nobody to refuse it. */
export async function logIn(to: { ipv4: string | null; sshPort: number | null }, password: string) {
  const folder = mkdtempSync(join(tmpdir(), 'hv-'))
  try {
    // OpenSSH asks a program for it where no terminal is (ssh(1), SSH_ASKPASS_REQUIRE).
    const askpass = join(folder, 'askpass')
    writeFileSync(askpass, '#!/bin/sh\nprintf "%s\\n" "$PASSWORD"\n')
    chmodSync(askpass, 0o700)
    const at = to.sshPort === null ? [`root@${to.ipv4}`] : ['-p', String(to.sshPort), 'root@127.0.0.1']
    const options = OPTIONS.flatMap((option) => ['-o', option])
    const env = { ...process.env, PASSWORD: password, SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: 'force' }
    const { code, out, err } = await execute('ssh', ['-F', 'none', ...options, ...at, 'id -un'], env)
    if (code === 0) return out.trim()
    if (/Permission denied/.test(err)) return null
    throw new Error(`ssh: ${code} ${err}`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
