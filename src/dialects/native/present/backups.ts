import type * as backups from '../../../services/backups/backups.ts'
import type * as contract from '../contract/backups.ts'
import { maybe, time } from './common.ts'

export const presentBackup = (backup: backups.Backup): contract.Backup => ({
  id: backup.id,
  uuid: backup.uuid,
  number: backup.number,
  shortId: backup.shortId,
  accountId: backup.accountId,
  instanceId: backup.instanceId,
  kind: backup.kind,
  label: backup.label,
  state: backup.state,
  stateReason: backup.stateReason,
  consistency: backup.consistency,
  consistencyReason: backup.consistencyReason,
  frozenMs: backup.frozenMs,
  diskBytes: backup.diskBytes,
  dataBytes: backup.dataBytes,
  readBytes: backup.readBytes,
  storedBytes: backup.storedBytes,
  addedBytes: backup.addedBytes,
  progressPercent: backup.progressPercent,
  createdAt: time(backup.createdAt),
  pointAt: maybe(backup.pointAt),
  completedAt: maybe(backup.completedAt),
  expiresAt: maybe(backup.expiresAt),
  receipt: backup.receipt && { ...backup.receipt, finishedAt: maybe(backup.receipt.finishedAt) },
  verifiedAt: maybe(backup.verifiedAt),
  damagedAt: maybe(backup.damagedAt),
  damage: backup.damage,
  origin: backup.origin,
})
