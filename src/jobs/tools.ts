/** What the strands of a worker may use. Built once in main/worker.ts. */
import type { ComputeDriver } from '../drivers/compute/compute.ts'
import type { ObjectsDriver } from '../drivers/objects/objects.ts'
import type { TaskProgramName } from '../drivers/tasks/tasks.ts'
import type { DamagedBlob, ErrorCode } from '../model/errors.ts'
import type { BackupId, HostId, InstanceId } from '../model/ids.ts'
import type { ListedChunk, StoredChunk } from '../store/backup-chunks.ts'
import type { Db } from '../store/db.ts'
import type { Retention } from '../store/roll-up.ts'
import type { Slow } from './metrics/sample.ts'

/** Detached work on the host, found again by its id. */
export interface TaskTools {
  ensureStarted(id: string, program: TaskProgramName, input: unknown): Promise<void>
  read(id: string): Promise<TaskStatus>
  /** It is absent, but what it kept is there when it is started with other input. */
  reset(id: string): Promise<void>
  remove(id: string): Promise<void>
}
export interface TaskStatus {
  state: 'absent' | 'running' | 'done' | 'failed' | 'vanished'
  percent: number | null
  message: string | null
  value?: unknown
  error?: { code: ErrorCode; message: string; blob?: DamagedBlob }
}

/** What an upload is told and hands over besides its input, as files of the host; and keys, which only it opens. */
export interface BackupTools {
  /** For an account's first backup; sealed. */
  newKey(): Buffer
  /** Returns the path of the file that names them. */
  writeKnown(id: BackupId, chunks: AsyncIterable<StoredChunk>): Promise<string>
  readList(file: string): AsyncIterable<ListedChunk | null>
  /** Nothing that was written for it is left. */
  remove(id: BackupId): Promise<void>
}

/** The image files of the host. */
export interface ImageTools {
  list(): Promise<{ digest: string; modifiedAt: Date }[]>
  remove(digest: string): Promise<void>
  removeUpload(file: string): Promise<void>
}

export interface WorkerTools {
  compute: ComputeDriver
  tasks: TaskTools
  images: ImageTools
  backups: BackupTools
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
  images: ImageTools
  hosts: readonly HostId[]
  /** Filled by the instance reconciler: what the driver knows and no row owns. */
  orphans: Set<string>
  /** The sampler's memory. */
  slowSamples: Map<InstanceId, Slow>
  /** How long measurements are kept. */
  metrics: Retention
  /** Tells the database what the hosts are and have. */
  reportHosts(): Promise<void>
}

/** What the sweepers of object storage may use. */
export interface ObjectTools {
  db: Db
  objects: ObjectsDriver
  storage: {
    /** How long a blob that lost its last segment stays, besides for those who read it. */
    releasedGraceSeconds: number
    /** How old a blob must be that no row knows: an upload writes its row last. */
    orphanGraceSeconds: number
    /** What a round of the scrub reads at most, but for its last blob. */
    scrubBytes: number
    /** How long what no backup is made of any more stays, besides for work that may read it. */
    backupGraceMinutes: number
  }
  /** What operators should see. */
  log(message: string, error?: unknown): void
}
