/**
 * Disks that are written before they replace one: a raw file whose beginning, up to the first zero byte, is the text
 * that the disk will hold. Found by the instance's id in its name, so nothing has to be remembered.
 */
import { closeSync, mkdirSync, openSync, readdirSync, readSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { CloudError } from '../../../model/errors.ts'
import type { InstanceId } from '../../../model/ids.ts'
import type { DiskVerbs, HostResource, InstanceSpec } from '../compute.ts'
import { endExports } from './exports.ts'
import { filesystemsOf, SCREEN, SILENT, says } from './guest.ts'
import { contentOf, isUp } from './machine.ts'
import type { SimulatorParts } from './parts.ts'

const CONTENT_BYTES_MAX = 16 << 20
const READ_BYTES = 1 << 16

export function diskVerbs(parts: SimulatorParts): DiskVerbs {
  const { clock, folder, find, change, verb } = parts
  const conflictWhileUp = ({ id }: InstanceSpec, what: string): void => {
    if (find(id)?.power === 'running') throw new CloudError('conflict', `the instance runs: ${what}`)
  }
  return {
    prepareDisk: (spec) =>
      verb('prepareDisk', spec.id, null, () => {
        discardPrepared(folder, spec.id)
        mkdirSync(folderOf(folder), { recursive: true, mode: 0o700 })
        return { file: fileOf(folder, spec), format: 'raw' as const }
      }),

    replaceDisk: (spec, signal) =>
      verb('replaceDisk', spec.id, signal, () => {
        const content = readContent(fileOf(folder, spec))
        const machine = find(spec.id)
        const disks = machine?.disks ?? []
        if (content === null) {
          if (disks.includes(spec.generation)) return
          throw new CloudError('conflict', 'no disk was prepared')
        }
        conflictWhileUp(spec, 'stop it before its disk is replaced')
        endExports(parts, spec.id)
        change(spec.id, {
          disks: disks.includes(spec.generation) ? disks : [...disks, spec.generation],
          contents: { ...machine?.contents, [spec.generation]: content },
          snapshots: (machine?.snapshots ?? []).filter(({ generation }) => generation !== spec.generation),
        })
        // Last: until it is gone, this can be done again.
        discardPrepared(folder, spec.id)
      }),

    discardPreparedDisk: (spec) => verb('discardPreparedDisk', spec.id, null, () => discardPrepared(folder, spec.id)),

    screenshot: (id) => verb('screenshot', id, null, () => (isUp(find(id), clock.now()) ? SCREEN : null)),

    inspectGuest: (id) =>
      verb('inspectGuest', id, null, () => {
        const machine = find(id)
        const now = clock.now()
        if (!isUp(machine, now) || (machine.readyAt ?? now) > now || !says(contentOf(machine), 'agent')) return SILENT
        return {
          answers: true,
          os: 'Simulated OS',
          uptimeSeconds: Math.floor((now - (machine.startedAt ?? now)) / 1e3),
        }
      }),

    checkFilesystems: (spec, signal) =>
      verb('checkFilesystems', spec.id, signal, () => {
        conflictWhileUp(spec, 'stop it before its file systems are checked')
        const machine = find(spec.id)
        if (!machine?.disks.includes(spec.generation)) throw new CloudError('conflict', 'the instance has no disk')
        return filesystemsOf(machine.contents[spec.generation] ?? '')
      }),
  }
}

export function discardPrepared(folder: string, id: InstanceId): void {
  for (const file of filesIn(folder)) {
    if (ownerOf(file) === id) rmSync(join(folderOf(folder), file), { force: true })
  }
}

export const preparedResources = (folder: string): HostResource[] =>
  filesIn(folder).map((file) => ({ kind: 'disk', name: `prepared/${file}`, instanceId: ownerOf(file) }))

const folderOf = (folder: string) => join(folder, 'prepared')
const fileOf = (folder: string, { id, generation }: InstanceSpec) => join(folderOf(folder), `${id}-g${generation}.raw`)
const ownerOf = (file: string) => file.slice(0, file.indexOf('-')) as InstanceId

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folderOf(folder))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** Null when there is no such file. */
function readContent(file: string): string | null {
  let fd: number
  try {
    fd = openSync(file, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  try {
    const parts: Buffer[] = []
    for (let position = 0; position < CONTENT_BYTES_MAX; ) {
      const piece = Buffer.alloc(READ_BYTES)
      const got = readSync(fd, piece, 0, READ_BYTES, position)
      const end = piece.subarray(0, got).indexOf(0)
      parts.push(piece.subarray(0, end < 0 ? got : end))
      if (got < READ_BYTES || end >= 0) break
      position += got
    }
    return Buffer.concat(parts).toString()
  } finally {
    closeSync(fd)
  }
}
