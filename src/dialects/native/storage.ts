/** Object storage as resources; its bytes go through the S3 protocol. */
import { defined } from '../../lib/defined.ts'
import * as accessKeys from '../../services/access-keys.ts'
import * as buckets from '../../services/buckets.ts'
import { route } from '../http/route.ts'
import { endpoints } from './contract.ts'
import { page, whole } from './present.ts'
import { presentAccessKey, presentBucket, presentHour } from './present-storage.ts'

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

export const listAccessKeys = route({
  ...endpoints.listAccessKeys,
  scope: 'storage:read',
  run: async (ctx) => whole(await accessKeys.list(ctx), presentAccessKey),
})

export const createAccessKey = route({
  ...endpoints.createAccessKey,
  scope: 'storage:write',
  isCreate: true,
  isSecret: true,
  async run(ctx, { body: { name, readOnly, buckets: only }, concerns }) {
    const key = await accessKeys.create(ctx, { name, isReadOnly: readOnly, ...(only && { buckets: only }) })
    concerns(key.accessKeyId)
    return { ...presentAccessKey(key), secretAccessKey: key.secretAccessKey }
  },
})

export const getAccessKey = route({
  ...endpoints.getAccessKey,
  scope: 'storage:write',
  noun: 'access key',
  async run(ctx, { params }) {
    const key = await accessKeys.show(ctx, params.id)
    return { ...presentAccessKey(key), secretAccessKey: key.secretAccessKey }
  },
})

export const revokeAccessKey = route({
  ...endpoints.revokeAccessKey,
  scope: 'storage:write',
  noun: 'access key',
  run: async (ctx, { params }) => presentAccessKey(await accessKeys.revoke(ctx, params.id)),
})

export const getS3Credentials = route({
  ...endpoints.getS3Credentials,
  scope: 'storage:write',
  async run(ctx) {
    const { accessKeyId, secretAccessKey } = await accessKeys.main(ctx)
    return { accessKeyId, secretAccessKey, s3Url: ctx.settings.s3Url, region: ctx.settings.s3Region }
  },
})

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
