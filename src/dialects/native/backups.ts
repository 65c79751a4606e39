import { defined } from '../../lib/defined.ts'
import * as downloads from '../../services/backup-downloads.ts'
import * as policies from '../../services/backup-policies.ts'
import * as backups from '../../services/backups.ts'
import * as receipts from '../../services/receipts.ts'
import * as restores from '../../services/restores.ts'
import * as rsyncAccounts from '../../services/rsync-accounts.ts'
import { Answer, route } from '../http/route.ts'
import { endpoints } from './contract.ts'
import { page, presentOperation } from './present.ts'
import { presentBackup, presentPolicy, presentReceipt, presentRsyncAccount } from './present-backups.ts'

const noun = 'backup'
const read = { scope: 'instances:read', reach: 'all', noun } as const
const write = { scope: 'instances:write', reach: 'all', noun } as const

export const listBackups = route({
  ...endpoints.listBackups,
  scope: 'instances:read',
  reach: 'asked',
  run: async (ctx, { query: { all: _, ...filter } }) => page(await backups.list(ctx, defined(filter)), presentBackup),
})

export const createBackup = route({
  ...endpoints.createBackup,
  ...write,
  noun: 'instance',
  isCreate: true,
  async run(ctx, { params, body }) {
    const { backup, operation } = await backups.create(ctx, params.id, defined(body))
    return { backup: presentBackup(backup), operation: presentOperation(operation) }
  },
})

export const getBackup = route({
  ...endpoints.getBackup,
  ...read,
  run: async (ctx, { params }) => presentBackup(await backups.get(ctx, params.id)),
})

export const deleteBackup = route({
  ...endpoints.deleteBackup,
  ...write,
  run: async (ctx, { params }) => presentBackup(await backups.remove(ctx, params.id)),
})

export const restoreBackup = route({
  ...endpoints.restoreBackup,
  ...write,
  async run(ctx, { params }) {
    const { id, instanceId } = await backups.get(ctx, params.id)
    const { operation } = await restores.restore(ctx, instanceId, id)
    return { instanceId, operation: presentOperation(operation) }
  },
})

export const getBackupDownload = route({
  ...endpoints.getBackupDownload,
  ...read,
  isSecret: true, // whoever has it has the disk
  async run(ctx, { params }) {
    const { url, expiresAt, sizeBytes } = await downloads.link(ctx, params.id)
    return { url, expiresAt: expiresAt.toISOString(), sizeBytes }
  },
})

export const verifyBackup = route({
  ...endpoints.verifyBackup,
  ...write,
  async run(ctx, { params }) {
    const { receipt, operation } = await receipts.verify(ctx, params.id)
    return { receipt: presentReceipt(receipt), operation: presentOperation(operation) }
  },
})

export const listReceipts = route({
  ...endpoints.listReceipts,
  ...read,
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

export const getBackupUsage = route({
  ...endpoints.getBackupUsage,
  scope: 'instances:read',
  reach: 'asked',
  run: (ctx, { query }) => backups.usage(ctx, query.instance ?? null),
})

const policy = { noun: 'instance' } as const

export const getBackupPolicy = route({
  ...endpoints.getBackupPolicy,
  ...read,
  ...policy,
  run: async (ctx, { params }) => presentPolicy(await policies.get(ctx, params.id)),
})

export const setBackupPolicy = route({
  ...endpoints.setBackupPolicy,
  ...write,
  ...policy,
  run: async (ctx, { params, body }) => presentPolicy(await policies.set(ctx, params.id, defined(body))),
})

export const deleteBackupPolicy = route({
  ...endpoints.deleteBackupPolicy,
  ...write,
  ...policy,
  async run(ctx, { params }) {
    await policies.remove(ctx, params.id)
    return presentPolicy(await policies.get(ctx, params.id))
  },
})

export const getRsyncAccount = route({
  ...endpoints.getRsyncAccount,
  ...write,
  isSecret: true,
  noun: 'rsync account',
  run: async (ctx, { params }) => presentRsyncAccount(await rsyncAccounts.get(ctx, params.id)),
})

export const enableRsyncAccount = route({
  ...endpoints.enableRsyncAccount,
  ...write,
  isSecret: true,
  noun: 'rsync account',
  run: async (ctx, { params }) => presentRsyncAccount(await rsyncAccounts.enable(ctx, params.id)),
})

export const disableRsyncAccount = route({
  ...endpoints.disableRsyncAccount,
  ...write,
  noun: 'rsync account',
  async run(ctx, { params }) {
    await rsyncAccounts.disable(ctx, params.id)
    return { enabled: false } as const
  },
})
