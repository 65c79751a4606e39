/**
 * The root disk: a qcow2 overlay over a catalogue file that never changes. Its name carries the generation, so a rebuild
 * makes a new file and never writes over one. It appears under its name only when it is whole.
 */
import { chmod, chown, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { CloudError } from '../../../model/errors.ts'
import { removeStoredMarks } from './exports/marks.ts'
import { CommandError, run } from './host/command.ts'
import type { Owner } from './host/process.ts'

export interface DiskInput {
  /** Where it shall lie. */
  file: string
  /** The catalogue file, qcow2. */
  base: string
  sizeGib: number
  owner: Owner | null
  signal: AbortSignal
}

interface ImageInfo {
  format: string
  'virtual-size': number
  'backing-filename'?: string
  'format-specific'?: { data?: { corrupt?: boolean; 'data-file'?: string } }
}

/**
 * Throws `not_found` without the base, `invalid` when that is damaged or larger than the disk, `unavailable` when the
 * host's disk is full.
 */
export async function ensureDisk(input: DiskInput): Promise<void> {
  if (await exists(input.file)) return
  await sweep(input.file)
  const base = await inspectBase(input)
  const bytes = input.sizeGib * 2 ** 30
  if (base['virtual-size'] > bytes) {
    const needed = Math.ceil(base['virtual-size'] / 2 ** 30)
    throw new CloudError('invalid', `the image needs a disk of ${needed} GiB, the plan has ${input.sizeGib} GiB`)
  }
  const temporary = join(dirname(input.file), `.${basename(input.file)}.${process.pid}.new`)
  try {
    // Relative, so that the whole home can be moved to another folder.
    const backing = relative(dirname(input.file), input.base)
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', backing, temporary, String(bytes)], {
      signal: input.signal,
    })
    await chmod(temporary, 0o600)
    if (input.owner) await chown(temporary, input.owner.uid, input.owner.gid)
    await rename(temporary, input.file)
  } catch (error) {
    await rm(temporary, { force: true })
    throw explain(error, 'the disk could not be made')
  }
}

/** Grows the stopped disk to `sizeGib`; never shrinks. */
export async function growDisk(file: string, sizeGib: number, signal: AbortSignal): Promise<void> {
  const size = await virtualSize(file)
  if (size >= sizeGib * 2 ** 30) return
  try {
    // A mark that was not stored whole would be in the way, and none of them knows of the room that comes.
    await removeStoredMarks(file, () => true)
    await run('qemu-img', ['resize', '-q', '-f', 'qcow2', file, `${sizeGib}G`], { signal })
  } catch (error) {
    throw explain(error, 'the disk could not be grown')
  }
}

/** Bytes 24 to 31 of the header, big endian (QEMU, docs/interop/qcow2.txt); a process less than `qemu-img info`. */
async function virtualSize(file: string): Promise<bigint> {
  const handle = await open(file, 'r')
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(32), 0, 32, 0)
    if (bytesRead === 32 && buffer.readUInt32BE(0) === QCOW2_MAGIC) return buffer.readBigUInt64BE(24)
  } finally {
    await handle.close()
  }
  throw new CloudError('conflict', `${file} is no qcow2 disk any more; restore it, or rebuild the instance`)
}
const QCOW2_MAGIC = 0x514649fb // "QFI" and 0xfb

/** Of the disks in an instance's folder; null when there is none. */
export async function newestGeneration(folder: string): Promise<number | null> {
  const found = (await readdir(folder)).map((name) => Number(/^disk-g(\d+)\.qcow2$/.exec(name)?.[1] ?? Number.NaN))
  const generations = found.filter((generation) => !Number.isNaN(generation))
  return generations.length === 0 ? null : Math.max(...generations)
}

/** What belongs to generations before this one. */
export async function removeOldGenerations(folder: string, generation: number): Promise<void> {
  for (const name of await readdir(folder)) {
    const match = /^(?:disk|seed|snapshots)-g(\d+)\./.exec(name)
    if (match && Number(match[1]) < generation) await rm(join(folder, name), { force: true })
  }
}

/** Catalogue files that were found good, with what changes when somebody touches one; there are few of them. */
const inspected = new Map<string, { state: string; info: ImageInfo }>()

/** The file is looked at once, and again when it was touched meanwhile. */
async function inspectBase(input: DiskInput): Promise<ImageInfo> {
  const { base, owner } = input
  const found = await stat(base).catch(() => null)
  if (!found) {
    throw new CloudError('not_found', `the image file ${basename(base)} is missing; build or import the image again`)
  }
  const state = [found.ino, found.size, found.mtimeMs, found.ctimeMs, owner?.uid].join()
  const known = inspected.get(base)
  if (known?.state === state) return known.info
  const info = await readBase(input)
  inspected.set(base, { state, info })
  return info
}

/** Read as the user QEMU runs as: what that user cannot open, no instance can start from. */
async function readBase({ base, owner, signal }: DiskInput): Promise<ImageInfo> {
  let info: ImageInfo
  try {
    info = await imageInfo(base, { signal, ...owner })
  } catch (error) {
    if (signal.aborted || (error instanceof CommandError && error.isMissing)) throw explain(error, 'image')
    if (/Permission denied/.test((error as Error).message)) {
      throw new CloudError(
        'unavailable',
        `QEMU's user cannot read ${base}; make it and the folders above it readable`,
        {
          cause: error,
        },
      )
    }
    throw damaged(base, error)
  }
  const data = info['format-specific']?.data
  if (data?.corrupt || data?.['data-file'] || info['backing-filename']) throw damaged(base)
  return info
}

const damaged = (base: string, cause?: unknown) =>
  new CloudError(
    'invalid',
    `the image file ${basename(base)} is damaged; delete the image and build or import it again`,
    {
      cause,
    },
  )

/** `-U`: it may be running; only the header is read. */
async function imageInfo(
  file: string,
  options: { signal: AbortSignal; uid?: number; gid?: number },
): Promise<ImageInfo> {
  const text = await run('qemu-img', ['info', '-U', '-f', 'qcow2', '--output=json', file], options)
  return JSON.parse(text) as ImageInfo
}

function explain(error: unknown, what: string): unknown {
  if (!(error instanceof CommandError)) return error
  if (error.isMissing) {
    return new CloudError('unavailable', 'qemu-img is missing; on Debian: apt-get install qemu-utils', { cause: error })
  }
  if (/No space left|Disk quota exceeded/.test(error.stderr)) {
    return new CloudError('unavailable', `${what}: the host's disk is full; delete something or add space`, {
      cause: error,
    })
  }
  return new CloudError('unavailable', `${what}: ${error.message}`, { cause: error })
}

/** What a run that was killed left half done. */
async function sweep(file: string): Promise<void> {
  const prefix = `.${basename(file)}.`
  for (const name of await readdir(dirname(file))) {
    if (name.startsWith(prefix)) await rm(join(dirname(file), name), { force: true })
  }
}

const exists = (file: string) =>
  stat(file).then(
    () => true,
    () => false,
  )
