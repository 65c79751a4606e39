/** `up --detach`: starts the supervisor in a session of its own and returns when it has settled. */
import { fork } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { pathsOf } from '../lib/paths.ts'
import { readConfig } from './config.ts'
import { ensureHome } from './home.ts'

/** What the supervisor sends over its channel while somebody waits. */
export type Report = { line: string } | { settled: string | null } | { failed: string; exit: number }

/** Returns the exit code. */
export async function upDetached(args: readonly string[], print: (line: string) => void): Promise<number> {
  const paths = pathsOf(readConfig(process.env).home)
  ensureHome(paths)
  // Nothing of ours is handed on: whoever reads our output through a pipe would wait for the supervisor's end.
  const errors = openSync(join(paths.logs, 'havn.log'), 'a', 0o600)
  const child = fork(join(import.meta.dirname, 'havn.ts'), ['up', ...args], {
    detached: true,
    stdio: ['ignore', 'ignore', errors, 'ipc'],
  })
  closeSync(errors)
  return new Promise((resolve) => {
    child.on('message', (report: Report) => {
      if ('line' in report) return print(report.line)
      child.disconnect()
      child.unref()
      if ('failed' in report) {
        console.error(`havn: ${report.failed}`)
        return resolve(report.exit)
      }
      if (report.settled === null) print('runs in the background; ./havn status shows it, ./havn down stops it')
      resolve(report.settled === null ? 0 : 1)
    })
    child.once('exit', (code, signal) => {
      console.error(
        `havn: the supervisor ended (${signal ?? `exit code ${code}`}); its log is ${join(paths.logs, 'havn.log')}`,
      )
      resolve(code || 1)
    })
  })
}
