/** The part of the native API's contract that is about backups, their policies and what proves them. */
import { z } from 'zod'
import {
  BACKUP_FREQUENCIES,
  BACKUP_KINDS,
  BACKUP_STATES,
  CONSISTENCY_LEVELS,
  isTimeOfDay,
  RETENTION_DAYS,
  WEEKDAYS,
} from '../../model/backup.ts'
import { RECEIPT_STATES } from '../../model/receipt.ts'
import { All, type Endpoint, listOf, Operation, PageQuery, Paging, Ref, Timestamp, V } from './contract-common.ts'

const Bytes = z.int().nullable().describe('null = not measured')

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
export const BackupAccepted = z.object({ backup: Backup, operation: Operation }).meta({ id: 'BackupAccepted' })

export const CreateBackup = z
  .strictObject({
    label: z.string().trim().max(255).optional(),
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

export const BackupPolicy = z
  .object({
    enabled: z.boolean(),
    frequency: z.enum(BACKUP_FREQUENCIES),
    dayOfWeek: z.enum(WEEKDAYS).describe('only for `weekly`'),
    time: z.string().describe('`HH:MM`, UTC'),
    retentionDays: z.int(),
    isSet: z.boolean().describe('false: nobody ever set one, these are the defaults'),
    nextAt: Timestamp.nullable(),
    lastAt: Timestamp.nullable(),
  })
  .meta({ id: 'InstanceBackupPolicy' })
export const SetBackupPolicy = z
  .strictObject({
    enabled: z.boolean().optional(),
    frequency: z.enum(BACKUP_FREQUENCIES).optional(),
    dayOfWeek: z.enum(WEEKDAYS).optional(),
    time: z.string().refine(isTimeOfDay, 'must be HH:MM, for example 02:00').optional(),
    retentionDays: z.literal([...RETENTION_DAYS]).optional(),
  })
  .meta({ id: 'SetBackupPolicy', description: 'What is left out stays as it is.' })

const CHECKS = ['digests', 'image', 'boot', 'agent', 'filesystem'] as const
export const Receipt = z
  .object({
    id: z.string(),
    uuid: z.uuid(),
    number: z.int(),
    backupId: z.string(),
    state: z.enum(RECEIPT_STATES),
    stateReason: z.string().nullable(),
    isScheduled: z.boolean().describe('false: somebody asked for it'),
    consistency: z.enum(CONSISTENCY_LEVELS).nullable(),
    restoredBytes: Bytes,
    restoreMs: z.int().nullable(),
    bootMs: z.int().nullable(),
    checks: z.array(
      z.object({
        name: z.enum(CHECKS),
        outcome: z.enum(['passed', 'failed', 'unknown']).describe('`unknown`: nothing could tell'),
        detail: z.string(),
      }),
    ),
    serialTail: z.string().nullable(),
    hasScreenshot: z.boolean(),
    startedAt: Timestamp,
    finishedAt: Timestamp.nullable(),
  })
  .meta({ id: 'Receipt' })
export const ReceiptAccepted = z.object({ receipt: Receipt, operation: Operation }).meta({ id: 'ReceiptAccepted' })
export const Restored = z.object({ instanceId: z.string(), operation: Operation }).meta({ id: 'RestoreAccepted' })
export const DownloadLink = z
  .object({
    url: z.url().describe('of a qcow2 disk image; whoever has it needs no key'),
    expiresAt: Timestamp,
    sizeBytes: z.int(),
  })
  .meta({ id: 'BackupDownloadLink' })

export const RsyncAccount = z
  .object({
    username: z.int().describe('the name of the rsync module as well'),
    password: z.string(),
    host: z.string(),
    port: z.int(),
    quotaBytes: z.int(),
    usedBytes: Bytes.describe('on the disk; null = not measured yet'),
    measuredAt: Timestamp.nullable(),
  })
  .meta({ id: 'RsyncAccount' })
const RsyncOff = z.object({ enabled: z.literal(false) }).meta({ id: 'RsyncOff' })

const RSYNC = `${V}/instances/{id}/rsync-account`
const POLICY = `${V}/instances/{id}/backup-policy`

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
  verifyBackup: {
    method: 'POST',
    path: `${V}/backups/{id}/verify`,
    summary: 'Restore a backup into a machine of its own, boot it and look at it',
    status: 202,
    params: Ref,
    answer: ReceiptAccepted,
  },
  listReceipts: {
    method: 'GET',
    path: `${V}/backups/{id}/receipts`,
    summary: 'List the receipts of a backup, the newest first',
    status: 200,
    params: Ref,
    query: PageQuery,
    answer: listOf(Receipt),
  },
  getReceipt: {
    method: 'GET',
    path: `${V}/receipts/{id}`,
    summary: 'Get a receipt',
    status: 200,
    params: Ref,
    answer: Receipt,
  },
  getReceiptScreenshot: {
    method: 'GET',
    path: `${V}/receipts/{id}/screenshot`,
    summary: 'Get what the screen of the booted backup showed',
    status: 200,
    params: Ref,
    produces: 'image/png',
  },
  getBackupUsage: {
    method: 'GET',
    path: `${V}/backup-usage`,
    summary: 'What backups hold in the store',
    status: 200,
    query: UsageQuery,
    answer: BackupUsage,
  },
  getBackupPolicy: {
    method: 'GET',
    path: POLICY,
    summary: 'Get when an instance is backed up by itself',
    status: 200,
    params: Ref,
    answer: BackupPolicy,
  },
  setBackupPolicy: {
    method: 'PUT',
    path: POLICY,
    summary: 'Set when an instance is backed up by itself',
    status: 200,
    params: Ref,
    body: SetBackupPolicy,
    answer: BackupPolicy,
  },
  deleteBackupPolicy: {
    method: 'DELETE',
    path: POLICY,
    summary: 'Forget when an instance is backed up by itself; the backups stay',
    status: 200,
    params: Ref,
    answer: BackupPolicy,
  },
  getRsyncAccount: {
    method: 'GET',
    path: RSYNC,
    summary: 'Get where an instance sends files with rsync; not found while that is off',
    status: 200,
    params: Ref,
    answer: RsyncAccount,
  },
  enableRsyncAccount: {
    method: 'PUT',
    path: RSYNC,
    summary: 'Let an instance send files with rsync; an account that was there before has its files and password',
    status: 200,
    params: Ref,
    answer: RsyncAccount,
  },
  disableRsyncAccount: {
    method: 'DELETE',
    path: RSYNC,
    summary: 'Let nobody in any more; the files stay until the instance is purged',
    status: 200,
    params: Ref,
    answer: RsyncOff,
  },
} as const satisfies Record<string, Endpoint>

export type Backup = z.infer<typeof Backup>
export type BackupAccepted = z.infer<typeof BackupAccepted>
export type BackupPolicy = z.infer<typeof BackupPolicy>
export type BackupUsage = z.infer<typeof BackupUsage>
export type RsyncAccount = z.infer<typeof RsyncAccount>
export type Receipt = z.infer<typeof Receipt>
export type ReceiptAccepted = z.infer<typeof ReceiptAccepted>
export type DownloadLink = z.infer<typeof DownloadLink>
