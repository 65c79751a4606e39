/**
 * Runs instances on one host. Every verb names an end state, so calling it twice is calling it once, and every outside
 * thing (process, socket, disk, interface) is named from the instance's id, so that a driver which was killed in the
 * middle finds its things again. A verb that cannot finish throws: `unavailable` when trying again may help, another
 * `CloudError` when it cannot. No verb waits for the guest; what waits says so.
 */
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
  measuredAt: Date
  /** Of all its vCPUs together, since the last call; null on the first. */
  cpuPercent: number | null
  memoryUsedBytes: number | null
  memoryTotalBytes: number | null
  diskUsedBytes: number | null
  diskTotalBytes: number | null
  /** From the instance's point of view. */
  networkInBytes: number | null
  networkOutBytes: number | null
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

export interface ComputeDriver {
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
