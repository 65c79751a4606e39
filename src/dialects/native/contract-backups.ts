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
import { All, type Endpoint, listOf, Operation, Paging, Ref, Timestamp, V } from './contract-common.ts'

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
} as const satisfies Record<string, Endpoint>

export type Backup = z.infer<typeof Backup>
export type BackupAccepted = z.infer<typeof BackupAccepted>
export type BackupPolicy = z.infer<typeof BackupPolicy>
export type BackupUsage = z.infer<typeof BackupUsage>
