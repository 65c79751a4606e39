/**
 * `ssh NAME [-- ARGV…]`: into an instance with Havn's own key. Nothing of the user's SSH setup takes part: no config,
 * no agent, no known hosts (an instance that was rebuilt has new host keys, and the path to it does not leave this
 * machine). The arguments arrive in the guest as they are here: ssh(1) joins them with blanks and the remote shell
 * splits them again, so each is quoted for it.
 */
import { spawn } from 'node:child_process'
import { connect } from 'node:net'
import { waitFor } from '../lib/wait.ts'
import type { Command } from './command.ts'
import { CliError } from './exit.ts'
import { type SshTarget, sshTarget } from './ssh-line.ts'

const BANNER_WAIT_MS = 60_000
const BANNER_TRY_MS = 15_000 // a guest under emulation takes seconds from accept to banner

export const ssh: Command = {
  name: 'ssh',
  summary: 'log in to an instance as root, or run a command there',
  positionals: ['NAME', 'COMMAND…'],
  async run(cli, args) {
    const instance = await cli.client.call('getInstance', { id: args.at.NAME! })
    const target = sshTarget(instance)
    if (!target) throw new CliError('conflict', `${instance.name} has no address yet; it is ${instance.state}`)
    const answers = await waitFor(() => hasBanner(target), { timeoutMs: BANNER_WAIT_MS, everyMs: 250 })
    if (!answers) {
      throw new CliError(
        'timedOut',
        `${instance.name} (${target.host}:${target.port}) shows no SSH banner; it is ${instance.state}. Look at ./havn instance log ${instance.name}`,
      )
    }
    return run(sshArgs(target, cli.sshKeyFile, args.rest))
  },
}

export function sshArgs(target: SshTarget, keyFile: string, command: readonly string[]): string[] {
  const options = [
    'StrictHostKeyChecking=no',
    'UserKnownHostsFile=/dev/null',
    'GlobalKnownHostsFile=/dev/null',
    'IdentitiesOnly=yes',
    'IdentityAgent=none',
    'BatchMode=yes',
    'LogLevel=ERROR',
    // One a second: first-boot work of some images restarts sshd right after its first banner.
    'ConnectionAttempts=30',
  ]
  return [
    '-F',
    'none',
    '-i',
    keyFile,
    ...options.flatMap((option) => ['-o', option]),
    '-p',
    String(target.port),
    '-l',
    'root',
    target.host,
    ...(command.length > 0 ? ['--', command.map(shellQuote).join(' ')] : []),
  ]
}

/** For any POSIX shell: single quotes keep everything but themselves. */
export const shellQuote = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`

/** One patient connection: several at once would trip sshd's MaxStartups. */
function hasBanner({ host, port }: SshTarget): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    const done = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(BANNER_TRY_MS, () => done(false))
    socket.on('data', (data) => done(data.toString('latin1').startsWith('SSH-')))
    socket.on('error', () => done(false))
    socket.on('end', () => done(false))
  })
}

/** With the terminal as it is; Ctrl-C goes to the command there. Returns its exit status, 255 when ssh itself failed. */
function run(args: readonly string[]): Promise<number> {
  const child = spawn('ssh', args, { stdio: 'inherit' })
  process.on('SIGINT', () => {})
  return new Promise((resolve, reject) => {
    child.once('error', (error) =>
      reject(new CliError('error', `cannot run ssh (${error.message}); on Debian: apt-get install openssh-client`)),
    )
    child.once('exit', (code, signal) => resolve(signal ? 255 : (code ?? 255)))
  })
}
