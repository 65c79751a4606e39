/** Runs a short host program (`ip`, `nft`, `qemu-img`) with a deadline, text in and text out, never through a shell. */
import { spawn } from 'node:child_process'

export interface CommandOptions {
  input?: string
  timeoutMs?: number
  signal?: AbortSignal
  uid?: number
  gid?: number
}

/** What a program said when it failed. `exitCode` is null when it was killed or could not be started. */
export class CommandError extends Error {
  readonly exitCode: number | null
  readonly stderr: string
  /** The program is not installed. */
  readonly isMissing: boolean
  constructor(message: string, exitCode: number | null, stderr: string, isMissing = false) {
    super(message)
    this.name = 'CommandError'
    this.exitCode = exitCode
    this.stderr = stderr
    this.isMissing = isMissing
  }
}

const OUTPUT_BYTES_MAX = 16 << 20 // `nft -j list table` of some ten thousand elements

// Debian keeps ip and nft in sbin, which is not in an ordinary user's PATH.
const PATH = `${process.env.PATH ?? '/usr/bin:/bin'}:/usr/local/sbin:/usr/sbin:/sbin`

/** Resolves with standard output; throws a `CommandError` on any other end than exit code 0. */
export function run(program: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { input = '', timeoutMs = 30_000, signal, uid, gid } = options
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, PATH, LC_ALL: 'C' },
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
    })
    const output: Buffer[] = []
    let stderr = ''
    let bytes = 0
    let why = ''
    const kill = (reason: string) => {
      why ||= reason
      child.kill('SIGKILL')
    }
    const timer = setTimeout(() => kill(`took longer than ${timeoutMs} ms`), timeoutMs)
    const onAbort = () => kill('was cancelled')
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted) onAbort()
    const settle = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    }
    child.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > OUTPUT_BYTES_MAX) kill('said too much')
      else output.push(chunk)
    })
    child.stderr.on('data', (chunk: Buffer) => {
      if (stderr.length < 16_384) stderr += chunk.toString()
    })
    child.stdin.on('error', () => {}) // it may exit without reading all; its exit code tells
    child.stdin.end(input)
    child.on('error', (error: NodeJS.ErrnoException) => {
      settle()
      reject(new CommandError(`${program}: ${error.message}`, null, stderr, error.code === 'ENOENT'))
    })
    child.on('close', (code) => {
      settle()
      if (code === 0 && !why) return resolve(Buffer.concat(output).toString())
      const said = stderr.trim().split('\n').slice(-3).join('; ')
      reject(new CommandError(`${program} ${why || `failed (${code})`}${said ? `: ${said}` : ''}`, code, stderr))
    })
  })
}
