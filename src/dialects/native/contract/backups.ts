import { z } from 'zod'
import { BACKUP_KINDS, BACKUP_STATES, CONSISTENCY_LEVELS } from '../../../model/backup.ts'
import { RECEIPT_STATES } from '../../../model/receipt.ts'
import { All, Bytes, type Endpoint, listOf, Paging, Ref, Timestamp, V } from './common.ts'
import { Operation } from './operations.ts'

export const Backup = z
  .object({
    id: z.string(),
    uuid: z.uuid(),
    number: z.int(),
    shortId: z.string().describe('`bk-` and eight letters and digits'),
    accountId: z.string(),
    instanceId: z.string().describe('may be deleted by now'),
    kind: z.enum(BACKUP_KINDS),
    label: z.string().nullable(),
    state: z.enum(BACKUP_STATES),
    stateReason: z.string().nullable(),
    consistency: z.enum(CONSISTENCY_LEVELS).nullable(),
    consistencyReason: z.string().nullable().describe('why it is no better'),
    frozenMs: z.int().nullable().describe("how long the guest's file systems stood still; null = they did not"),
    diskBytes: Bytes,
    dataBytes: Bytes,
    readBytes: Bytes,
    storedBytes: Bytes,
    addedBytes: Bytes,
    progressPercent: z.int().nullable(),
    createdAt: Timestamp,
    pointAt: Timestamp.nullable().describe('the moment that it shows'),
    completedAt: Timestamp.nullable(),
    expiresAt: Timestamp.nullable(),
    receipt: z
      .object({
        id: z.string(),
        state: z.enum(RECEIPT_STATES),
        finishedAt: Timestamp.nullable(),
        isFresh: z.boolean().describe('passed, and not long ago'),
      })
      .nullable(),
    verifiedAt: Timestamp.nullable().describe('when it was last proven to restore; null = unproven'),
    damagedAt: Timestamp.nullable(),
    damage: z.string().nullable(),
    origin: z
      .object({
        name: z.string(),
        hostname: z.string(),
        regionId: z.string(),
        planId: z.string(),
        imageId: z.string(),
        vcpus: z.int(),
        memoryMib: z.int(),
        diskGib: z.int(),
      })
      .describe('the instance as it was'),
  })
  .meta({ id: 'InstanceBackup' })
export type Backup = z.infer<typeof Backup>

export const BackupAccepted = z.object({ backup: Backup, operation: Operation }).meta({ id: 'BackupAccepted' })
export type BackupAccepted = z.infer<typeof BackupAccepted>

export const CreateBackup = z
  .strictObject({
    label: z
      .string()
      .trim()
      .max(255)
      .regex(/^[^\p{Cc}]*$/u, 'must not hold control characters') // it is shown on terminals
      .optional(),
    retentionDays: z.int().min(1).max(3650).optional().describe("default: as the instance's policy says, or 14"),
  })
  .meta({ id: 'CreateBackup' })

const ListBackupsQuery = z.strictObject({
  ...Paging,
  ...All,
  instance: z.string().optional().describe('only of this instance: text id, UUID, number or name'),
})

const UsageQuery = z.strictObject({ ...All, instance: z.string().optional() })

export const BackupUsage = z
  .object({ backups: z.int(), storedBytes: z.int().describe('in the store; what backups share counts once') })
  .meta({ id: 'BackupUsage' })
export type BackupUsage = z.infer<typeof BackupUsage>

export const Restored = z.object({ instanceId: z.string(), operation: Operation }).meta({ id: 'RestoreAccepted' })

export const DownloadLink = z
  .object({
    url: z.url().describe('of a qcow2 disk image; whoever has it needs no key'),
    expiresAt: Timestamp,
    sizeBytes: z.int(),
  })
  .meta({ id: 'BackupDownloadLink' })
export type DownloadLink = z.infer<typeof DownloadLink>

export const backupsEndpoints = {
  listBackups: {
    method: 'GET',
    path: `${V}/backups`,
    summary: 'List backups, the newest first, also of instances that are gone',
    status: 200,
    query: ListBackupsQuery,
    answer: listOf(Backup),
  },
  createBackup: {
    method: 'POST',
    path: `${V}/instances/{id}/backups`,
    summary: 'Back up an instance, running or not',
    status: 202,
    params: Ref,
    body: CreateBackup.prefault({}),
    answer: BackupAccepted,
  },
  getBackup: {
    method: 'GET',
    path: `${V}/backups/{id}`,
    summary: 'Get a backup',
    status: 200,
    params: Ref,
    answer: Backup,
  },
  deleteBackup: {
    method: 'DELETE',
    path: `${V}/backups/{id}`,
    summary: 'Delete a backup, in any state',
    status: 200,
    params: Ref,
    answer: Backup,
  },
  restoreBackup: {
    method: 'POST',
    path: `${V}/backups/{id}/restore`,
    summary: 'Give the stopped instance of a backup its disk back; a new instance comes by createInstance',
    status: 202,
    params: Ref,
    answer: Restored,
  },
  getBackupDownload: {
    method: 'GET',
    path: `${V}/backups/{id}/download`,
    summary: 'Get a link, valid for an hour, to a backup as a disk image',
    status: 200,
    params: Ref,
    answer: DownloadLink,
  },
  getBackupUsage: {
    method: 'GET',
    path: `${V}/backup-usage`,
    summary: 'What backups hold in the store',
    status: 200,
    query: UsageQuery,
    answer: BackupUsage,
  },
} as const satisfies Record<string, Endpoint>
