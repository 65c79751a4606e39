/**
 * `./havn test`, `npm test`: check, then the suite in parts, on one throw-away PostgreSQL. One line a file, the whole
 * story of a failure, minutes per part, and a closing line `N passed, N failed`.
 *
 *   --part NAME   only that part (may be given again): check, unit, crash, flows, wire, real
 *   --all         the whole crash matrix, and every walk of kills on real machines, instead of a seeded sample
 *                 (HAVN_TEST_ALL=1)
 *   FILE…         only these test files
 */
import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, relative } from 'node:path'
import { run } from 'node:test'
import { inspect, parseArgs } from 'node:util'
import { ensurePackages } from '../src/main/packages.ts'
import { startTestPostgres } from '../test/postgres.ts'
import { check } from './check.ts'

const root = join(import.meta.dirname, '..')
const FILE_TIMEOUT_MS = 20 * 60_000
const WHOLE_TIMEOUT_MS = 3 * 60 * 60_000 // of walks that are usually sampled

interface Part {
  name: string
  files: () => string[]
  /** Test files side by side. */
  concurrency: number
}
const find = (...patterns: string[]) => globSync(patterns, { cwd: root }).sort()
const ROOMS = 'test/rooms.test.ts' // is part of check
const LONGEST = 'test/flows/real-cloud.real.test.ts'
const isReal = (file: string) => file.endsWith('.real.test.ts')
const cores = availableParallelism()
/** One more than there are cores: each waits now and then, for a disk, a timer or PostgreSQL. */
const sideBySide = cores + 1
const PARTS: readonly Part[] = [
  {
    name: 'unit',
    files: () =>
      find('src/**/*.test.ts', 'scripts/**/*.test.ts', 'test/*.test.ts').filter(
        (file) => !isReal(file) && file !== ROOMS,
      ),
    concurrency: sideBySide,
  },
  { name: 'crash', files: () => find('test/crash/**/*.test.ts'), concurrency: sideBySide },
  {
    name: 'flows',
    files: () => find('test/flows/**/*.test.ts').filter((file) => !isReal(file)),
    concurrency: sideBySide,
  },
  {
    name: 'wire',
    files: () => find('test/wire/**/*.test.ts').filter((file) => !isReal(file)),
    concurrency: sideBySide,
  },
  // Whole machines boot here, and an emulated one keeps a core busy. The longest file first: nothing waits for it then.
  {
    name: 'real',
    files: () => [LONGEST, ...find('{src,test}/**/*.real.test.ts').filter((it) => it !== LONGEST)],
    concurrency: cores,
  },
]

interface Tally {
  passed: number
  failed: number
}

const { values, positionals } = parseArgs({
  options: { all: { type: 'boolean', default: false }, part: { type: 'string', multiple: true } },
  allowPositionals: true,
})
const known = ['check', ...PARTS.map((part) => part.name)]
for (const name of values.part ?? []) {
  if (!known.includes(name)) {
    console.error(`there is no part ${JSON.stringify(name)}; the parts are ${known.join(', ')}`)
    process.exit(2)
  }
}
process.chdir(root)
process.exit(await main())

async function main(): Promise<number> {
  if (values.all) process.env.HAVN_TEST_ALL = '1'
  ensurePackages({ database: true, machines: true, rsync: true, clients: true }, (line) => console.log(line))
  const total: Tally = { passed: 0, failed: 0 }
  const minutes: string[] = []
  const wanted = (name: string) => (values.part ? values.part.includes(name) : positionals.length === 0)

  if (wanted('check')) {
    const began = performance.now()
    total[check() ? 'passed' : 'failed'] += 1
    minutes.push(`check ${since(began)}`)
  }
  const server = await startTestPostgres()
  process.env.HAVN_TEST_POSTGRES = server.url
  const parts =
    positionals.length > 0
      ? [{ name: 'files', files: () => positionals.map((file) => relative(root, file) || file), concurrency: 1 }]
      : PARTS.filter((part) => wanted(part.name))
  for (const part of parts) {
    const began = performance.now()
    const tally = await runPart(part)
    total.passed += tally.passed
    total.failed += tally.failed
    minutes.push(`${part.name} ${since(began)}`)
  }
  server.stop()
  console.log(`\nminutes: ${minutes.join(', ')}`)
  console.log(`${total.passed} passed, ${total.failed} failed`)
  return total.failed > 0 || total.passed === 0 ? 1 : 0
}

function since(began: number): string {
  return ((performance.now() - began) / 60_000).toFixed(1)
}

/** Runs a part's files, each in a process of its own, and prints as they end. */
async function runPart(part: Part): Promise<Tally> {
  const files = part.files()
  const tally: Tally = { passed: 0, failed: 0 }
  if (files.length === 0) return tally
  console.log(`\n== ${part.name}: ${files.length} files`)
  const stream = run({ files, concurrency: part.concurrency, timeout: values.all ? WHOLE_TIMEOUT_MS : FILE_TIMEOUT_MS })
  for await (const { type, data } of stream) {
    if (type === 'test:pass' && data.details.type !== 'suite') tally.passed += 1
    if (type === 'test:fail' && !failsByItsTests(data.details.error)) {
      tally.failed += 1
      console.log(`\nFAILED ${relative(root, data.file ?? '')}:${data.line} ${data.name}`)
      const { cause } = data.details.error as Error
      console.log(inspect(cause ?? data.details.error, { depth: 6 }).replace(/^/gm, '    '), '\n')
    }
    if (type === 'test:stdout' || type === 'test:stderr') process.stdout.write(data.message)
    if (type === 'test:summary' && data.file) {
      const { counts } = data
      const outcome = data.success ? 'ok    ' : 'FAILED'
      console.log(
        `${outcome} ${relative(root, data.file)}  ${counts.tests} tests, ${(data.duration_ms / 1000).toFixed(1)} s`,
      )
    }
  }
  return tally
}

/** A file or a suite that failed only because something in it did is counted there; its own hooks may fail as well. */
const failsByItsTests = (error: Error): boolean =>
  (error as Error & { failureType?: string }).failureType === 'subtestsFailed'
