import { defined } from '../../lib/defined.ts'
import * as policies from '../../services/backup-policies.ts'
import * as backups from '../../services/backups.ts'
import { route } from '../http/route.ts'
import { endpoints } from './contract.ts'
import { page, presentOperation } from './present.ts'
import { presentBackup, presentPolicy } from './present-backups.ts'

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
