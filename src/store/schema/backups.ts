/** Backups, what they are made of, and what proves them. */
import type { Generated, GeneratedAlways } from 'kysely'
import type {
  BackupFrequency,
  BackupKind,
  BackupOrigin,
  BackupState,
  Consistency,
  RetentionDays,
  Weekday,
} from '../../model/backup.ts'
import type { AccountId, BackupId, HostId, InstanceId, ReceiptId } from '../../model/ids.ts'
import type { ReceiptCheck, ReceiptState } from '../../model/receipt.ts'
import type { Json, JsonByDefault, Timestamp, TimestampByDefault } from './columns.ts'

export interface BackupTables {
  backup_key: { account_id: AccountId; sealed: Buffer; created_at: TimestampByDefault }
  backup_policy: {
    instance_id: InstanceId
    enabled: boolean
    frequency: BackupFrequency
    day_of_week: Weekday
    time: string
    retention_days: RetentionDays
    next_at: Timestamp | null
    last_at: Timestamp | null
    updated_at: TimestampByDefault
  }
  backup: {
    id: BackupId
    uuid: string
    number: GeneratedAlways<number>
    short_id: string
    account_id: AccountId
    instance_id: InstanceId
    host_id: HostId | null
    kind: BackupKind
    label: string | null
    policy_due_at: Timestamp | null
    state: Generated<BackupState>
    state_reason: string | null
    origin: Json<BackupOrigin>
    consistency: Consistency | null
    consistency_reason: string | null
    frozen_ms: number | null
    disk_bytes: number | null
    data_bytes: number | null
    read_bytes: number | null
    stored_bytes: number | null
    added_bytes: number | null
    manifest_blob_id: string | null
    chunks: number[] | null
    created_at: TimestampByDefault
    point_at: Timestamp | null
    completed_at: Timestamp | null
    expires_at: Timestamp | null
    deleted_at: Timestamp | null
    damaged_at: Timestamp | null
    damage: string | null
  }
  backup_chunk: {
    number: GeneratedAlways<number>
    account_id: AccountId
    digest: Buffer
    blob_id: string
    stored_bytes: number
    unreferenced_at: Timestamp | null
    damaged_at: Timestamp | null
  }
  receipt: {
    id: ReceiptId
    uuid: string
    number: GeneratedAlways<number>
    backup_id: BackupId
    account_id: AccountId
    host_id: HostId | null
    machine_id: InstanceId
    is_scheduled: boolean
    state: Generated<ReceiptState>
    state_reason: string | null
    consistency: Consistency | null
    restored_bytes: number | null
    restore_ms: number | null
    boot_ms: number | null
    checks: JsonByDefault<ReceiptCheck[]>
    serial_tail: string | null
    screenshot: Buffer | null
    started_at: TimestampByDefault
    finished_at: Timestamp | null
  }
  rsync_account: {
    instance_id: InstanceId
    username: GeneratedAlways<number>
    password_sealed: Buffer
    enabled: Generated<boolean>
    quota_bytes: Generated<number>
    used_bytes: number | null
    measured_at: Timestamp | null
    released_at: Timestamp | null
    created_at: TimestampByDefault
  }
}
