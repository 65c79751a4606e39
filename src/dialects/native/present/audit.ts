import type * as audit from '../../../services/audit.ts'
import type * as contract from '../contract/audit.ts'
import { type Item, time } from './common.ts'

export const presentAudit = (entry: Item<typeof audit.list>): contract.AuditEntry => ({ ...entry, at: time(entry.at) })
