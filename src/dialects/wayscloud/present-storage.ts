/** Buckets, keys and tiers in WAYSCloud's words: those of its published page, and those that its clients read. */
import { z } from 'zod'
import type { AccessKey, KeyPair } from '../../services/access-keys.ts'
import type * as buckets from '../../services/buckets/buckets.ts'
import type { Ctx } from '../../services/ctx.ts'
import { Time, time } from './present.ts'

type Tier = Awaited<ReturnType<typeof buckets.listTiers>>[number]
type Places = Pick<Ctx['settings'], 's3Url' | 's3Region'>

export const StorageBucket = z
  .object({
    name: z.string(),
    region: z.string(),
    created_at: Time,
    size_bytes: z.int().describe('of all versions'),
    object_count: z.int(),
    is_public: z.boolean(),
    bucket_name: z.string(),
    tier: z.string(),
    storage_tier: z.string(),
    is_active: z.boolean(),
    total_storage_gb: z.number(),
    total_objects: z.int(),
  })
  .meta({ id: 'Bucket' })

export const presentBucket = (bucket: buckets.BucketView): z.infer<typeof StorageBucket> => ({
  name: bucket.name,
  region: bucket.location,
  created_at: time(bucket.createdAt),
  size_bytes: bucket.bytes,
  object_count: bucket.objects,
  is_public: bucket.isPublic,
  bucket_name: bucket.name,
  tier: bucket.tier,
  storage_tier: bucket.tier,
  is_active: true,
  total_storage_gb: gib(bucket.bytes),
  total_objects: bucket.objects,
})

/** To a millionth: small buckets are not nothing. */
const gib = (bytes: number): number => Math.round((bytes / 1024 ** 3) * 1e6) / 1e6

export const CreatedBucket = z
  .object({
    success: z.boolean(),
    bucket_name: z.string(),
    message: z.string(),
    endpoint: z.string(),
    region: z.string(),
    tier: z.string(),
    access_key: z.string(),
    secret_key: z.string(),
  })
  .meta({ id: 'CreatedBucket' })

export const presentCreatedBucket = (
  { name, location, tier }: buckets.BucketView,
  { accessKeyId, secretAccessKey }: KeyPair,
  { s3Url }: Places,
): z.infer<typeof CreatedBucket> => ({
  success: true,
  bucket_name: name,
  message: `Bucket ${name} created`,
  endpoint: s3Url,
  region: location,
  tier,
  access_key: accessKeyId,
  secret_key: secretAccessKey,
})

export const Credentials = z
  .object({
    access_key_id: z.string(),
    secret_access_key: z.string(),
    endpoint_url: z.string(),
    region: z.string().describe('what clients sign with'),
    access_key: z.string(),
    secret_key: z.string(),
    endpoint: z.string(),
  })
  .meta({ id: 'S3Credentials' })

export const presentCredentials = (
  { accessKeyId, secretAccessKey }: KeyPair,
  { s3Url, s3Region }: Places,
): z.infer<typeof Credentials> => ({
  access_key_id: accessKeyId,
  secret_access_key: secretAccessKey,
  endpoint_url: s3Url,
  region: s3Region,
  access_key: accessKeyId,
  secret_key: secretAccessKey,
  endpoint: s3Url,
})

export const StorageTier = z
  .object({
    id: z.string(),
    name: z.string(),
    description: z.string(),
    price_per_gb: z.number().describe('a month'),
    currency: z.string(),
  })
  .meta({ id: 'StorageTier' })

export const presentTier = ({
  id,
  name,
  description,
  priceGibMonthMinor,
  currency,
}: Tier): z.infer<typeof StorageTier> => ({
  id,
  name,
  description,
  price_per_gb: priceGibMonthMinor / 100,
  currency,
})

export const BucketKey = z
  .object({
    id: z.string(),
    name: z.string(),
    access_key: z.string(),
    created_at: Time,
    secret_key: z.string().describe('shown once'),
  })
  .meta({ id: 'BucketKey' })

export const presentBucketKey = ({ accessKeyId, name, createdAt }: AccessKey) => ({
  id: accessKeyId,
  name,
  access_key: accessKeyId,
  created_at: time(createdAt),
})
