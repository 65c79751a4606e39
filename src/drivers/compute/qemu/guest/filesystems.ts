/**
 * Checks the file systems of a stopped disk. A checker wants a file or a device that begins with the file system, so
 * each partition is copied out first, sparsely and one at a time: the disk itself is only ever read. The copy also lets
 * the checker do what mounting would (play a journal back, drop what was deleted while open) before it judges.
 *
 * The bytes are a stranger's, and checkers are written in C: they run as nobody, without privileges to gain, within
 * limits of memory, time and file size, and may open nothing but the copy. The disk is read as QEMU's own user, who can
 * open no more than the machine could. The copy has one fixed name: what a killed check left is replaced by the next and
 * goes with the instance.
 */
import { access, chown, constants, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { CloudError } from '../../../../model/errors.ts'
import type { FilesystemReport, InstanceSpec } from '../../compute.ts'
import { filesFor, isThere, type QemuContext } from '../context.ts'
import { CommandError, run } from '../host/command.ts'
import type { Owner } from '../host/process.ts'
import { livingProcess } from '../machine.ts'
import { readRecord } from '../record.ts'
import { filesystemAt, MARK_BYTES, type Partition, partitionsOf, TABLE_BYTES } from './partitions.ts'

const NOBODY: Owner = { uid: 65534, gid: 65534 }
const COPY_MS = 2 * 3_600_000
const CHECK_MS = 3_600_000
const LIMITS = ['--as=4294967296', '--cpu=3600', '--nofile=64', '--core=0', '--']
const CHECKED_MAX = 16
const DETAIL_MAX = 300

/** Programs that look and judge, in order; the last one's word counts. Exit code 0 is clean. */
interface Checker {
  package: string
  /** What mounting would do, on the copy; `fine` are the exit codes after which the check makes sense. */
  settle?: { program: string; args: readonly string[]; fine: readonly number[] }
  program: string
  args: readonly string[]
  /** Whether an exit code means that errors were found; any other is the checker's own trouble. */
  isBad: (status: number) => boolean
}

/**
 * e2fsck(8): the exit code is a sum; 1 = corrected, 4 = left uncorrected, 8 = gave up. Without -f it only does what a
 * mount would.
 */
const EXT: Checker = {
  package: 'e2fsprogs',
  settle: { program: 'e2fsck', args: ['-p'], fine: [0, 1] },
  program: 'e2fsck',
  args: ['-f', '-n'],
  isBad: (status) => (status & 4) !== 0,
}
const isOne = (status: number): boolean => status === 1
const CHECKERS: Readonly<Record<string, Checker>> = {
  ext2: EXT,
  ext3: EXT,
  ext4: EXT,
  // xfs_repair(8): 1 = corruption found, 2 = the log holds changes that only a mount can play back.
  xfs: { package: 'xfsprogs', program: 'xfs_repair', args: ['-n', '-f'], isBad: isOne },
  btrfs: { package: 'btrfs-progs', program: 'btrfs', args: ['check', '--readonly'], isBad: isOne },
  vfat: { package: 'dosfstools', program: 'fsck.vfat', args: ['-n'], isBad: isOne },
  ntfs: { package: 'ntfs-3g', program: 'ntfsfix', args: ['-n'], isBad: isOne },
}
const NOT_CHECKED: Readonly<Record<string, string>> = {
  swap: 'swap space holds no files',
  luks: 'it is encrypted',
  lvm: 'volumes of LVM are not looked into',
}

export async function checkFilesystems(
  context: QemuContext,
  spec: InstanceSpec,
  signal: AbortSignal,
): Promise<FilesystemReport[]> {
  const files = filesFor(context, spec.id)
  const disk = files.disk(spec.generation)
  if (!(await isThere(disk))) throw new CloudError('conflict', 'the instance has no disk')
  const record = await readRecord(files)
  if (await livingProcess(context, record ?? { uuid: spec.uuid, process: null })) {
    throw new CloudError('conflict', 'the instance runs: stop it before its file systems are checked')
  }
  const view: View = { disk, copy: files.copy, owner: await context.findOwner(), signal }
  try {
    const bytes = await sizeOf(view)
    const partitions = partitionsOf(await readHead(view, 0, Math.min(bytes, TABLE_BYTES)), bytes)
    const reports: FilesystemReport[] = []
    for (const partition of partitions.slice(0, CHECKED_MAX)) reports.push(await checkPartition(view, partition))
    return reports
  } finally {
    await rm(files.copy, { force: true })
  }
}

interface View {
  disk: string
  copy: string
  owner: Owner | null
  signal: AbortSignal
}

async function checkPartition(view: View, partition: Partition): Promise<FilesystemReport> {
  const head = await readHead(view, partition.offset, Math.min(partition.length, MARK_BYTES))
  const type = filesystemAt(head)
  const report = (outcome: FilesystemReport['outcome'], detail: string): FilesystemReport => ({
    partition: partition.name,
    type,
    outcome,
    detail,
  })
  const checker = type === null ? undefined : CHECKERS[type]
  if (!checker) return report('unknown', NOT_CHECKED[type ?? ''] ?? 'no file system that is known here')
  if (!(await isInstalled(checker.program))) {
    return report('unknown', `${checker.program} is not installed; on Debian: apt-get install ${checker.package}`)
  }
  try {
    await copyOut(view, partition.offset, partition.length)
  } catch (error) {
    if (view.signal.aborted || !(error instanceof CommandError)) throw error
    const isFull = /No space left|Disk quota exceeded/.test(error.stderr)
    return report('unknown', isFull ? "the host's disk has no room for a copy to check" : error.message)
  }
  const isBad = (status: number | null) => status !== null && checker.isBad(status)
  if (view.owner) await chown(view.copy, NOBODY.uid, NOBODY.gid)
  const settled = checker.settle && (await judge(view, checker.settle.program, checker.settle.args))
  if (settled && (settled.status === null || !checker.settle!.fine.includes(settled.status))) {
    return report(isBad(settled.status) ? 'errors' : 'unknown', settled.words)
  }
  const { status, words } = await judge(view, checker.program, checker.args)
  if (status === 0) return report('clean', `${checker.program} found no errors`)
  return report(isBad(status) ? 'errors' : 'unknown', words || `${checker.program} ended with ${status ?? 'a signal'}`)
}

/** The checker's exit code (null when it was killed) and the end of what it said. */
async function judge(
  { copy, owner, signal }: View,
  program: string,
  args: readonly string[],
): Promise<{ status: number | null; words: string }> {
  const bounded = ['--no-new-privs', '--', 'prlimit', ...LIMITS, program, ...args, copy]
  const options = { signal, timeoutMs: CHECK_MS, cwd: '/', ...(owner ? NOBODY : {}) }
  try {
    return { status: 0, words: shown(await run('setpriv', bounded, options)) }
  } catch (error) {
    if (signal.aborted || !(error instanceof CommandError)) throw error
    return { status: error.status, words: shown(`${error.stdout}\n${error.stderr}`) }
  }
}

/** Its last line says how it ended; the one that follows a copyright is no use to anybody. */
const shown = (output: string): string =>
  output
    .split('\n')
    .map((line) => line.replace(/[^\x20-\x7e]/g, '').trim())
    .filter((line) => line !== '')
    .slice(-3)
    .join('; ')
    .replace(/\S*\/(disk-check\.raw)/g, 'the file system')
    .slice(-DETAIL_MAX)

/** Bytes of the disk as the guest sees it. */
async function sizeOf({ disk, owner, signal }: View): Promise<number> {
  const text = await run('qemu-img', ['info', '-U', '-f', 'qcow2', '--output=json', disk], { signal, ...(owner ?? {}) })
  return (JSON.parse(text) as { 'virtual-size': number })['virtual-size']
}

async function readHead(view: View, offset: number, length: number): Promise<Buffer> {
  await copyOut(view, offset, length)
  const handle = await open(view.copy, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await handle.close()
  }
}

/** A stretch of the disk as a sparse raw file of its own. */
async function copyOut({ disk, copy, owner, signal }: View, offset: number, length: number): Promise<void> {
  await rm(copy, { force: true })
  await (await open(copy, 'wx', 0o600)).close()
  if (owner) await chown(copy, owner.uid, owner.gid)
  const source = {
    driver: 'raw',
    offset,
    size: length - (length % 512),
    file: { driver: 'qcow2', file: { driver: 'file', filename: disk } },
  }
  const args = ['convert', '-U', '-O', 'raw', `json:${JSON.stringify(source)}`, copy]
  await run('qemu-img', args, { signal, timeoutMs: COPY_MS, ...(owner ?? {}) })
}

const FOLDERS = ['/usr/sbin', '/sbin', '/usr/bin', '/bin', '/usr/local/sbin', '/usr/local/bin']

async function isInstalled(program: string): Promise<boolean> {
  for (const folder of FOLDERS) {
    const found = await access(join(folder, program), constants.X_OK).then(
      () => true,
      () => false,
    )
    if (found) return true
  }
  return false
}
