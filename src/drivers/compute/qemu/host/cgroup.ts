/**
 * Limits around a QEMU process, where the host has control groups: version 2, version 1, a mixture, or none occur. They
 * are an ability of the host, never an assumption: what cannot be set is left out and shown in the host's facts.
 * The groups lie beside our own, not under it: a service manager that stops the control plane kills its whole subtree.
 */
import { access, mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { waitFor } from '../../../../lib/wait.ts'

const ROOT = '/sys/fs/cgroup'
const CONTROLLERS = ['memory', 'cpu', 'pids'] as const
type Controller = (typeof CONTROLLERS)[number]

export interface Cgroups {
  version: 1 | 2 | null
  controllers: Controller[]
}

export interface Limits {
  memoryBytes: number
  /** Of cores, e.g. 1.5. */
  cpus: number
  pids: number
}

/**
 * QEMU's own memory beside the guest's: device models, VNC, block caches, page tables; and while an export is open what
 * it reads and what it copies for it, up to 128 MiB (QEMU, block/block-copy.c, BLOCK_COPY_MAX_MEM).
 */
const HEADROOM_MIB = 256 + 128
/** vCPU threads, I/O worker threads (64 per thread pool), monitor and VNC threads. */
const PIDS = 256

/** `tbMib`: the translation cache under TCG. One core on top of the vCPUs is for disk and network threads. */
export const limitsFor = (memoryMib: number, tbMib: number, vcpus: number): Limits => ({
  memoryBytes: (memoryMib + tbMib + HEADROOM_MIB) * 2 ** 20,
  cpus: vcpus + 1,
  pids: PIDS + vcpus,
})

/** The files to write, in order, and what into them. */
export function limitFiles(version: 1 | 2, controller: Controller, limits: Limits): [file: string, text: string][] {
  const period = 100_000 // µs
  const quota = String(Math.round(limits.cpus * period))
  if (controller === 'pids') return [['pids.max', String(limits.pids)]]
  if (version === 2) {
    return controller === 'memory' ? [['memory.max', String(limits.memoryBytes)]] : [['cpu.max', `${quota} ${period}`]]
  }
  return controller === 'memory'
    ? [['memory.limit_in_bytes', String(limits.memoryBytes)]]
    : [
        ['cpu.cfs_period_us', String(period)],
        ['cpu.cfs_quota_us', quota],
      ]
}

/** Which controllers we can make groups under `havn-<prefix>` with; made by trying. */
export async function openCgroups(prefix: string): Promise<Cgroups> {
  const isV2 = await isThere(join(ROOT, 'cgroup.controllers'))
  const controllers: Controller[] = []
  for (const controller of CONTROLLERS) {
    try {
      const parent = groupFolder(isV2 ? 2 : 1, controller, prefix)
      if (isV2) await delegate(ROOT, controller)
      else await access(join(ROOT, controller, 'cgroup.procs'))
      await mkdir(parent, { recursive: true })
      if (isV2) await delegate(parent, controller)
      controllers.push(controller)
    } catch {
      // Not root, read-only, controller absent, or a kernel without: one limit less.
    }
  }
  return { version: controllers.length === 0 ? null : isV2 ? 2 : 1, controllers }
}

/** Puts the process under the limits; returns the controllers that took it. */
export async function confine(
  cgroups: Cgroups,
  prefix: string,
  id: string,
  pid: number,
  limits: Limits,
): Promise<Controller[]> {
  const { version } = cgroups
  if (version === null) return []
  const done: Controller[] = []
  for (const controller of cgroups.controllers) {
    try {
      const folder = groupFolder(version, controller, prefix, id)
      await mkdir(folder, { recursive: true })
      for (const [file, text] of limitFiles(version, controller, limits)) await writeFile(join(folder, file), text)
      await writeFile(join(folder, 'cgroup.procs'), String(pid))
      done.push(controller)
    } catch {
      // As above: the instance runs without this limit.
    }
  }
  return done
}

/** Removes the instance's groups; they are empty as soon as the kernel has done with its process. */
export async function removeGroups(cgroups: Cgroups, prefix: string, id: string): Promise<void> {
  for (const folder of foldersOf(cgroups, prefix, id)) {
    const isGone = await waitFor(() => removeGroup(folder), { timeoutMs: EMPTY_MS, everyMs: 5 })
    if (!isGone) throw new Error(`the control group ${folder} does not get empty`)
  }
}
const EMPTY_MS = 5_000

async function removeGroup(folder: string): Promise<boolean> {
  try {
    await rmdir(folder)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return true
    if (code === 'EBUSY') return false
    throw error
  }
}

/** The instances that have groups. */
export async function listGroups(cgroups: Cgroups, prefix: string): Promise<Set<string>> {
  const ids = new Set<string>()
  for (const parent of foldersOf(cgroups, prefix)) {
    const entries = await readdir(parent, { withFileTypes: true }).catch(() => [])
    for (const entry of entries) if (entry.isDirectory()) ids.add(entry.name)
  }
  return ids
}

/** All groups and their parents, when no process is in any. */
export async function closeCgroups(cgroups: Cgroups, prefix: string): Promise<void> {
  for (const id of await listGroups(cgroups, prefix)) await removeGroups(cgroups, prefix, id)
  for (const parent of foldersOf(cgroups, prefix)) await rmdir(parent).catch(() => {})
}

const foldersOf = ({ version, controllers }: Cgroups, prefix: string, id = ''): string[] =>
  version === null ? [] : [...new Set(controllers.map((controller) => groupFolder(version, controller, prefix, id)))]

const groupFolder = (version: 1 | 2, controller: Controller, prefix: string, id = '') =>
  join(ROOT, version === 2 ? '' : controller, `havn-${prefix}`, id)

async function delegate(folder: string, controller: Controller): Promise<void> {
  const file = join(folder, 'cgroup.subtree_control')
  if ((await readFile(file, 'utf8')).split(/\s+/).includes(controller)) return
  await writeFile(file, `+${controller}`)
}

const isThere = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  )
