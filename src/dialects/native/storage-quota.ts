import { defined } from '../../lib/defined.ts'
import * as buckets from '../../services/buckets/buckets.ts'
import { route } from '../http/route.ts'
import { endpoints } from './contract.ts'

export const getQuota = route({
  ...endpoints.getQuota,
  scope: 'storage:read',
  run: (ctx) => buckets.quota(ctx),
})

export const getQuotaOf = route({
  ...endpoints.getQuotaOf,
  scope: 'operator',
  reach: 'all',
  noun: 'account',
  run: (ctx, { params }) => buckets.quota(ctx, params.id),
})

export const changeQuota = route({
  ...endpoints.changeQuota,
  scope: 'operator',
  reach: 'all',
  noun: 'account',
  run: (ctx, { params, body }) => buckets.setQuota(ctx, params.id, defined(body)),
})
