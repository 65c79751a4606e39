/** Accounts, their keys, and the record of what was done with them. */
import { defined } from '../../lib/defined.ts'
import * as accounts from '../../services/accounts.ts'
import * as apiKeys from '../../services/api-keys.ts'
import * as audit from '../../services/audit.ts'
import { route } from '../http/route.ts'
import { endpoints } from './contract.ts'
import { page, presentAccount, presentAudit, presentKey, whole } from './present.ts'

export const listAccounts = route({
  ...endpoints.listAccounts,
  scope: 'operator',
  reach: 'all',
  run: async (ctx, { query }) => page(await accounts.list(ctx, query), presentAccount),
})

export const createAccount = route({
  ...endpoints.createAccount,
  scope: 'operator',
  reach: 'all',
  isCreate: true,
  isSecret: true,
  run: (ctx, { body }) => accounts.create(ctx, defined(body)),
})

export const getAccount = route({
  ...endpoints.getAccount,
  scope: 'account:read',
  run: async (ctx) => presentAccount(await accounts.own(ctx)),
})

export const getCredit = route({
  ...endpoints.getCredit,
  scope: 'account:read',
  run: (ctx) => accounts.credit(ctx),
})

export const getCreditOf = route({
  ...endpoints.getCreditOf,
  scope: 'operator',
  reach: 'all',
  noun: 'account',
  run: (ctx, { params }) => accounts.credit(ctx, params.id),
})

export const setCredit = route({
  ...endpoints.setCredit,
  scope: 'operator',
  reach: 'all',
  noun: 'account',
  run: (ctx, { params, body }) => accounts.setCredit(ctx, params.id, body.creditMinor),
})

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

export const listAudit = route({
  ...endpoints.listAudit,
  scope: 'account:read',
  reach: 'asked',
  run: async (ctx, { query: { limit, offset } }) => page(await audit.list(ctx, { limit, offset }), presentAudit),
})
