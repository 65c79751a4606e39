import type * as receipts from '../../../services/backups/receipts.ts'
import type * as contract from '../contract/receipts.ts'
import { maybe, time } from './common.ts'

export const presentReceipt = (receipt: receipts.Receipt): contract.Receipt => ({
  id: receipt.id,
  uuid: receipt.uuid,
  number: receipt.number,
  backupId: receipt.backupId,
  state: receipt.state,
  stateReason: receipt.stateReason,
  isScheduled: receipt.isScheduled,
  consistency: receipt.consistency,
  restoredBytes: receipt.restoredBytes,
  restoreMs: receipt.restoreMs,
  bootMs: receipt.bootMs,
  checks: receipt.checks,
  serialTail: receipt.serialTail,
  hasScreenshot: receipt.hasScreenshot,
  startedAt: time(receipt.startedAt),
  finishedAt: maybe(receipt.finishedAt),
})
