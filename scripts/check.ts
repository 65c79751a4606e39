/** `npm run check`: types, format and lint, and the rooms test. Says which of them failed and ends with 1. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const STEPS: readonly (readonly [name: string, file: string, ...args: string[]])[] = [
  ['types', join(root, 'node_modules/.bin/tsc'), '--noEmit'],
  ['format and lint', join(root, 'node_modules/.bin/biome'), 'check', '--error-on-warnings', '.'],
  ['rooms', process.execPath, '--test', '--test-reporter=dot', 'test/rooms.test.ts'],
]

export function check(): boolean {
  const failed = STEPS.filter(([, file, ...args]) => {
    const { status, error } = spawnSync(file, args, { cwd: root, stdio: 'inherit' })
    if (error) console.error(error.message)
    return status !== 0
  })
  if (failed.length > 0) console.error(`check failed: ${failed.map(([name]) => name).join(', ')}`)
  return failed.length === 0
}

if (import.meta.main) process.exitCode = check() ? 0 : 1
