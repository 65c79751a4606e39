/**
 * What the two detached programs of backups take and hand over. `backup-upload` brings an opened export into the object
 * store; `backup-restore` writes a backup onto a prepared disk. Both can be killed at any moment and started again.
 */
import { z } from 'zod'
import type { Consistency } from '../../model/backup.ts'
import { type BackupOrigin, CONSISTENCY_LEVELS } from '../../model/backup.ts'
import type { ErrorCode } from '../../model/errors.ts'
import type { BackupId } from '../../model/ids.ts'
import type { DiskSource } from '../compute/compute.ts'
import type { BlobId } from '../objects/objects.ts'

/** What a failed upload says when the export ended under it: open another and start the program again. */
export const SOURCE_GONE: ErrorCode = 'not_found'
/** What a failed restore says when the backup cannot be read whole; trying again does not help. */
export const BACKUP_DAMAGED: ErrorCode = 'conflict'

/** What a manifest says of its backup, besides the disk's size and its chunks. */
export interface ManifestHeader {
  origin: BackupOrigin
  /** ISO 8601. */
  pointAt: string
  consistency: Consistency
  consistencyReason: string | null
  frozenMs: number | null
}

export interface UploadWork {
  backupId: BackupId
  /** The account's backup key as keys.ts made it, base64. */
  sealedKey: string
  source: DiskSource
  diskBytes: number
  /** The backup whose mark the source's dirty bitmap counts from; ignored where the source has none. */
  base: { backupId: BackupId; manifestBlobId: BlobId; manifestBytes: number } | null
  /** Made by `writeKnownChunks`. */
  knownFile: string | null
  header: ManifestHeader
}

export interface UploadOutcome {
  manifestBlobId: BlobId
  manifestBytes: number
  /** Of the stored bytes, hex. */
  manifestMd5: string
  /** Read it with `readChunkList`. It goes with the task's folder. */
  chunkListFile: string
  /** Of disk in chunks that are not holes. */
  dataBytes: number
  /** Of disk that had to be read. */
  readBytes: number
  /** Of all its chunks, each counted once, and of its manifest, as they lie in the store. */
  storedBytes: number
  /** Of these, what came with it. */
  addedBytes: number
  addedChunks: number
}

export interface RestoreWork {
  backupId: BackupId
  sealedKey: string
  manifestBlobId: BlobId
  manifestBytes: number
  /** Made anew; what is there is removed. */
  file: string
  format: 'qcow2' | 'raw'
  /** Of the finished file; null = the process's own. */
  owner: { uid: number; gid: number } | null
}

export interface RestoreOutcome {
  diskBytes: number
  /** Of data. */
  writtenBytes: number
  /** Without the holes. */
  chunks: number
  ms: number
}

const Count = z.int().nonnegative()
const Id = z.string().regex(/^bkp_[0-9a-z]{26}$/) as unknown as z.ZodType<BackupId>
const Blob = z.string().regex(/^[0-9a-f]{32}$/)

export const HeaderShape = z.object({
  origin: z.object({
    name: z.string(),
    hostname: z.string(),
    regionId: z.string(),
    planId: z.string(),
    imageId: z.string(),
    vcpus: z.number(),
    memoryMib: z.number(),
    diskGib: z.number(),
  }),
  pointAt: z.string(),
  consistency: z.enum(CONSISTENCY_LEVELS),
  consistencyReason: z.string().nullable(),
  frozenMs: z.number().nullable(),
}) satisfies z.ZodType<ManifestHeader>

export const UploadInput = z.object({
  backupId: Id,
  sealedKey: z.string(),
  source: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('nbd'),
      socket: z.string(),
      exportName: z.string(),
      dirtyBitmap: z.string().nullable(),
      baseExport: z.string().nullable(),
    }),
    z.object({
      kind: z.literal('file'),
      path: z.string(),
      extents: z.array(z.object({ offset: Count, length: Count })),
    }),
  ]),
  diskBytes: Count,
  base: z.object({ backupId: Id, manifestBlobId: Blob, manifestBytes: Count }).nullable(),
  knownFile: z.string().nullable(),
  header: HeaderShape,
}) satisfies z.ZodType<UploadWork>

export const RestoreInput = z.object({
  backupId: Id,
  sealedKey: z.string(),
  manifestBlobId: Blob,
  manifestBytes: Count,
  file: z.string(),
  format: z.enum(['qcow2', 'raw']),
  owner: z.object({ uid: Count, gid: Count }).nullable(),
}) satisfies z.ZodType<RestoreWork>
