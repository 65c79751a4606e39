import { defined } from '../../lib/defined.ts'
import * as backups from '../../services/backups/backups.ts'
import * as downloads from '../../services/backups/downloads.ts'
import * as restores from '../../services/backups/restores.ts'
import { route } from '../http/route.ts'
import { endpoints } from './contract.ts'
import { presentBackup } from './present/backups.ts'
import { page } from './present/common.ts'
import { presentOperation } from './present/operations.ts'

const noun = 'backup'
const read = { scope: 'instances:read', reach: 'all', noun } as const
const write = { scope: 'instances:write', reach: 'all', noun } as const

export const listBackups = route({
  ...endpoints.listBackups,
  scope: 'instances:read',
  reach: 'asked',
  refuses: ['not_found', 'conflict'], // the instance asked for
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

export const getBackupUsage = route({
  ...endpoints.getBackupUsage,
  scope: 'instances:read',
  reach: 'asked',
  refuses: ['not_found', 'conflict'], // the instance asked for
  run: (ctx, { query }) => backups.usage(ctx, query.instance ?? null),
})
