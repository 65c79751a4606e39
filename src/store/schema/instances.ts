/** Instances and what belongs to them: the hosts under them, addresses, credentials, snapshots, the latest measurement. */
import type { Generated, GeneratedAlways } from 'kysely'
import type { CredentialType } from '../../model/credential.ts'
import type { AccountId, BackupId, HostId, InstanceId, SnapshotId } from '../../model/ids.ts'
import type { InstanceState, Power } from '../../model/instance.ts'
import type { SnapshotState } from '../../model/snapshot.ts'
import type { Json, Timestamp, TimestampByDefault } from './columns.ts'

export interface InstanceTables {
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
  instance_count: { account_id: AccountId; instances: number }
  credential: {
    instance_id: InstanceId
    type: CredentialType
    username: string
    password_sealed: Buffer
    created_at: TimestampByDefault
    updated_at: TimestampByDefault
  }
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
}
