/** What the strands of a worker may use. Built once in main/worker.ts. */
import type { ComputeDriver } from '../drivers/compute/compute.ts'
import type { HostId } from '../model/ids.ts'
import type { Db } from '../store/db.ts'

export interface WorkerTools {
  compute: ComputeDriver
  /** The hosts that `compute` runs. */
  hosts: readonly HostId[]
  /** How many guests of a host may boot at once; null = any number. */
  bootSlots(): number | null
  /** The cloud's clock. */
  now(db: Db): Promise<Date>
  settings: {
    shutdownSeconds: number
    quarantineMinutes: number
    /** Addresses do not answer here: every instance gets a port on the loopback instead. */
    forwardsSsh: boolean
  }
}

/** What the reconcilers of a worker may use. */
export interface ReconcilerTools {
  db: Db
  compute: ComputeDriver
  hosts: readonly HostId[]
  /** Filled by the instance reconciler: what the driver knows and no row owns. */
  orphans: Set<string>
  /** The sampler's memory. */
  lastSamples: Map<string, string>
  /** Tells the database what the hosts are and have. */
  reportHosts(): Promise<void>
}
