/** Who may come in, and with which keys. */
import type { Generated, GeneratedAlways } from 'kysely'
import type { AccountId, ApiKeyId, SshKeyId } from '../../model/ids.ts'
import type { KeyService, Scope } from '../../model/scopes.ts'
import type { Timestamp, TimestampByDefault } from './columns.ts'

export interface AccountTables {
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
}
