import { defined } from '../../lib/defined.ts'
import * as policies from '../../services/backups/policies.ts'
import { route } from '../http/route.ts'
import { endpoints } from './contract.ts'
import { presentPolicy } from './present/backup-policies.ts'

const noun = 'instance'
const read = { scope: 'instances:read', reach: 'all', noun } as const
const write = { scope: 'instances:write', reach: 'all', noun } as const

export const getBackupPolicy = route({
  ...endpoints.getBackupPolicy,
  ...read,
  run: async (ctx, { params }) => presentPolicy(await policies.get(ctx, params.id)),
})

export const setBackupPolicy = route({
  ...endpoints.setBackupPolicy,
  ...write,
  run: async (ctx, { params, body }) => presentPolicy(await policies.set(ctx, params.id, defined(body))),
})

export const deleteBackupPolicy = route({
  ...endpoints.deleteBackupPolicy,
  ...write,
  async run(ctx, { params }) {
    await policies.remove(ctx, params.id)
    return presentPolicy(await policies.get(ctx, params.id))
  },
})
