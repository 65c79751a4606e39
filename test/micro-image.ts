/** The micro image for tests that boot real machines: built once per state of its sources, then kept. */
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildMicro } from '../src/drivers/images/micro.ts'

const SOURCES = join(import.meta.dirname, '../src/drivers/images')

/** The path of a qcow2 that anybody may read. */
export async function microImage(): Promise<string> {
  const folder = join(tmpdir(), `havn-test-images-${process.getuid!()}`)
  const cache = join(folder, 'packages')
  mkdirSync(cache, { recursive: true, mode: 0o755 })
  const file = join(folder, `micro-${DIGEST}.qcow2`)
  if (existsSync(file)) return file
  const work = mkdtempSync(join(folder, 'build-'))
  try {
    const built = await buildMicro({ work, cache }, () => {})
    chmodSync(built, 0o644)
    renameSync(built, file)
    return file
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function digestOfSources(): string {
  const hash = createHash('sha256')
  for (const name of globSync(['{boot-disk,micro,packages}.ts', 'micro-guest/*'], { cwd: SOURCES }).sort()) {
    hash.update(name).update(readFileSync(join(SOURCES, name)))
  }
  return hash.digest('hex').slice(0, 16)
}

/** Of what this process has loaded, also when somebody edits it while the tests run. */
const DIGEST = digestOfSources()
