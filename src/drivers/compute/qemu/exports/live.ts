/**
 * The export of a running instance, made of parts in its QEMU's block graph (QEMU, docs/devel or qapi/block-core.json,
 * `copy-before-write` and `snapshot-access`):
 *
 *     guest disk -> export-filter -> d0 (the disk)          before a block is overwritten, the filter
 *                        |                                  copies what it held to `export-copy`
 *                        v
 *                   export-copy (a file beside the disk)
 *     NBD server -> export (the moment: copied blocks from the copy, all others from d0)
 *                -> the image beneath d0, which never changes: asked which of d0's holes are none
 *
 * The moment is when the filter comes in between. It is put together and the mark is set before, so that the freeze
 * holds nothing but that one command; what was written between mark and moment is noted as changed although it is not,
 * which costs a look and never a byte. The bitmap that tells the changes is a frozen copy of the old mark, taken after
 * the moment for the same reason, while the old mark goes on for the case that this backup fails.
 *
 * The guest comes first: when a block cannot be copied (the copy has its bounds, and so has the host's disk) or not
 * within half a minute, the moment is given up and the guest writes on (`break-snapshot`). A `blockdev-backup` job
 * would be simpler and fails the guest's write instead.
 */
import { chmod, chown, rm, statfs, truncate } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { together } from '../../../../lib/together.ts'
import { CloudError } from '../../../../model/errors.ts'
import type { InstanceSpec } from '../../compute.ts'
import { filesFor, type QemuContext } from '../context.ts'
import { run } from '../host/command.ts'
import type { ProcessIdentity } from '../host/process.ts'
import { type Qmp, QmpError } from '../qmp.ts'
import type { InstanceFiles } from '../record.ts'
import { whileFrozen } from './freeze.ts'
import { DISK_NODE, findBaseNode, readLiveDisk, removeLiveMarks } from './marks.ts'
import { baseExportOf, exportFilesOf, type OpenedExport } from './notes.ts'

const NODES = { moment: 'export', filter: 'export-filter', copy: 'export-copy' } as const
const CHANGES = 'export-changes'
const EXPORT_ID = 'export'
const BASE_EXPORT_ID = 'export-base'

const DRIVE = { path: '/machine/peripheral/disk0/virtio-backend', property: 'drive' }
const COPY_TIMEOUT_SECONDS = 30
const CLOSE_MS = 5_000

/** What the copy must leave free on the host's disk: other instances live from it. */
const RESERVE_BYTES = 1 << 30
const RESERVE_PART = 0.05
/** Less than this is not worth beginning. */
const COPY_BYTES_MIN = 64 << 20
const ALIGNMENT = 1 << 16
/** Enough for 8 GiB of it at hand; the default grows to 32 MiB, which the guest would miss. */
const COPY_CACHE_BYTES = 1 << 20

export interface OpenInput {
  spec: InstanceSpec
  name: string
  changedSince: string | null
  process: ProcessIdentity
  signal: AbortSignal
}

/** Nothing of an earlier one may be there. Whatever is thrown, `closeLive` takes away what was made. */
export async function openLive(context: QemuContext, qmp: Qmp, input: OpenInput): Promise<OpenedExport> {
  const { spec, name, process, signal } = input
  const files = filesFor(context, spec.id)
  const { copy, socket } = exportFilesOf(files)
  await removeLiveMarks(qmp, (mark) => mark.name === name || !mark.isSound)
  const { bytes, marks } = await readLiveDisk(qmp)
  const baseNode = await findBaseNode(qmp)
  const base = marks.some((mark) => mark.name === input.changedSince) ? input.changedSince : null
  const copyBytes = await makeCopyFile(context, files, bytes)
  signal.throwIfAborted()
  await qmp.execute('blockdev-add', copyNode(copy, copyBytes))
  await qmp.execute('blockdev-add', {
    driver: 'copy-before-write',
    'node-name': NODES.filter,
    file: DISK_NODE,
    target: NODES.copy,
    'on-cbw-error': 'break-snapshot',
    'cbw-timeout': COPY_TIMEOUT_SECONDS,
  })
  await qmp.execute('block-dirty-bitmap-add', { node: DISK_NODE, name, persistent: true })
  let pointAt = new Date()
  const { consistency, reason, frozenMs } = await whileFrozen(context, spec.id, process, qmp, async () => {
    await qmp.execute('qom-set', { ...DRIVE, value: NODES.filter })
    pointAt = new Date()
  })
  if (base) await qmp.execute('transaction', { actions: frozenCopyOf(base) })
  await qmp.execute('blockdev-add', { driver: 'snapshot-access', 'node-name': NODES.moment, file: NODES.filter })
  await rm(socket, { force: true })
  await qmp.execute('nbd-server-start', { addr: { type: 'unix', data: { path: socket } } })
  if (baseNode !== null) {
    const names = { id: BASE_EXPORT_ID, 'node-name': baseNode, name: baseExportOf(name) }
    await qmp.execute('block-export-add', { type: 'nbd', ...names, writable: false })
  }
  await qmp.execute('block-export-add', {
    type: 'nbd',
    id: EXPORT_ID,
    'node-name': NODES.moment,
    name,
    writable: false,
    bitmaps: base ? [{ node: DISK_NODE, name: CHANGES }] : [],
  })
  return {
    server: process,
    diskBytes: bytes,
    pointAt: pointAt.toISOString(),
    consistency,
    consistencyReason: reason,
    frozenMs,
    changes: base && CHANGES,
    hasBase: baseNode !== null,
  }
}

const frozenCopyOf = (mark: string) => [
  { type: 'block-dirty-bitmap-add', data: { node: DISK_NODE, name: CHANGES, disabled: true } },
  { type: 'block-dirty-bitmap-merge', data: { node: DISK_NODE, target: CHANGES, bitmaps: [mark] } },
]

export const isLiveOpen = async (qmp: Qmp): Promise<boolean> => (await openExports(qmp)).includes(EXPORT_ID)

async function openExports(qmp: Qmp): Promise<string[]> {
  const exports = await qmp.execute<{ id: string; 'shutting-down': boolean }[]>('query-block-exports')
  return exports.filter((one) => !one['shutting-down']).map(({ id }) => id)
}

/** Takes away whatever is there, from the reader's end to the disk's. */
export async function closeLive(qmp: Qmp): Promise<void> {
  for (const id of await openExports(qmp)) await qmp.execute('block-export-del', { id, mode: 'hard' })
  const until = performance.now() + CLOSE_MS
  for (;;) {
    const left = await qmp.execute<{ id: string }[]>('query-block-exports')
    if (left.length === 0) break
    if (performance.now() > until) throw new CloudError('unavailable', 'the export of the disk does not close')
    await sleep(10)
  }
  await qmp.execute('nbd-server-stop').catch((error: unknown) => {
    if (!(error instanceof QmpError)) throw error // there was none
  })
  const { nodes, bitmaps } = await readLiveDisk(qmp)
  const remove = async (node: string) => {
    if (nodes.has(node)) await qmp.execute('blockdev-del', { 'node-name': node })
  }
  await remove(NODES.moment)
  // QEMU 7.2 ends with an assertion, and the guest with it, when a drive is given the node that it has already.
  if ((await driveNode(qmp)) !== DISK_NODE) await qmp.execute('qom-set', { ...DRIVE, value: DISK_NODE })
  await remove(NODES.filter)
  await remove(NODES.copy)
  if (bitmaps.has(CHANGES)) {
    await qmp.execute('block-dirty-bitmap-remove', { node: DISK_NODE, name: CHANGES })
  }
}

/** What the guest's disk is connected to. */
async function driveNode(qmp: Qmp): Promise<string> {
  const blocks = await qmp.execute<{ qdev?: string; inserted?: { 'node-name': string } }[]>('query-block')
  const node = blocks.find(({ qdev }) => qdev?.startsWith('/machine/peripheral/disk0'))?.inserted?.['node-name']
  if (node !== DISK_NODE && node !== NODES.filter) throw new Error(`the guest's disk is connected to ${node}`)
  return node
}

/** A qcow2 of fixed length: what does not fit is not written, so the copy can never fill the host's disk. */
const copyNode = (filename: string, size: number) => ({
  driver: 'qcow2',
  'node-name': NODES.copy,
  backing: null,
  'l2-cache-size': COPY_CACHE_BYTES,
  file: { driver: 'raw', size, file: { driver: 'file', filename } },
})

/** Its length. Throws `unavailable` when the host's disk has no room for it. */
async function makeCopyFile(context: QemuContext, files: InstanceFiles, diskBytes: number): Promise<number> {
  const { copy } = exportFilesOf(files)
  const { bsize, blocks, bavail } = await statfs(files.folder)
  const bytes = context.options.exportBytesMax ?? copyLimit(diskBytes, bsize * blocks, bsize * bavail)
  if (bytes === null) {
    throw new CloudError('unavailable', 'the host has too little free disk space to hold a running disk still')
  }
  await rm(copy, { force: true })
  const [owner] = await together(
    context.findOwner(),
    run('qemu-img', ['create', '-q', '-f', 'qcow2', copy, String(diskBytes)]),
  )
  await chmod(copy, 0o600)
  if (owner) await chown(copy, owner.uid, owner.gid)
  await truncate(copy, bytes) // `raw` with a size wants a file of that size; it is sparse
  return bytes
}

/** How long the copy of a disk may become; null when there is no room worth the name. */
export function copyLimit(diskBytes: number, hostBytes: number, freeBytes: number): number | null {
  const room = freeBytes - Math.max(RESERVE_BYTES, RESERVE_PART * hostBytes)
  const whole = diskBytes + diskBytes / 64 + COPY_BYTES_MIN // with qcow2's own tables
  const bytes = Math.floor(Math.min(whole, room) / ALIGNMENT) * ALIGNMENT
  return bytes < COPY_BYTES_MIN ? null : bytes
}
