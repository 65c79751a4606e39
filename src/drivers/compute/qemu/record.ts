/**
 * The driver's own notes on one instance, and where its files lie. The folder belongs to root and holds files that
 * belong to QEMU's user one by one: a QEMU that was taken over must not be able to swap a file under our hands, nor
 * write the notes that tell us which process to kill. Only the socket folder is the unprivileged user's own.
 * The notes are written before the thing they are about is made, so that a crash leaves nothing unknown.
 */
import { chmod, chown, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { InstanceId } from '../../../model/ids.ts'
import type { InstanceSpec } from '../compute.ts'
import type { Owner, ProcessIdentity } from './host/process.ts'

export interface InstanceRecord {
  id: InstanceId
  uuid: string
  number: number
  generation: number
  vcpus: number
  memoryMib: number
  mac: string
  ipv4: string | null
  ipv6: string | null
  /** What we were last told; `running` and no process means it crashed. */
  wanted: 'running' | 'stopped'
  /** How the present or last run is connected; null before the first. */
  net: 'tap' | 'user' | 'none' | null
  process: ProcessIdentity | null
  /** ISO time at which the vCPUs of the present run started. */
  startedAt: string | null
}

export const newRecord = (spec: InstanceSpec): InstanceRecord => ({
  id: spec.id,
  uuid: spec.uuid,
  number: spec.number,
  generation: spec.generation,
  vcpus: spec.vcpus,
  memoryMib: spec.memoryMib,
  mac: spec.mac,
  ipv4: spec.ipv4,
  ipv6: spec.ipv6,
  wanted: 'stopped',
  net: null,
  process: null,
  startedAt: null,
})

export interface InstanceFiles {
  folder: string
  record: string
  log: string
  serial: string
  run: string
  /** What a checker of file systems looks at. */
  copy: string
  screen: string
  disk(generation: number): string
  /** Written there before it becomes the root disk. */
  prepared(generation: number): string
  seed(generation: number): string
}

export const ID = /^inst_[0-9a-z]+$/

export interface Folders {
  images: string
  instances: string
  run: string
}

export function filesOf({ instances, run }: Folders, id: InstanceId): InstanceFiles {
  if (!ID.test(id)) throw new Error(`not an instance id: ${JSON.stringify(id)}`)
  const folder = join(instances, id)
  return {
    folder,
    record: join(folder, 'instance.json'),
    log: join(folder, 'qemu.log'),
    serial: join(folder, 'serial.log'),
    run: join(run, id),
    disk: (generation) => join(folder, `disk-g${generation}.qcow2`),
    prepared: (generation) => join(folder, `disk-g${generation}.prepared.qcow2`),
    copy: join(folder, 'disk-check.raw'),
    screen: join(folder, 'screen.png'),
    seed: (generation) => join(folder, `seed-g${generation}.img`),
  }
}

/** Null when this host knows nothing of it. */
export async function readRecord(files: InstanceFiles): Promise<InstanceRecord | null> {
  try {
    return JSON.parse(await readFile(files.record, 'utf8')) as InstanceRecord
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** Atomic and on disk when it returns. */
export async function writeRecord(files: InstanceFiles, record: InstanceRecord): Promise<void> {
  await mkdir(files.folder, { recursive: true })
  await chmod(files.folder, process.getuid!() === 0 ? 0o711 : 0o700)
  const temporary = `${files.record}.new`
  const handle = await open(temporary, 'w', 0o600)
  try {
    await handle.writeFile(JSON.stringify(record, null, 1))
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(temporary, files.record)
}

/** An empty, private socket folder: what a killed QEMU left there would be in the way of the next. */
export async function makeRunFolder(files: InstanceFiles, owner: Owner | null): Promise<void> {
  await rm(files.run, { recursive: true, force: true })
  await mkdir(files.run, { recursive: true, mode: 0o700 })
  if (owner) await chown(files.run, owner.uid, owner.gid)
}

/** The ids that have a folder here. */
export async function idsIn(folder: string): Promise<InstanceId[]> {
  try {
    return (await readdir(folder)).filter((name) => ID.test(name)) as InstanceId[]
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
