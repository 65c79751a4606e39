import type * as accounts from '../../../services/accounts.ts'
import type * as contract from '../contract/accounts.ts'
import { time } from './common.ts'

export const presentAccount = (account: accounts.Account): contract.Account => ({
  id: account.id,
  uuid: account.uuid,
  number: account.number,
  email: account.email,
  name: account.name,
  isOperator: account.isOperator,
  creditMinor: account.creditMinor,
  suspendedReason: account.suspendedReason,
  createdAt: time(account.createdAt),
})
