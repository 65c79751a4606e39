/** Host programs (`ip`, `nft`, `qemu-img` …) with a deadline, never through a shell. */
import { RunError, type RunOptions, run as runProgram } from '../../../../lib/run.ts'

export { RunError as CommandError }

// Debian keeps ip and nft in sbin, which is not in an ordinary user's PATH.
const PATH = `${process.env.PATH ?? '/usr/bin:/bin'}:/usr/local/sbin:/usr/sbin:/sbin`
const TIMEOUT_MS = 30_000

/** Its standard output; throws a `CommandError` on any other end than exit code 0. */
export const run = (program: string, args: readonly string[], options: RunOptions = {}): Promise<string> =>
  runProgram(program, args, { timeoutMs: TIMEOUT_MS, env: { ...process.env, PATH }, ...options })
