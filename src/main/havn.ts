/** What `./havn` starts: the words that run the cloud are handled here, all others are a client's. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const [command, ...rest] = process.argv.slice(2)
if (command === 'test') {
  const script = join(import.meta.dirname, '../../scripts/test.ts')
  process.exitCode = spawnSync(process.execPath, [script, ...rest], { stdio: 'inherit' }).status ?? 1
}
