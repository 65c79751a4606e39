/** The tables as TypeScript sees them; migrations/ is what makes them. */
import type { ColumnType, Generated, GeneratedAlways } from 'kysely'
import type { Acl } from '../model/acl.ts'
import type {
  BackupFrequency,
  BackupKind,
  BackupOrigin,
  BackupState,
  Consistency,
  RetentionDays,
  Weekday,
} from '../model/backup.ts'
import type { BucketSettings, StorageTier, Versioning } from '../model/bucket.ts'
import type { ImageState, Names } from '../model/catalog.ts'
import type { CredentialType } from '../model/credential.ts'
import type {
  AccountId,
  ApiKeyId,
  BackupId,
  BucketId,
  HostId,
  IncidentId,
  InstanceId,
  OperationId,
  ReceiptId,
  SnapshotId,
  SshKeyId,
} from '../model/ids.ts'
import type { InstanceState, Power } from '../model/instance.ts'
import type { Checksum, ChecksumAlgorithm, ChecksumType, Encryption, ObjectPart } from '../model/object.ts'
import type { RetentionMode } from '../model/object-lock.ts'
import type { OperationKind, OperationState } from '../model/operation.ts'
import type { ReceiptCheck, ReceiptState } from '../model/receipt.ts'
import type { KeyService, Scope } from '../model/scopes.ts'
import type { SnapshotState } from '../model/snapshot.ts'

type Timestamp = ColumnType<Date, Date | string, Date | string>
type TimestampByDefault = ColumnType<Date, Date | string | undefined, Date | string>
type Json<T> = ColumnType<T, string, string>
/** A jsonb column with a default, written as text. */
type JsonByDefault<T> = ColumnType<T, string | undefined, string>

export interface Schema {
  clock: { only_row: Generated<boolean>; time_offset: ColumnType<unknown, string, string> }
  setting: { key: string; value: Json<unknown> }
  account: {
    id: AccountId
    uuid: string
    number: GeneratedAlways<number>
    email: string
    name: string
    is_operator: Generated<boolean>
    console_password_hash: string | null
    credit_minor: number | null
    suspended_reason: string | null
    quota_bytes: number | null
    quota_objects: number | null
    quota_buckets: number | null
    created_at: TimestampByDefault
  }
  api_key: {
    id: ApiKeyId
    account_id: AccountId
    name: string
    service: KeyService
    key_id: string
    secret_sha256: Buffer
    scopes: Scope[]
    expires_at: Timestamp | null
    revoked_at: Timestamp | null
    last_used_at: Timestamp | null
    created_at: TimestampByDefault
  }
  access_key: {
    access_key_id: string
    account_id: AccountId
    name: string
    secret_sealed: Buffer
    is_read_only: Generated<boolean>
    buckets: string[] | null
    last_used_at: Timestamp | null
    revoked_at: Timestamp | null
    created_at: TimestampByDefault
  }
  ssh_key: {
    id: SshKeyId
    uuid: string
    number: GeneratedAlways<number>
    account_id: AccountId
    name: string
    public_key: string
    fingerprint: string
    created_at: TimestampByDefault
  }
  region: {
    id: string
    position: number
    name: string
    country: string
    city: string
    aliases: string[]
    names: JsonByDefault<Names>
    retired: Generated<boolean>
  }
  plan: {
    id: string
    number: number
    position: number
    name: string
    vcpus: number
    memory_mib: number
    disk_gib: number
    traffic_tb: number
    price_monthly_minor: number
    currency: string
    names: JsonByDefault<Names>
    retired: Generated<boolean>
  }
  image: {
    id: string
    account_id: AccountId | null
    number: number
    position: number
    name: string
    family: string
    version: string
    is_windows: boolean
    min_memory_mib: number
    min_disk_gib: number
    builder: 'micro' | 'debian' | null
    names: JsonByDefault<Names>
    retired: Generated<boolean>
    state: Generated<ImageState>
    state_reason: string | null
    digest: string | null
    virtual_bytes: number | null
    file_bytes: number | null
    source: Json<unknown> | null
    updated_at: TimestampByDefault
  }
  host: {
    id: HostId
    name: string
    region_id: string
    driver: string
    is_online: Generated<boolean>
    vcpus: number | null
    memory_mib: number | null
    disk_bytes: number | null
    disk_free_bytes: number | null
    disk_high_water: Generated<number>
    boot_slots: number | null
    facts: Json<Record<string, unknown>>
    seen_at: TimestampByDefault
  }
  instance: {
    id: InstanceId
    uuid: string
    number: GeneratedAlways<number>
    account_id: AccountId
    region_id: string
    plan_id: string
    image_id: string
    host_id: HostId | null
    name: string
    hostname: string
    vcpus: number
    memory_mib: number
    disk_gib: number
    image_digest: string | null
    mac: string
    ssh_port: number | null
    ssh_keys: Generated<string[]>
    password_hash: string | null
    backups_enabled: Generated<boolean>
    state: Generated<InstanceState>
    state_reason: string | null
    state_changed_at: TimestampByDefault
    suspended_reason: string | null
    desired_power: Generated<Power>
    generation: Generated<number>
    delete_requested_at: Timestamp | null
    purge_at: Timestamp | null
    crash_count: Generated<number>
    crashed_at: Timestamp | null
    source_backup_id: BackupId | null
    restore_backup_id: BackupId | null
    reference: string | null
    can_snapshot: Generated<boolean>
    rebuild_image_id: string | null
    rebuild_password_sealed: Generated<Buffer | null>
    created_at: TimestampByDefault
    provisioned_at: Timestamp | null
    started_at: Timestamp | null
    updated_at: TimestampByDefault
  }
  credential: {
    instance_id: InstanceId
    type: CredentialType
    username: string
    password_sealed: Buffer
    created_at: TimestampByDefault
    updated_at: TimestampByDefault
  }
  instance_count: { account_id: AccountId; instances: number }
  instance_stats: {
    instance_id: InstanceId
    measured_at: Timestamp
    cpu_percent: number | null
    memory_used_bytes: number | null
    memory_total_bytes: number | null
    disk_used_bytes: number | null
    disk_total_bytes: number | null
    network_in_bytes: number | null
    network_out_bytes: number | null
    disk_read_bytes: number | null
    disk_write_bytes: number | null
    disk_read_ops: number | null
    disk_write_ops: number | null
    run: string | null
    ended: Generated<boolean>
  }
  address_pool: {
    id: GeneratedAlways<number>
    family: 4 | 6
    cidr: string
    region_id: string | null
    next_offset: Generated<number>
    retired: Generated<boolean>
  }
  ip_address: {
    address: string
    pool_id: number
    family: 4 | 6
    instance_id: InstanceId | null
    allocated_at: TimestampByDefault
    quarantined_until: Timestamp | null
  }
  operation: {
    id: OperationId
    uuid: string
    number: GeneratedAlways<number>
    account_id: AccountId | null
    kind: OperationKind
    resource_id: string
    state: Generated<OperationState>
    progress_percent: number | null
    message: string | null
    error_code: string | null
    request_id: string | null
    created_at: TimestampByDefault
    started_at: Timestamp | null
    finished_at: Timestamp | null
  }
  strand: {
    id: string
    kind: string
    step: string
    host_id: HostId | null
    state: Json<Record<string, unknown>>
    intents: Generated<string[]>
    wake_at: TimestampByDefault
    wakes: Generated<number>
    lease_token: Generated<number>
    leased_by: string | null
    leased_until: Timestamp | null
    tries: Generated<number>
    last_error: string | null
    step_entered_at: TimestampByDefault
    deadline_at: Timestamp | null
  }
  incident: {
    id: IncidentId
    number: GeneratedAlways<number>
    strand_id: string
    kind: string
    step: string | null
    message: string
    opened_at: TimestampByDefault
    resolved_at: Timestamp | null
    resolution: string | null
  }
  event: {
    id: GeneratedAlways<number>
    xid: GeneratedAlways<string>
    at: TimestampByDefault
    account_id: string | null
    kind: string
    resource_id: string
    data: Json<Record<string, unknown>>
  }
  audit: {
    id: string
    at: TimestampByDefault
    account_id: string | null
    api_key_id: string | null
    address: string | null
    request_id: string
    dialect: string
    method: string
    path: string
    resource_id: string | null
    status: number
    error_code: string | null
  }
  idempotency: {
    account_id: AccountId
    key: string
    request_sha256: Buffer
    status: number | null
    headers: Json<Record<string, string>> | null
    body: string | null
    created_at: TimestampByDefault
  }
  storage_tier: {
    id: StorageTier
    position: number
    name: string
    description: string
    price_gib_month_minor: number
    currency: string
    retired: Generated<boolean>
  }
  bucket_name: {
    name: string
    account_id: AccountId
    first_used_at: TimestampByDefault
    released_at: Timestamp | null
  }
  bucket: {
    number: GeneratedAlways<number>
    id: BucketId
    name: string
    account_id: AccountId
    tier: Generated<StorageTier>
    location: string
    versioning: Generated<Versioning>
    settings: JsonByDefault<BucketSettings>
    revision: Generated<number>
    is_suspended: Generated<boolean>
    created_at: TimestampByDefault
  }
  object_version: {
    bucket_number: number
    key: string
    seq: number
    version_id: string
    is_latest: boolean
    is_delete_marker: Generated<boolean>
    size_bytes: number
    etag: string
    modified_at: Timestamp
    account_id: AccountId
    storage_class: Generated<string>
    headers: JsonByDefault<Record<string, string>>
    metadata: JsonByDefault<Record<string, string>>
    tags: JsonByDefault<Record<string, string>>
    checksum: Json<Checksum> | null
    acl: Json<Acl> | null
    encryption: Json<Encryption> | null
    retain_mode: RetentionMode | null
    retain_until: Timestamp | null
    legal_hold: Generated<boolean>
    part_count: number | null
    parts: Json<ObjectPart[]> | null
    inline_body: Buffer | null
    inline_key: Buffer | null
  }
  blob: {
    id: string
    plain_bytes: number
    stored_bytes: number
    md5: Buffer | null
    wrapped_key: Buffer | null
    written_at: TimestampByDefault
  }
  body_segment: {
    body_id: number
    body_start: number
    blob_id: string
    blob_start: number
    length: number
  }
  released_blob: { number: GeneratedAlways<number>; blob_id: string; released_at: TimestampByDefault }
  object_reader: { process_id: string; oldest_read_at: Timestamp | null; seen_at: TimestampByDefault }
  multipart_upload: {
    id: string
    bucket_number: number
    key: string
    account_id: AccountId
    access_key_id: string | null
    started_at: TimestampByDefault
    properties: Json<Record<string, unknown>>
    checksum_algorithm: ChecksumAlgorithm | null
    checksum_type: ChecksumType | null
    encryption: Json<Encryption> | null
    completed_at: Timestamp | null
    outcome: Json<Record<string, unknown>> | null
  }
  upload_part: {
    upload_id: string
    part_number: number
    body_id: number
    size_bytes: number
    md5: Buffer
    etag: string
    checksum: string | null
    modified_at: TimestampByDefault
  }
  bucket_usage: {
    bucket_number: number
    shard: number
    objects: Generated<number>
    versions: Generated<number>
    bytes: Generated<number>
    upload_bytes: Generated<number>
    byte_seconds: ColumnType<string, string | undefined, string>
    counted_at: TimestampByDefault
  }
  bucket_hour: {
    bucket_id: string
    hour: Timestamp
    account_id: AccountId
    bucket_name: string
    tier: StorageTier
    byte_seconds: ColumnType<string, string | undefined, string>
    read_requests: Generated<number>
    write_requests: Generated<number>
    bytes_in: Generated<number>
    bytes_out: Generated<number>
  }
  snapshot: {
    id: SnapshotId
    uuid: string
    number: GeneratedAlways<number>
    account_id: AccountId
    instance_id: InstanceId
    generation: number
    name: string
    description: string | null
    has_memory: boolean
    state: Generated<SnapshotState>
    state_reason: string | null
    reverts_memory: Generated<boolean>
    disk_bytes: number | null
    memory_bytes: number | null
    created_at: TimestampByDefault
    taken_at: Timestamp | null
  }
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
}
