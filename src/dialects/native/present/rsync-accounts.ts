import type * as rsyncAccounts from '../../../services/backups/rsync-accounts.ts'
import type * as contract from '../contract/rsync-accounts.ts'
import { maybe } from './common.ts'

export const presentRsyncAccount = (account: rsyncAccounts.RsyncAccount): contract.RsyncAccount => ({
  username: account.username,
  password: account.password,
  host: account.host,
  port: account.port,
  quotaBytes: account.quotaBytes,
  usedBytes: account.usedBytes,
  measuredAt: maybe(account.measuredAt),
})
