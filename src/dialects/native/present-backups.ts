/** Snapshots, backups and their policies as the contract has them. */
import { DEFAULT_SCHEDULE } from '../../model/backup.ts'
import type * as policies from '../../services/backup-policies.ts'
import type * as backups from '../../services/backups.ts'
import type * as receipts from '../../services/receipts.ts'
import type * as rsyncAccounts from '../../services/rsync-accounts.ts'
import type * as snapshots from '../../services/snapshots.ts'
import type * as contract from './contract-backups.ts'
import type * as snapshotContract from './contract-snapshots.ts'

const time = (date: Date): string => date.toISOString()
const maybe = (date: Date | null): string | null => date?.toISOString() ?? null

export const presentSnapshot = (snapshot: snapshots.Snapshot): snapshotContract.Snapshot => ({
  id: snapshot.id,
  uuid: snapshot.uuid,
  number: snapshot.number,
  instanceId: snapshot.instanceId,
  name: snapshot.name,
  description: snapshot.description,
  hasMemory: snapshot.hasMemory,
  state: snapshot.state,
  stateReason: snapshot.stateReason,
  sizeBytes: snapshot.sizeBytes,
  createdAt: time(snapshot.createdAt),
  takenAt: maybe(snapshot.takenAt),
})

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

export const presentPolicy = (policy: policies.BackupPolicy | null): contract.BackupPolicy => ({
  ...(policy?.schedule ?? DEFAULT_SCHEDULE),
  isSet: policy !== null,
  nextAt: maybe(policy?.nextAt ?? null),
  lastAt: maybe(policy?.lastAt ?? null),
})

export const presentReceipt = (receipt: receipts.Receipt): contract.Receipt => ({
  id: receipt.id,
  uuid: receipt.uuid,
  number: receipt.number,
  backupId: receipt.backupId,
  state: receipt.state,
  stateReason: receipt.stateReason,
  isScheduled: receipt.isScheduled,
  consistency: receipt.consistency,
  restoredBytes: receipt.restoredBytes,
  restoreMs: receipt.restoreMs,
  bootMs: receipt.bootMs,
  checks: receipt.checks,
  serialTail: receipt.serialTail,
  hasScreenshot: receipt.hasScreenshot,
  startedAt: time(receipt.startedAt),
  finishedAt: maybe(receipt.finishedAt),
})

export const presentRsyncAccount = (account: rsyncAccounts.RsyncAccount): contract.RsyncAccount => ({
  username: account.username,
  password: account.password,
  host: account.host,
  port: account.port,
  quotaBytes: account.quotaBytes,
  usedBytes: account.usedBytes,
  measuredAt: maybe(account.measuredAt),
})
