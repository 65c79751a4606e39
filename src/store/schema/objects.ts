/** Object storage: buckets, versions, the blobs that they are made of, uploads, what is counted. */
import type { ColumnType, Generated, GeneratedAlways } from 'kysely'
import type { Acl } from '../../model/acl.ts'
import type { BucketSettings, StorageTier, Versioning } from '../../model/bucket.ts'
import type { AccountId, BucketId } from '../../model/ids.ts'
import type { Checksum, ChecksumAlgorithm, ChecksumType, Encryption, ObjectPart } from '../../model/object.ts'
import type { RetentionMode } from '../../model/object-lock.ts'
import type { Json, JsonByDefault, Timestamp, TimestampByDefault } from './columns.ts'

export interface ObjectTables {
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
}
