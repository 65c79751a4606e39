/** What is under way, and the records of what was done. */
import type { Generated, GeneratedAlways } from 'kysely'
import type { AccountId, HostId, IncidentId, OperationId } from '../../model/ids.ts'
import type { OperationKind, OperationState } from '../../model/operation.ts'
import type { Json, Timestamp, TimestampByDefault } from './columns.ts'

export interface WorkTables {
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
}
