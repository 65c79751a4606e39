import { defined } from '../../lib/defined.ts'
import * as apiKeys from '../../services/api-keys.ts'
import { route } from '../http/route.ts'
import { endpoints } from './contract.ts'
import { presentKey } from './present/api-keys.ts'
import { whole } from './present/common.ts'

export const listKeys = route({
  ...endpoints.listKeys,
  scope: 'account:read',
  run: async (ctx) => whole(await apiKeys.list(ctx), presentKey),
})

export const createKey = route({
  ...endpoints.createKey,
  scope: 'account:write',
  isCreate: true,
  isSecret: true,
  async run(ctx, { body: { expiresAt, ...wish }, concerns }) {
    const until = expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt) }
    const { key, apiKey } = await apiKeys.create(ctx, { ...defined(wish), ...until })
    concerns(key.id)
    return { key: presentKey(key), apiKey }
  },
})

export const revokeKey = route({
  ...endpoints.revokeKey,
  scope: 'account:write',
  noun: 'key',
  run: async (ctx, { params }) => presentKey(await apiKeys.revoke(ctx, params.id)),
})
