/** WAYSCloud's backups: made while the VPS does what it does, kept as long as the policy says. */
import { z } from 'zod'
import { BACKUP_KINDS, type BackupState } from '../../model/backup.ts'
import { isUuid } from '../../model/ids.ts'
import type { Backup } from '../../services/backups/backups.ts'
import * as backups from '../../services/backups/backups.ts'
import * as downloads from '../../services/backups/downloads.ts'
import * as restores from '../../services/backups/restores.ts'
import { route } from '../http/route.ts'
import { Time, time } from './present.ts'

const Path = z.object({ vps_id: z.string().refine(isUuid) })
const BackupPath = Path.extend({ backup_id: z.string() })
const noun = 'instance'

/** A deleted one is not seen; the word is for the table's sake. */
const STATUS: Record<BackupState, string> = {
  creating: 'creating',
  completed: 'completed',
  failed: 'failed',
  deleted: 'deleted',
}

const GIB = 1024 ** 3
const gb = (bytes: number): number => Math.round((bytes / GIB) * 100) / 100

const Item = z
  .object({
    id: z.string(),
    type: z.enum(BACKUP_KINDS),
    status: z.string(),
    size_bytes: z.int().nullable().describe('as it lies in the store; null until it is completed'),
    created_at: Time,
    expires_at: Time.nullable(),
    backup_id: z.string(),
    backup_type: z.enum(BACKUP_KINDS),
    size_gb: z.number().nullable(),
    started_at: Time,
    verified_at: Time.nullable().describe('when it was last restored, booted and checked; null = unproven'),
  })
  .meta({ id: 'Backup' })

const presentBackup = (backup: Backup): z.infer<typeof Item> => ({
  id: backup.shortId,
  type: backup.kind,
  status: STATUS[backup.state],
  size_bytes: backup.storedBytes,
  created_at: time(backup.createdAt),
  expires_at: backup.expiresAt && time(backup.expiresAt),
  backup_id: backup.shortId,
  backup_type: backup.kind,
  size_gb: backup.storedBytes === null ? null : gb(backup.storedBytes),
  started_at: time(backup.createdAt),
  verified_at: backup.verifiedAt && time(backup.verifiedAt),
})

/** It has no pages. */
const ALL = 10_000

export const listBackups = route({
  method: 'GET',
  path: '/v1/vps/{vps_id}/backups',
  summary: 'List backups',
  scope: 'instances:read',
  noun,
  status: 200,
  params: Path,
  answer: z.object({ backups: z.array(Item), total: z.int() }).meta({ id: 'BackupList' }),
  async run(ctx, { params }) {
    const { items, total } = await backups.list(ctx, { instance: params.vps_id, limit: ALL })
    return { backups: items.map(presentBackup), total }
  },
})

export const createBackup = route({
  method: 'POST',
  path: '/v1/vps/{vps_id}/backups',
  summary: 'Create backup',
  scope: 'instances:write',
  noun,
  status: 200,
  params: Path,
  answer: z.object({ status: z.literal('started'), backup_id: z.string() }).meta({ id: 'BackupStarted' }),
  async run(ctx, { params }) {
    const { backup } = await backups.create(ctx, params.vps_id)
    return { status: 'started' as const, backup_id: backup.shortId }
  },
})

export const deleteBackup = route({
  method: 'DELETE',
  path: '/v1/vps/{vps_id}/backups/{backup_id}',
  summary: 'Delete backup',
  scope: 'instances:write',
  noun,
  status: 200,
  params: BackupPath,
  answer: z.object({ status: z.literal('deleted'), backup_id: z.string() }).meta({ id: 'BackupDeleted' }),
  async run(ctx, { params }) {
    const { shortId } = await backups.remove(ctx, params.backup_id, { instance: params.vps_id })
    return { status: 'deleted' as const, backup_id: shortId }
  },
})

const Restoring = z
  .object({ status: z.literal('restoring'), backup_id: z.string(), message: z.string() })
  .meta({ id: 'BackupRestoring' })

export const restoreBackup = route({
  method: 'POST',
  path: '/v1/vps/{vps_id}/backups/{backup_id}/restore',
  summary: 'Restore backup',
  scope: 'instances:write',
  noun,
  status: 200,
  params: BackupPath,
  answer: Restoring,
  async run(ctx, { params }) {
    const { shortId } = await backups.get(ctx, params.backup_id, { instance: params.vps_id })
    await restores.restore(ctx, params.vps_id, shortId)
    const message = 'The backup is being restored; the VPS can be started when it is done'
    return { status: 'restoring' as const, backup_id: shortId, message }
  },
})

const Download = z
  .object({
    download_url: z.string().describe('of a qcow2 disk image; valid for one hour'),
    expires_at: Time,
    size_bytes: z.int(),
  })
  .meta({ id: 'BackupDownload' })

export const downloadBackup = route({
  method: 'GET',
  path: '/v1/vps/{vps_id}/backups/{backup_id}/download',
  summary: 'Get a link to a backup',
  scope: 'instances:read',
  isSecret: true, // whoever has it has the disk
  noun,
  status: 200,
  params: BackupPath,
  answer: Download,
  async run(ctx, { params }) {
    const { url, expiresAt, sizeBytes } = await downloads.link(ctx, params.backup_id, { instance: params.vps_id })
    return { download_url: url, expires_at: time(expiresAt), size_bytes: sizeBytes }
  },
})

const Usage = z
  .object({
    total_backups: z.int(),
    total_size_bytes: z.int(),
    total_size_human: z.string().describe('1024-based, one decimal'),
    total_size_gb: z.number(),
  })
  .meta({ id: 'BackupUsageAnswer' })

export const getBackupUsage = route({
  method: 'GET',
  path: '/v1/vps/{vps_id}/backup-usage',
  summary: 'Get backup usage',
  scope: 'instances:read',
  noun,
  status: 200,
  params: Path,
  answer: Usage,
  async run(ctx, { params }) {
    const usage = await backups.usage(ctx, params.vps_id)
    return {
      total_backups: usage.backups,
      total_size_bytes: usage.storedBytes,
      total_size_human: human(usage.storedBytes),
      total_size_gb: gb(usage.storedBytes),
    }
  },
})

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB', 'PB']
function human(bytes: number): string {
  const unit = bytes < 1024 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10))
  return `${(bytes / 1024 ** unit).toFixed(1)} ${UNITS[unit]}`
}
