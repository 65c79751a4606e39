/** WAYSCloud's Storage API: buckets and what one needs to reach them through the S3 protocol. */
import { z } from 'zod'
import { STORAGE_TIERS } from '../../model/bucket.ts'
import { invalidField } from '../../model/errors.ts'
import * as accessKeys from '../../services/access-keys.ts'
import * as buckets from '../../services/buckets/buckets.ts'
import { route } from '../http/route.ts'
import {
  BucketKey,
  CreatedBucket,
  Credentials,
  presentBucket,
  presentBucketKey,
  presentCreatedBucket,
  presentCredentials,
  presentTier,
  StorageBucket,
  StorageTier,
} from './present-storage.ts'
import { Guide, guide } from './s3-guide.ts'

const Path = z.object({ bucket_name: z.string() })
const read = { scope: 'storage:read', noun: 'bucket' } as const
const write = { scope: 'storage:write', noun: 'bucket' } as const

const Message = z.object({ success: z.boolean(), message: z.string() })

export const listBuckets = route({
  ...read,
  method: 'GET',
  path: '/v1/storage/buckets',
  summary: 'List buckets',
  status: 200,
  answer: z.object({ buckets: z.array(StorageBucket), total: z.int() }).meta({ id: 'BucketList' }),
  async run(ctx) {
    const { items, total } = await buckets.list(ctx)
    return { buckets: items.map(presentBucket), total }
  },
})

const CreateBucket = z
  .object({
    bucket_name: z.string().describe('3-63 lower-case letters, digits and hyphens; unique, and never reusable'),
    tier: z
      .string()
      .nullish()
      .describe(`${STORAGE_TIERS.join(' or ')}; default: standard`),
    storage_tier: z.string().nullish().describe('the same'),
    region: z.string().nullish().describe('default: no-oslo-1, the only one'),
  })
  .meta({ id: 'CreateBucket' })

/** Stricter than S3: no dots. */
const NAME = /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/

export const createBucket = route({
  ...write,
  method: 'POST',
  path: '/v1/storage/buckets',
  summary: 'Create bucket',
  status: 201,
  isCreate: true,
  isSecret: true,
  body: CreateBucket,
  answer: CreatedBucket,
  async run(ctx, { body, concerns }) {
    const { bucket_name: name, region } = body
    if (!NAME.test(name)) {
      throw invalidField(
        'bucket_name',
        'Bucket names have 3-63 lower-case letters, digits and hyphens, and begin and end with a letter or digit',
        name,
      )
    }
    const tier = tierOf(body.tier ?? body.storage_tier)
    const bucket = await buckets.create(ctx, { name, ...(tier && { tier }), ...(region && { location: region }) })
    concerns(bucket.id)
    return presentCreatedBucket(bucket, await accessKeys.main(ctx), ctx.settings)
  },
})

function tierOf(word: string | null | undefined) {
  const tier = STORAGE_TIERS.find((it) => it === word)
  if (word && !tier) throw invalidField('tier', `There is no tier ${word}; there is ${STORAGE_TIERS.join(', ')}`, word)
  return tier
}

export const getBucket = route({
  ...read,
  method: 'GET',
  path: '/v1/storage/buckets/{bucket_name}',
  summary: 'Get bucket',
  status: 200,
  params: Path,
  answer: StorageBucket,
  run: async (ctx, { params }) => presentBucket(await buckets.show(ctx, params.bucket_name)),
})

export const deleteBucket = route({
  ...write,
  method: 'DELETE',
  path: '/v1/storage/buckets/{bucket_name}',
  summary: 'Delete bucket',
  status: 200,
  params: Path,
  answer: Message,
  async run(ctx, { params, concerns }) {
    const { id, name } = await buckets.remove(ctx, params.bucket_name)
    concerns(id)
    return { success: true, message: `Bucket ${name} deleted` }
  },
})

/** The account's main access key; its secret is sealed, so it can be given again. */
export const getCredentials = route({
  method: 'GET',
  path: '/v1/storage/credentials',
  summary: 'Get S3 credentials',
  scope: 'storage:write',
  status: 200,
  answer: Credentials,
  run: async (ctx) => presentCredentials(await accessKeys.main(ctx), ctx.settings),
})

export const listTiers = route({
  method: 'GET',
  path: '/v1/storage/tiers',
  summary: 'List storage tiers',
  scope: 'storage:read',
  status: 200,
  answer: z.array(StorageTier),
  run: async (ctx) => (await buckets.listTiers(ctx)).map(presentTier),
})

export const listBucketKeys = route({
  ...read,
  method: 'GET',
  path: '/v1/storage/buckets/{bucket_name}/keys',
  summary: 'List the access keys of a bucket',
  status: 200,
  params: Path,
  answer: z.object({ keys: z.array(BucketKey.omit({ secret_key: true })), total: z.int() }),
  async run(ctx, { params }) {
    const { name } = await buckets.show(ctx, params.bucket_name)
    const keys = await accessKeys.list(ctx, { ofBucket: name })
    return { keys: keys.map(presentBucketKey), total: keys.length }
  },
})

export const createBucketKey = route({
  ...write,
  method: 'POST',
  path: '/v1/storage/buckets/{bucket_name}/keys',
  summary: 'Create an access key that opens this bucket only',
  status: 201,
  isCreate: true,
  isSecret: true,
  params: Path,
  body: z.object({ name: z.string().trim().min(1).max(128).nullish() }).meta({ id: 'CreateBucketKey' }),
  answer: BucketKey,
  async run(ctx, { params, body, concerns }) {
    const bucket = await buckets.show(ctx, params.bucket_name)
    const key = await accessKeys.create(ctx, { name: body.name ?? bucket.name, buckets: [bucket.name] })
    concerns(key.accessKeyId)
    return { ...presentBucketKey(key), secret_key: key.secretAccessKey }
  },
})

export const deleteBucketKey = route({
  ...write,
  method: 'DELETE',
  path: '/v1/storage/buckets/{bucket_name}/keys/{key_id}',
  summary: 'Revoke an access key of a bucket',
  status: 200,
  params: Path.extend({ key_id: z.string() }),
  answer: Message,
  async run(ctx, { params }) {
    const { name } = await buckets.show(ctx, params.bucket_name)
    await accessKeys.revoke(ctx, params.key_id, { ofBucket: name })
    return { success: true, message: `Key ${params.key_id} deleted` }
  },
})

export const getGuide = route({
  method: 'GET',
  path: '/storage/s3',
  summary: 'S3 protocol guide',
  scope: 'storage:read',
  status: 200,
  answer: Guide,
  run: async (ctx) => guide({ endpoint: ctx.settings.s3Url, region: ctx.settings.s3Region }),
})
