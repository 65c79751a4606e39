/**
 * A throw-away PostgreSQL for a test run. It must not outlive the run, however the run ends: a small shell holds the
 * other end of a pipe of ours and clears away when that closes, which a kill -9 does too.
 */
import { spawn } from 'node:child_process'
import { chmodSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '../src/main/postgres.ts'

const CLEAR_AWAY =
  'cat >/dev/null; kill -QUIT "$1"; n=0; while readlink "/proc/$1/exe" >/dev/null 2>&1 && [ $n -lt 100 ]; do n=$((n+1)); sleep 0.05; done; rm -rf -- "$2"'

export interface TestPostgres {
  /** The database `postgres` on it, as HAVN_TEST_POSTGRES carries it. */
  url: string
  stop(): void
}

export async function startTestPostgres(): Promise<TestPostgres> {
  const folder = mkdtempSync(join(tmpdir(), 'havn-test-'))
  chmodSync(folder, 0o711) // PostgreSQL runs as another user when we are root, and has to get through
  const server = await startPostgres({
    data: join(folder, 'data'),
    sockets: join(folder, 'run'),
    log: join(folder, 'postgres.log'),
    durable: false,
  })
  const reaper = spawn('sh', ['-c', CLEAR_AWAY, 'sh', String(server.process.pid), folder], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  reaper.unref()
  ;(reaper.stdin as unknown as { unref(): void }).unref()
  return { url: server.url.replace('/havn?', '/postgres?'), stop: () => reaper.stdin.end() }
}
