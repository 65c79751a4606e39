import { defined } from '../../lib/defined.ts'
import * as accounts from '../../services/accounts.ts'
import { route } from '../http/route.ts'
import { endpoints } from './contract.ts'
import { presentAccount } from './present/accounts.ts'
import { page } from './present/common.ts'

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
