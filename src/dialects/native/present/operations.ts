import type * as operations from '../../../services/operations.ts'
import type * as contract from '../contract/operations.ts'
import { maybe, time } from './common.ts'

export const presentOperation = (operation: operations.Operation): contract.Operation => ({
  id: operation.id,
  uuid: operation.uuid,
  number: operation.number,
  accountId: operation.accountId,
  kind: operation.kind,
  resourceId: operation.resourceId,
  state: operation.state,
  progressPercent: operation.progressPercent,
  message: operation.message,
  errorCode: operation.errorCode,
  requestId: operation.requestId,
  createdAt: time(operation.createdAt),
  startedAt: maybe(operation.startedAt),
  finishedAt: maybe(operation.finishedAt),
})
