/**
 * Exports of disks that do not exist: a raw file, as long as the disk, that holds what little there is. The machine's
 * line in the journal says which are open; the files are named from the instance, so one that a crash left is found
 * without it. There is no map of changes, so marks would have no reader: every source is to be read whole, which is
 * what a driver may always say.
 */
import { mkdirSync, readdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CloudError } from '../../../model/errors.ts'
import type { InstanceId } from '../../../model/ids.ts'
import type { DiskExport, ExportVerbs, HostResource, InstanceSpec } from '../compute.ts'
import { isUp, type OpenExport } from './machine.ts'
import type { SimulatorParts } from './parts.ts'

const BLOCK_BYTES = 4096
const REASON: Record<OpenExport['power'], string | null> = {
  running: 'a simulated guest has no agent that could freeze its file systems',
  crashed: 'the instance crashed and was not started since',
  stopped: null,
}
const NAME = /^[0-9a-z_]{1,60}$/

export function exportVerbs(parts: SimulatorParts): ExportVerbs {
  const { find, change, verb } = parts
  return {
    openExport: (spec, name, _options, signal) =>
      verb('openExport', spec.id, signal, () =>
        present(parts, spec, findOpen(parts, spec, name) ?? open(parts, spec, name)),
      ),

    closeExport: (id, name, _options, signal) =>
      verb('closeExport', id, signal, () => {
        const file = fileOf(parts, id, name)
        const exports = find(id)?.exports ?? []
        if (exports.some((one) => one.name === name)) {
          change(id, { exports: exports.filter((one) => one.name !== name) })
        }
        for (const path of [file, draftOf(file)]) rmSync(path, { force: true })
      }),
  }
}

/** None of the instance's is open: its disk is wanted by somebody else, or the process that held it has ended. */
export function endExports(
  { folder, find, change }: Pick<SimulatorParts, 'folder' | 'find' | 'change'>,
  id: InstanceId,
): void {
  if (find(id)?.exports.length) change(id, { exports: [] })
  for (const file of filesIn(folder)) {
    if (ownerOf(file) === id) rmSync(join(folderOf(folder), file), { force: true })
  }
}

export const exportResources = (folder: string): HostResource[] =>
  filesIn(folder).map((file) => ({ kind: 'file', name: `exports/${file}`, instanceId: ownerOf(file) }))

const findOpen = ({ find }: SimulatorParts, { id, generation }: InstanceSpec, name: string) =>
  find(id)?.exports.find((one) => one.name === name && one.generation === generation)

function open(parts: SimulatorParts, spec: InstanceSpec, name: string): OpenExport {
  const { clock, find, change } = parts
  const file = fileOf(parts, spec.id, name)
  const machine = find(spec.id)
  if (!machine?.disks.includes(spec.generation)) {
    throw new CloudError('conflict', `the instance has no disk of generation ${spec.generation}`)
  }
  endExports(parts, spec.id)
  const content = machine.contents[spec.generation] ?? ''
  const made: OpenExport = {
    name,
    generation: spec.generation,
    pointAt: Math.max(clock.now(), machine.lastPointAt + 1),
    power: machine.power === 'crashed' ? 'crashed' : isUp(machine, clock.now()) ? 'running' : 'stopped',
    diskBytes: spec.diskGib * 2 ** 30,
    dataBytes: Buffer.byteLength(content),
  }
  mkdirSync(folderOf(parts.folder), { recursive: true, mode: 0o700 })
  writeFileSync(draftOf(file), content, { mode: 0o600 })
  truncateSync(draftOf(file), made.diskBytes)
  renameSync(draftOf(file), file)
  // The note comes last: it stands for a file that is whole.
  change(spec.id, { exports: [made], lastPointAt: made.pointAt })
  return made
}

function present(parts: SimulatorParts, { id }: InstanceSpec, made: OpenExport): DiskExport {
  const length = Math.min(made.diskBytes, Math.ceil(made.dataBytes / BLOCK_BYTES) * BLOCK_BYTES)
  const extents = length > 0 ? [{ offset: 0, length }] : []
  return {
    source: { kind: 'file', path: fileOf(parts, id, made.name), extents },
    diskBytes: made.diskBytes,
    pointAt: new Date(made.pointAt),
    consistency: made.power === 'stopped' ? 'off' : 'crash',
    consistencyReason: REASON[made.power],
    frozenMs: null,
  }
}

const folderOf = (folder: string) => join(folder, 'exports')

function fileOf({ folder }: SimulatorParts, id: InstanceId, name: string): string {
  if (!NAME.test(name)) throw new CloudError('invalid', `${JSON.stringify(name)} cannot name an export`)
  return join(folderOf(folder), `${id}-${name}.raw`)
}
const draftOf = (file: string) => `${file}.new`
const ownerOf = (file: string) => file.slice(0, file.indexOf('-')) as InstanceId

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folderOf(folder))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
