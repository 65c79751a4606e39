import { z } from 'zod'
import { BACKUP_FREQUENCIES, isTimeOfDay, RETENTION_DAYS, WEEKDAYS } from '../../../model/backup.ts'
import { type Endpoint, Ref, Timestamp, V } from './common.ts'

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
export type BackupPolicy = z.infer<typeof BackupPolicy>

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

export const backupPoliciesEndpoints = {
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
