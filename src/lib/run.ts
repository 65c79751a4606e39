/** Runs another program to its end. */
import { spawn } from 'node:child_process'

export interface RunOptions {
  cwd?: string
  env?: NodeJS.ProcessEnv
  input?: string
  uid?: number
  gid?: number
  timeoutMs?: number
  signal?: AbortSignal
  /** Open files that it finds as 3, 4, … */
  fds?: readonly number[]
  /** Gets each piece of the error output as it comes. */
  onStderr?: (text: string) => void
}

/** Of what it said in the end; the whole is in `stderr`. */
const LINES_SHOWN = 8

/** What a program said when it failed; `status` is null when it was killed or could not be started. */
export class RunError extends Error {
  readonly status: number | null
  readonly stderr: string
  /** The end of its output. */
  readonly stdout: string
  /** The program is not installed. */
  readonly isMissing: boolean
  constructor(program: string, status: number | null, why: string, stderr: string, isMissing = false, stdout = '') {
    const end = stderr.trim().split('\n').slice(-LINES_SHOWN).join('\n').slice(-2000)
    super(`${program} ${why}${end ? `: ${end}` : ''}`)
    this.name = 'RunError'
    this.status = status
    this.stderr = stderr
    this.stdout = stdout
    this.isMissing = isMissing
  }
}

const OUTPUT_BYTES_MAX = 16 * 1024 * 1024

/** Its standard output. Throws `RunError` when it cannot be started, fails, takes too long or says too much. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { input, onStderr, timeoutMs, fds = [], ...rest } = options
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      ...rest,
      env: { ...(options.env ?? process.env), LC_ALL: 'C' },
      stdio: ['pipe', 'pipe', 'pipe', ...fds],
      ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }),
      killSignal: 'SIGKILL',
    })
    const out: Buffer[] = []
    let size = 0
    let stderr = ''
    if (!child.stdin || !child.stdout || !child.stderr) throw new Error('unreachable: all three are pipes')
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > OUTPUT_BYTES_MAX) child.kill('SIGKILL')
      else out.push(chunk)
    })
    child.stderr.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk).slice(-64 * 1024)
      onStderr?.(chunk.toString())
    })
    child.stdin.on('error', () => {}) // it may end without reading; its status says how that went
    child.stdin.end(input ?? '')
    child.on('error', (error: NodeJS.ErrnoException) =>
      reject(new RunError(program, null, `cannot run (${error.message})`, stderr, error.code === 'ENOENT')),
    )
    child.on('close', (status, signal) => {
      const stdout = Buffer.concat(out).toString()
      if (status === 0) return resolve(stdout)
      const why = signal ? `was ended by ${signal}` : `failed (${status})`
      reject(new RunError(program, status, why, stderr, false, stdout.slice(-64 * 1024)))
    })
  })
}
