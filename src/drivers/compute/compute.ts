/**
 * Runs instances on one host. Every verb names an end state, so calling it twice is calling it once, and every outside
 * thing (process, socket, disk, interface) is named from the instance's id, so that a driver which was killed in the
 * middle finds its things again. A verb that cannot finish throws: `unavailable` when trying again may help, another
 * `CloudError` when it cannot. No verb waits for the guest; what waits says so.
 */
import type { Consistency } from '../../model/backup.ts'
import type { InstanceId } from '../../model/ids.ts'
import type { InstanceSpec } from '../../model/instance-spec.ts'

export type { InstanceSpec }

/**
 * What is seen of an instance. `off`: a process is there but the guest switched itself off (ACPI, `poweroff`).
 * `crashed`: it should be running by the driver's own notes, and is not.
 */
export type Observed = 'running' | 'off' | 'stopped' | 'crashed' | 'absent'
export interface Observation {
  power: Observed
  /** When the vCPUs of the present run started. */
  startedAt: Date | null
  /** For people: the last line of the process's own log, an exit reason … */
  detail?: string
}

/** Everything null is unknown: the guest did not say or nothing measures it. Counters are those of the present run. */
export interface InstanceStats {
  /** Nothing was read before. */
  measuredAt: Date
  /** Names the run that the counters count: another name, and they began at zero. Null when the driver cannot tell. */
  run: string | null
  /** Of all its vCPUs together, since the last call; null on the first. */
  cpuPercent: number | null
  memoryUsedBytes: number | null
  memoryTotalBytes: number | null
  diskUsedBytes: number | null
  diskTotalBytes: number | null
  /** From the instance's point of view. */
  networkInBytes: number | null
  networkOutBytes: number | null
  diskReadBytes: number | null
  diskWriteBytes: number | null
  diskReadOps: number | null
  diskWriteOps: number | null
}

export interface HostFacts {
  /** Null = unlimited. */
  cores: number | null
  memoryMib: number | null
  diskBytes: number | null
  diskFreeBytes: number | null
  /** How many guests may boot at once without starving each other. */
  bootSlots: number | null
  /** `routed`: addresses answer from the host. `user`: only SSH, forwarded from a loopback port. `none`: simulated. */
  network: 'routed' | 'user' | 'none'
  /** Shown to the operator: accelerator, version, cgroups … */
  facts: Record<string, string | number | boolean | null>
}

/** Something outside the database that belongs to an instance; the leak audit compares these with the rows. */
export interface HostResource {
  kind: 'process' | 'socket' | 'disk' | 'file' | 'interface' | 'rule' | 'cgroup'
  name: string
  instanceId: InstanceId | null
}

/** One snapshot as it lies in the disk's file. */
export interface SnapshotFacts {
  tag: string
  hasMemory: boolean
  /** Of the saved memory; 0 without. */
  memoryBytes: number
  /** By how much the file grew since the snapshot before it, memory included; null when that was not noted. An estimate. */
  grownBytes: number | null
}

export interface SnapshotVerbs {
  /**
   * The snapshot `tag` is in the disk's file. With memory the guest must run and is paused for a moment (`conflict`
   * when it does not run); without, it may run or not. Twice is once.
   */
  ensureSnapshot(
    spec: InstanceSpec,
    tag: string,
    options: { withMemory: boolean },
    signal: AbortSignal,
  ): Promise<SnapshotFacts>
  /**
   * The disk holds what it held then; what was written since is lost. With memory the guest runs on from that moment,
   * with its clock set right, whether it ran before or not; without, it must not run (`conflict`). Marks of exports are
   * dropped first: they know nothing of the leap. `not_found` when there is no such snapshot.
   */
  rollbackToSnapshot(
    spec: InstanceSpec,
    tag: string,
    options: { withMemory: boolean },
    signal: AbortSignal,
  ): Promise<void>
  /** The snapshot is not there, the guest running or not. */
  ensureSnapshotAbsent(spec: InstanceSpec, tag: string, signal: AbortSignal): Promise<void>
  listSnapshots(id: InstanceId): Promise<SnapshotFacts[]>
}

/** Where the bytes of an export are read. */
export type DiskSource =
  /**
   * An NBD server on a unix socket; `dirtyBitmap` is the meta context that says what changed since the mark. Where the
   * export only knows of a hole, without saying that it reads as zeros, `baseExport` of the same server says what lies
   * there; behind its end are zeros. Without one, such holes hold anything.
   */
  | { kind: 'nbd'; socket: string; exportName: string; dirtyBitmap: string | null; baseExport: string | null }
  /** A raw file of which only `extents` hold data. */
  | { kind: 'file'; path: string; extents: { offset: number; length: number }[] }

/** A disk as it was at one moment, readable while the guest goes on. */
export interface DiskExport {
  source: DiskSource
  diskBytes: number
  /** The moment; another one tells that the export was opened anew. */
  pointAt: Date
  consistency: Consistency
  /** Why it is no better, for people; null when it is as good as it gets. */
  consistencyReason: string | null
  /** How long the guest's file systems stood still; null when they did not. */
  frozenMs: number | null
}

export interface ExportVerbs {
  /**
   * The export `name` is open. The same one when it still is; otherwise it is opened anew, at another moment: an export
   * ends with the guest's process, with every verb that needs the stopped disk for itself (power never waits for a
   * backup), and with the next export of the same instance: there is one at a time. From its moment on a mark of that
   * name notes what changes. `changedSince` names an older mark: where that is there and sound, the source tells what
   * changed since.
   */
  openExport(
    spec: InstanceSpec,
    name: string,
    options: { changedSince: string | null },
    signal: AbortSignal,
  ): Promise<DiskExport>
  /** The export is closed and all it needed is gone. `keep`: its own mark stays and all others go; otherwise the reverse. */
  closeExport(id: InstanceId, name: string, options: { keep: boolean }, signal: AbortSignal): Promise<void>
}

/** What the guest agent says of the guest; nulls where it says nothing. */
export interface GuestReport {
  answers: boolean
  os: string | null
  uptimeSeconds: number | null
}
export interface FilesystemReport {
  /** `1`, `2` …; `disk` when it has no partitions. */
  partition: string
  type: string | null
  outcome: 'clean' | 'errors' | 'unknown'
  detail: string
}

export interface DiskVerbs {
  /** Where a root disk of this generation is to be written before `replaceDisk`; what lay there half done is gone. */
  prepareDisk(spec: InstanceSpec): Promise<{ file: string; format: 'qcow2' | 'raw' }>
  /**
   * The prepared disk is the root disk, from one moment to the next; snapshots and marks go with the old one. Done
   * already when nothing is prepared and a disk is there. `conflict` while the instance runs.
   */
  replaceDisk(spec: InstanceSpec, signal: AbortSignal): Promise<void>
  /** Nothing prepared is left. */
  discardPreparedDisk(spec: InstanceSpec): Promise<void>
  /** What its screen shows, PNG; null when it does not run or has none. */
  screenshot(id: InstanceId): Promise<Buffer | null>
  inspectGuest(id: InstanceId): Promise<GuestReport>
  /** Checks the file systems of a stopped instance's disk without writing to it. */
  checkFilesystems(spec: InstanceSpec, signal: AbortSignal): Promise<FilesystemReport[]>
}

export interface ComputeDriver extends SnapshotVerbs, ExportVerbs, DiskVerbs {
  readonly name: 'qemu' | 'simulator' | 'incus'
  /** Get ready on this host: folders, network table, accelerator probe, adopting what still runs. Safe to repeat. */
  open(): Promise<void>
  /** Let go of sockets and timers; instances go on running. */
  close(): Promise<void>
  hostFacts(): Promise<HostFacts>

  /** The root disk of this generation exists. A disk that is there is never written over. */
  ensureDisk(spec: InstanceSpec, signal: AbortSignal): Promise<void>
  /** The vCPUs run: first-boot seed, interface and process are made where missing, a guest that is `off` is started anew. */
  ensureRunning(spec: InstanceSpec, signal: AbortSignal): Promise<void>
  /** Press the power button; does nothing unless it runs. Returns at once: the guest decides. */
  requestShutdown(id: InstanceId): Promise<void>
  /** No process, no interface; the disk stays. Hard: whoever wants grace asks for a shutdown first. */
  ensureStopped(id: InstanceId, signal: AbortSignal): Promise<void>
  /** Nothing of it is left. */
  ensureAbsent(id: InstanceId, signal: AbortSignal): Promise<void>
  /** The seed holds no keys' owner's secrets (password hash) any more. */
  forgetSecrets(spec: InstanceSpec): Promise<void>
  /** Waits, at most `waitMs`, until the guest's SSH banner was read on its own address or port. One patient probe. */
  waitForSsh(spec: InstanceSpec, waitMs: number, signal: AbortSignal): Promise<boolean>

  observe(id: InstanceId): Promise<Observation>
  /** All instances this host knows anything of. */
  list(): Promise<Map<InstanceId, Observation>>
  /**
   * Null when it does not run. Of a guest that is `off` or `crashed` the counters that are still there: they are gone
   * with the next `ensureStopped` or `ensureRunning`.
   */
  stats(id: InstanceId): Promise<InstanceStats | null>
  /** The end of the serial console's log, at most `maxBytes`; empty when it never ran. */
  readLog(id: InstanceId, maxBytes: number): Promise<Buffer>
  /** Everything it holds outside the database. */
  resources(): Promise<HostResource[]>
  /**
   * Takes away what serves all instances and outlives `close` (network table, control groups …); `open` makes it again.
   * Throws `conflict` while an instance needs it. Also before `open`.
   */
  removeHostParts(): Promise<void>
  /** Called when an instance changed by itself (guest power-off, crash). A hint: `list` has the truth. */
  onChange(listener: (id: InstanceId) => void): void
}
