/**
 * The house keeps itself tidy: who may import whom (docs/architecture.md has the reasons), no file that nobody uses,
 * no marker that somebody meant to come back to, and no document that names a file which is not there.
 */
import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '..')
const find = (...patterns: string[]) =>
  globSync(patterns, { cwd: root, exclude: ['**/node_modules/**', '.tools/**'] }).sort()
const read = (file: string) => readFileSync(join(root, file), 'utf8')

/** A room, and the path prefixes under src/ that it may import besides itself. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  main: [''],
  dialects: ['services/', 'model/', 'lib/'],
  services: ['jobs/', 'store/', 'drivers/', 'model/', 'lib/'],
  jobs: ['store/', 'drivers/', 'model/', 'lib/'],
  store: ['model/', 'lib/'],
  drivers: ['model/', 'lib/'],
  cli: ['dialects/native/contract.ts', 'dialects/native/contract/', 'model/', 'lib/'],
  model: [],
  lib: [],
}
/** Services see drivers as types: only a job changes the world. */
const TYPES_ONLY: readonly [room: string, prefix: string][] = [['services', 'drivers/']]
/** Errors of blobs, which a service must tell apart, and the bytes of backups, which pass through services. */
const VALUES_TOO = ['drivers/objects/objects.ts', 'drivers/backups/']
/** Files that something outside the imports starts. */
const ENTRIES = [/^src\/main\/(havn|child)\.ts$/, /^scripts\//, /^bench\//, /\.test\.ts$/, /^src\/drivers\/.*task\.ts$/]

const sources = find('{src,test,scripts,bench}/**/*.ts')
interface Import {
  from: string
  to: string
  typeOnly: boolean
}
const IMPORT =
  /(?:^|\n)\s*(import|export)\s+(type\s)?[^'"`;]*?from\s+'(\.[^']+)'|(?:^|\n)\s*import\s+'(\.[^']+)'|\bimport\(\s*'(\.[^']+)'/g
const imports: Import[] = sources.flatMap((from) =>
  [...read(from).matchAll(IMPORT)].map((match) => ({
    from,
    to: normalize(join(dirname(from), (match[3] ?? match[4] ?? match[5]) as string)),
    typeOnly: match[2] !== undefined,
  })),
)

test('every room imports only what it may', () => {
  const wrong = imports.filter(({ from, to, typeOnly }) => {
    if (!from.startsWith('src/') || from.endsWith('.test.ts')) return false
    const [, room = ''] = from.split('/')
    const allowed = MAY_IMPORT[room]
    if (!allowed || !to.startsWith('src/')) return true
    const target = to.slice('src/'.length)
    if (target.startsWith(`${room}/`)) return isAnotherDialect(from, to)
    const asType = TYPES_ONLY.some(([who, prefix]) => who === room && target.startsWith(prefix))
    if (asType && !typeOnly && !VALUES_TOO.some((prefix) => target.startsWith(prefix))) return true
    return !allowed.some((prefix) => target.startsWith(prefix))
  })
  assert.deepEqual(wrong, [])
})

/** A dialect can be deleted by deleting its folder; `http/` is what they share. */
function isAnotherDialect(from: string, to: string): boolean {
  const [, room, mine] = from.split('/')
  const [, , theirs] = to.split('/')
  return room === 'dialects' && mine !== theirs && theirs !== 'http'
}

test('every import leads to a file', () => {
  assert.deepEqual(
    imports.filter(({ to }) => !existsSync(join(root, to))),
    [],
  )
})

test('no file is left that nobody uses', () => {
  const used = new Set(imports.map(({ to }) => to))
  // A program started by its path is used by whoever names it.
  const named = (file: string) =>
    sources.some((other) => other !== file && read(other).includes(`/${file.split('/').at(-1)}'`))
  const dead = sources.filter((file) => !used.has(file) && !ENTRIES.some((entry) => entry.test(file)) && !named(file))
  assert.deepEqual(dead, [])
})

test('no marker of unfinished work, no test switched off', () => {
  const marker = new RegExp(`\\b(TO${'DO'}|FIX${'ME'}|XX${'X'})\\b|\\.(on${'ly'}|sk${'ip'})\\(`)
  const found = sources.flatMap((file) =>
    read(file)
      .split('\n')
      .flatMap((line, index) => (marker.test(line) ? [`${file}:${index + 1} ${line.trim()}`] : [])),
  )
  assert.deepEqual(found, [])
})

test('files that the documents name exist', () => {
  const missing = find('README.md', 'docs/**/*.md').flatMap((document) =>
    [
      ...read(document).matchAll(
        /`((?:src|docs|test|scripts|bench|catalog)\/[\w./-]+\.\w+)`|\]\((?!https?:)([\w./-]+\.md)\)/g,
      ),
    ]
      .map((match) => match[1] ?? relative(root, join(root, dirname(document), match[2] as string)))
      .filter((file) => !existsSync(join(root, file)))
      .map((file) => `${document} names ${file}`),
  )
  assert.deepEqual(missing, [])
})

test('the lockfile names every optional package, without which npm ci refuses it', () => {
  const { packages } = JSON.parse(read('package-lock.json')) as {
    packages: Record<string, { optionalDependencies?: Record<string, string> }>
  }
  const missing = Object.values(packages)
    .flatMap(({ optionalDependencies = {} }) => Object.keys(optionalDependencies))
    .filter((name) => packages[`node_modules/${name}`] === undefined)
  assert.deepEqual(missing, [])
})
