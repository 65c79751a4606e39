/**
 * Debian packages as material for an image: downloaded with apt (which verifies them) into a cache folder and unpacked
 * beside, never installed. Needs no root, only apt's package lists.
 */
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../lib/run.ts'
import { CloudError } from '../../model/errors.ts'

/** The packages' files in `cacheFolder`, fetched where they are not there yet. `unavailable` when apt cannot. */
export async function fetchPackages(names: readonly string[], cacheFolder: string): Promise<string[]> {
  // apt leaves a broken-off download under the final name and does not list what is already there, so it works in an
  // empty folder beside.
  const partial = join(cacheFolder, `partial-${process.pid}`)
  await mkdir(partial, { recursive: true })
  const sandbox = process.getuid?.() === 0 ? ['-o', 'APT::Sandbox::User=root'] : [] // the cache is ours alone
  try {
    const wanted = await run('apt-get', ['download', ...sandbox, '--print-uris', ...names], { cwd: partial })
    const files = [...wanted.matchAll(/^'[^']+' (\S+) \d+/gm)].map((match) => match[1]!)
    const missing = files.filter((file) => !existsSync(join(cacheFolder, file)))
    if (missing.length) {
      const wantedNames = names.filter((name) => missing.some((file) => file.startsWith(`${name}_`)))
      await run('apt-get', ['download', ...sandbox, '-q', ...wantedNames], { cwd: partial, timeoutMs: 600_000 })
      for (const file of await readdir(partial)) await rename(join(partial, file), join(cacheFolder, file))
    }
    const left = files.filter((file) => !existsSync(join(cacheFolder, file)))
    if (left.length || files.length < names.length) throw new Error(`apt did not bring ${left.join(', ') || 'all'}`)
    return files.map((file) => join(cacheFolder, file))
  } catch (cause) {
    const message = 'cannot fetch the Debian packages of the image; run `apt-get update` and see that apt works here'
    throw new CloudError('unavailable', message, { cause })
  } finally {
    await rm(partial, { recursive: true, force: true })
  }
}

/** The newest kernel that the metapackage stands for, as a package name. */
export async function kernelPackage(metapackage = 'linux-image-cloud-amd64'): Promise<string> {
  const text = await run('apt-cache', ['depends', metapackage]).catch(() => '')
  const name = /Depends: (linux-image-\S+)/.exec(text)?.[1]
  if (name) return name
  const message = `apt knows no ${metapackage}; images are built on Debian, after \`apt-get update\``
  throw new CloudError('unavailable', message)
}

/** Unpacks into `folder`; with `members`, only those (tar patterns, as they stand in the archive). */
export async function unpack(files: readonly string[], folder: string, members: readonly string[] = []): Promise<void> {
  await mkdir(folder, { recursive: true })
  for (const file of files) {
    if (!members.length) await run('dpkg-deb', ['--extract', file, folder])
    else {
      const pipe =
        'set -o pipefail; dpkg-deb --fsys-tarfile "$0" | (cd "$1" && shift && tar -x --no-same-owner --wildcards "$@")'
      await run('bash', ['-c', pipe, file, folder, ...members])
    }
  }
}

/** A program or library inside an unpacked tree, wherever this release keeps it. */
export function findIn(tree: string, ...candidates: string[]): string {
  const found = candidates.map((path) => join(tree, path)).find((path) => existsSync(path))
  if (!found) throw new CloudError('unavailable', `the packages do not hold ${candidates[0]}`)
  return found
}

/** Runs a program of an unpacked tree with the tree's own loader and libraries: the host's need not fit. */
export async function runIn(tree: string, program: string, args: readonly string[]): Promise<string> {
  const path = findIn(tree, `usr/bin/${program}`, `bin/${program}`, `usr/sbin/${program}`, `sbin/${program}`)
  return run(loader(tree), ['--library-path', libraryPath(tree), path, ...args], { timeoutMs: 300_000 })
}

/** The libraries that a program of the tree loads, as paths inside the tree. */
export async function librariesOf(tree: string, program: string): Promise<string[]> {
  const text = await run(loader(tree), ['--library-path', libraryPath(tree), '--list', program])
  const libraries = [...text.matchAll(/=> (\S+)/g)].map((match) => match[1]!)
  const foreign = libraries.filter((path) => !path.startsWith(tree))
  if (foreign.length) throw new CloudError('unavailable', `the packages lack libraries: ${foreign.join(', ')}`)
  return libraries
}

export const loader = (tree: string): string =>
  findIn(tree, 'lib64/ld-linux-x86-64.so.2', 'usr/lib64/ld-linux-x86-64.so.2')

const LIBRARY_FOLDERS = ['lib/x86_64-linux-gnu', 'usr/lib/x86_64-linux-gnu']
const libraryPath = (tree: string): string => LIBRARY_FOLDERS.map((folder) => join(tree, folder)).join(':')

/** The modules a kernel module needs, from what the kernel's build wrote into the file. */
export async function moduleDependencies(file: string): Promise<string[]> {
  const text = (await readFile(file)).toString('latin1')
  const depends = /\0depends=([^\0]*)\0/.exec(text)?.[1] ?? ''
  return depends ? depends.split(',').map((name) => name.replaceAll('-', '_')) : []
}
