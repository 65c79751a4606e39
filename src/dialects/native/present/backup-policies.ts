import { DEFAULT_SCHEDULE } from '../../../model/backup.ts'
import type * as policies from '../../../services/backups/policies.ts'
import type * as contract from '../contract/backup-policies.ts'
import { maybe } from './common.ts'

export const presentPolicy = (policy: policies.BackupPolicy | null): contract.BackupPolicy => ({
  ...(policy?.schedule ?? DEFAULT_SCHEDULE),
  isSet: policy !== null,
  nextAt: maybe(policy?.nextAt ?? null),
  lastAt: maybe(policy?.lastAt ?? null),
})
