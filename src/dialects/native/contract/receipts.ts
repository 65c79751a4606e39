/** What proves that a backup can be restored. */
import { z } from 'zod'
import { CONSISTENCY_LEVELS } from '../../../model/backup.ts'
import { RECEIPT_STATES } from '../../../model/receipt.ts'
import { Bytes, type Endpoint, listOf, PageQuery, Ref, Timestamp, V } from './common.ts'
import { Operation } from './operations.ts'

const CHECKS = ['digests', 'image', 'boot', 'agent', 'filesystem'] as const

export const Receipt = z
  .object({
    id: z.string(),
    uuid: z.uuid(),
    number: z.int(),
    backupId: z.string(),
    state: z.enum(RECEIPT_STATES),
    stateReason: z.string().nullable(),
    isScheduled: z.boolean().describe('false: somebody asked for it'),
    consistency: z.enum(CONSISTENCY_LEVELS).nullable(),
    restoredBytes: Bytes,
    restoreMs: z.int().nullable(),
    bootMs: z.int().nullable(),
    checks: z.array(
      z.object({
        name: z.enum(CHECKS),
        outcome: z.enum(['passed', 'failed', 'unknown']).describe('`unknown`: nothing could tell'),
        detail: z.string(),
      }),
    ),
    serialTail: z.string().nullable(),
    hasScreenshot: z.boolean(),
    startedAt: Timestamp,
    finishedAt: Timestamp.nullable(),
  })
  .meta({ id: 'Receipt' })
export type Receipt = z.infer<typeof Receipt>

export const ReceiptAccepted = z.object({ receipt: Receipt, operation: Operation }).meta({ id: 'ReceiptAccepted' })
export type ReceiptAccepted = z.infer<typeof ReceiptAccepted>

export const receiptsEndpoints = {
  verifyBackup: {
    method: 'POST',
    path: `${V}/backups/{id}/verify`,
    summary: 'Restore a backup into a machine of its own, boot it and look at it',
    status: 202,
    params: Ref,
    answer: ReceiptAccepted,
  },
  listReceipts: {
    method: 'GET',
    path: `${V}/backups/{id}/receipts`,
    summary: 'List the receipts of a backup, the newest first',
    status: 200,
    params: Ref,
    query: PageQuery,
    answer: listOf(Receipt),
  },
  getReceipt: {
    method: 'GET',
    path: `${V}/receipts/{id}`,
    summary: 'Get a receipt',
    status: 200,
    params: Ref,
    answer: Receipt,
  },
  getReceiptScreenshot: {
    method: 'GET',
    path: `${V}/receipts/{id}/screenshot`,
    summary: 'Get what the screen of the booted backup showed',
    status: 200,
    params: Ref,
    produces: 'image/png',
  },
} as const satisfies Record<string, Endpoint>
