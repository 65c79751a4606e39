/** Buckets as resources; their bytes go through the S3 protocol. */
import { defined } from '../../lib/defined.ts'
import * as buckets from '../../services/buckets/buckets.ts'
import { route } from '../http/route.ts'
import { endpoints } from './contract.ts'
import { presentBucket, presentHour } from './present/buckets.ts'
import { page, whole } from './present/common.ts'

export const listBuckets = route({
  ...endpoints.listBuckets,
  scope: 'storage:read',
  reach: 'asked',
  run: async (ctx, { query: { limit, offset, prefix } }) =>
    page(await buckets.list(ctx, defined({ limit, offset, prefix })), presentBucket),
})

export const createBucket = route({
  ...endpoints.createBucket,
  scope: 'storage:write',
  isCreate: true,
  async run(ctx, { body, concerns }) {
    const bucket = await buckets.create(ctx, defined(body))
    concerns(bucket.id)
    return presentBucket(bucket)
  },
})

export const getBucket = route({
  ...endpoints.getBucket,
  scope: 'storage:read',
  reach: 'all',
  noun: 'bucket',
  run: async (ctx, { params }) => presentBucket(await buckets.show(ctx, params.id)),
})

export const deleteBucket = route({
  ...endpoints.deleteBucket,
  scope: 'storage:write',
  reach: 'all',
  noun: 'bucket',
  async run(ctx, { params, concerns }) {
    const { id, name } = await buckets.remove(ctx, params.id)
    concerns(id)
    return { id, name }
  },
})

export const getBucketUsage = route({
  ...endpoints.getBucketUsage,
  scope: 'storage:read',
  reach: 'all',
  noun: 'bucket',
  async run(ctx, { params, query: { from, to, limit } }) {
    const span = { limit, ...(from && { from: new Date(from) }), ...(to && { to: new Date(to) }) }
    const { bucket, hours } = await buckets.usage(ctx, params.id, span)
    return { bucket: presentBucket(bucket), hours: hours.map(presentHour) }
  },
})

export const listStorageTiers = route({
  ...endpoints.listStorageTiers,
  scope: 'storage:read',
  run: async (ctx) => whole(await buckets.listTiers(ctx), (tier) => tier),
})
