import * as receipts from '../../services/backups/receipts.ts'
import { Answer, route } from '../http/route.ts'
import { endpoints } from './contract.ts'
import { page } from './present/common.ts'
import { presentOperation } from './present/operations.ts'
import { presentReceipt } from './present/receipts.ts'

const read = { scope: 'instances:read', reach: 'all' } as const

export const verifyBackup = route({
  ...endpoints.verifyBackup,
  scope: 'instances:write',
  reach: 'all',
  noun: 'backup',
  async run(ctx, { params }) {
    const { receipt, operation } = await receipts.verify(ctx, params.id)
    return { receipt: presentReceipt(receipt), operation: presentOperation(operation) }
  },
})

export const listReceipts = route({
  ...endpoints.listReceipts,
  ...read,
  noun: 'backup',
  run: async (ctx, { params, query }) => page(await receipts.list(ctx, params.id, query), presentReceipt),
})

export const getReceipt = route({
  ...endpoints.getReceipt,
  ...read,
  noun: 'receipt',
  run: async (ctx, { params }) => presentReceipt(await receipts.get(ctx, params.id)),
})

export const getReceiptScreenshot = route({
  ...endpoints.getReceiptScreenshot,
  ...read,
  noun: 'receipt',
  async run(ctx, { params }) {
    return new Answer(await receipts.screenshot(ctx, params.id), { type: endpoints.getReceiptScreenshot.produces })
  },
})
