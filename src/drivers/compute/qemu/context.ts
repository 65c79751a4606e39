/** What the verbs of one driver share. Built by driver.ts; every verb takes it as its first argument. */
import { stat } from 'node:fs/promises'
import type { Paths } from '../../../lib/paths.ts'
import { CloudError } from '../../../model/errors.ts'
import type { InstanceId } from '../../../model/ids.ts'
import type { Accel } from './host/accel.ts'
import { type Cgroups, openCgroups } from './host/cgroup.ts'
import { CommandError } from './host/command.ts'
import { ensureOwner } from './host/host.ts'
import { type Owner, waitForExit } from './host/process.ts'
import { createMonitors, type Monitors } from './monitors.ts'
import type { NetworkAbility } from './network/tap.ts'
import { filesOf, type InstanceFiles, readRecord } from './record.ts'
import type { AgentPatience, CpuSample } from './stats.ts'

export interface QemuOptions {
  paths: Pick<Paths, 'home' | 'images' | 'instances' | 'run'>
  /** Four hex digits that keep two Havns on one machine apart. */
  prefix: string
  accel: 'auto' | 'kvm' | 'tcg'
  /** The unprivileged system user QEMU runs as when we are root. */
  user?: string
  /** `user`: no taps even as root. */
  network?: 'auto' | 'user'
  /** What guests ask for names; default: the host's own. */
  nameservers?: string[]
  binary?: string
  /** What the copy of an export may take of the host's disk; default: what is free above a reserve. */
  exportBytesMax?: number
}

/** What `open` found out about this host. */
export interface HostAbilities {
  accel: Accel
  network: NetworkAbility
  cgroups: Cgroups
  nameservers: string[]
}

export interface QemuContext {
  readonly options: QemuOptions
  readonly binary: string
  readonly user: string
  readonly monitors: Monitors
  readonly listeners: Set<(id: InstanceId) => void>
  /** The last look at each running instance's CPU time. */
  readonly cpuSamples: Map<InstanceId, CpuSample>
  /** How the guest agent of each run is borne with. */
  readonly agents: Map<InstanceId, AgentPatience & { run: string }>
  /** Null before `open`. */
  host: HostAbilities | null
  /** Whom QEMU runs as; asked for once. */
  findOwner(): Promise<Owner | null>
}

export function createContext(options: QemuOptions): QemuContext {
  const { binary = 'qemu-system-x86_64', user = 'havn-qemu' } = options
  let owner: Promise<Owner | null> | null = null
  const context: QemuContext = {
    options,
    binary,
    user,
    monitors: createMonitors({
      runOf: (id) => filesFor(context, id).run,
      onEvent: (id) => tell(context, id),
      onLost: (id) => void lost(context, id),
    }),
    listeners: new Set(),
    cpuSamples: new Map(),
    agents: new Map(),
    host: null,
    findOwner() {
      owner ??= ensureOwner(user).catch((error) => {
        owner = null
        throw error
      })
      return owner
    },
  }
  return context
}

export const filesFor = ({ options }: QemuContext, id: InstanceId): InstanceFiles => filesOf(options.paths, id)

/** Throws before `open`. */
export function hostOf({ host }: QemuContext): HostAbilities {
  if (!host) throw new Error('the compute driver is not open')
  return host
}

/** Also before `open`, for whoever only looks or clears up. */
export const cgroupsOf = async ({ host, options }: QemuContext): Promise<Cgroups> =>
  host?.cgroups ?? (await openCgroups(options.prefix))

function tell({ listeners }: QemuContext, id: InstanceId): void {
  for (const listener of listeners) listener(id)
}

/** The QMP connection broke: tell, once the process is really gone or has had its time. */
async function lost(context: QemuContext, id: InstanceId): Promise<void> {
  const record = await readRecord(filesFor(context, id)).catch(() => null)
  if (record?.process) await waitForExit(record.process, 2_000).catch(() => false)
  tell(context, id)
}

/** A host program that failed may well succeed next time; one that is missing can be installed. */
export function mended(error: unknown): never {
  if (!(error instanceof CommandError)) throw error
  throw new CloudError('unavailable', error.message, { cause: error })
}

export const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )
