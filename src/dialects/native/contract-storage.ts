/** The contract of object storage: buckets, access keys, tiers and quotas. The bytes go through the S3 protocol. */
import { z } from 'zod'
import { STORAGE_TIERS } from '../../model/bucket.ts'
import { All, type Endpoint, listOf, Name, Paging, QueryInt, Ref, Timestamp, V } from './contract-common.ts'

export const Bucket = z
  .object({
    id: z.string(),
    name: z.string(),
    accountId: z.string(),
    tier: z.enum(STORAGE_TIERS),
    location: z.string().describe('where it lies; not what clients sign with'),
    versioning: z.enum(['off', 'enabled', 'suspended']),
    hasObjectLock: z.boolean(),
    isPublic: z.boolean().describe('people who are not named may read or write in it'),
    objects: z.int().describe('keys that a listing shows'),
    versions: z.int().describe('delete markers included'),
    bytes: z.int().describe('of all versions'),
    uploadBytes: z.int().describe('of parts that are not yet an object'),
    createdAt: Timestamp,
  })
  .meta({ id: 'Bucket' })
export const CreateBucket = z
  .strictObject({
    name: z.string().describe('unique in the whole cloud, for ever: 3 to 63 lower-case letters, digits, `-` and `.`'),
    tier: z.enum(STORAGE_TIERS).optional().describe('default: standard'),
    location: z.string().optional().describe('default: the only one there is'),
  })
  .meta({ id: 'CreateBucket' })
export const ListBucketsQuery = z.strictObject({ ...Paging, ...All, prefix: z.string().max(63).optional() })

export const BucketUsageQuery = z.strictObject({
  from: Timestamp.optional().describe('the first hour; default: as far back as `limit` reaches'),
  to: Timestamp.optional().describe('only hours before it'),
  limit: QueryInt(1, 1000).default(24).describe('hours, the newest first'),
})
export const BucketHour = z
  .object({
    hour: Timestamp.describe('its beginning'),
    byteSeconds: z.string().describe('exact: bytes times the seconds that they were there; of the running hour so far'),
    readRequests: z.int(),
    writeRequests: z.int(),
    bytesIn: z.int(),
    bytesOut: z.int(),
  })
  .meta({ id: 'BucketHour' })
export const BucketUsage = z.object({ bucket: Bucket, hours: z.array(BucketHour) }).meta({ id: 'BucketUsage' })

export const StorageTier = z
  .object({
    id: z.enum(STORAGE_TIERS),
    name: z.string(),
    description: z.string(),
    priceGibMonthMinor: z.int().describe('of a GiB for a month, in minor units of `currency`'),
    currency: z.string(),
  })
  .meta({ id: 'StorageTier' })

export const AccessKey = z
  .object({
    accessKeyId: z.string(),
    name: z.string(),
    readOnly: z.boolean(),
    buckets: z.array(z.string()).nullable().describe('the only ones it opens; null = all of the account'),
    lastUsedAt: Timestamp.nullable(),
    createdAt: Timestamp,
  })
  .meta({ id: 'AccessKey' })
export const AccessKeyWithSecret = AccessKey.extend({ secretAccessKey: z.string() }).meta({ id: 'AccessKeyWithSecret' })
export const CreateAccessKey = z
  .strictObject({
    name: Name,
    readOnly: z.boolean().default(false),
    buckets: z.array(z.string()).min(1).max(100).optional().describe('only these; they must be the account’s'),
  })
  .meta({ id: 'CreateAccessKey' })
export const S3Credentials = z
  .object({
    accessKeyId: z.string(),
    secretAccessKey: z.string(),
    s3Url: z.string(),
    region: z.string().describe('what clients sign with'),
  })
  .meta({ id: 'S3Credentials' })

const Limit = z.int().nonnegative().nullable().describe('null = no limit')
const BucketLimit = z.int().min(0).max(1_000_000).nullable().describe('null = the usual 1000')
export const StorageQuota = z
  .object({
    accountId: z.string(),
    quota: z.object({ bytes: Limit, objects: Limit, buckets: BucketLimit }),
    used: z.object({
      buckets: z.int(),
      objects: z.int(),
      versions: z.int().describe('what `objects` of the quota limits'),
      bytes: z.int(),
      uploadBytes: z.int().describe('counts like bytes'),
    }),
  })
  .meta({ id: 'StorageQuota' })
export const ChangeQuota = z
  .strictObject({ bytes: Limit.optional(), objects: Limit.optional(), buckets: BucketLimit.optional() })
  .meta({ id: 'ChangeQuota', description: 'What is left out stays as it is.' })

export const storageEndpoints = {
  listBuckets: {
    method: 'GET',
    path: `${V}/buckets`,
    summary: 'List buckets',
    status: 200,
    query: ListBucketsQuery,
    answer: listOf(Bucket),
  },
  createBucket: {
    method: 'POST',
    path: `${V}/buckets`,
    summary: 'Create a bucket',
    status: 201,
    body: CreateBucket,
    answer: Bucket,
  },
  getBucket: {
    method: 'GET',
    path: `${V}/buckets/{id}`,
    summary: 'Get a bucket',
    status: 200,
    params: Ref,
    answer: Bucket,
  },
  deleteBucket: {
    method: 'DELETE',
    path: `${V}/buckets/{id}`,
    summary: 'Delete an empty bucket; its name is used up',
    status: 200,
    params: Ref,
    answer: z.object({ id: z.string(), name: z.string() }),
  },
  getBucketUsage: {
    method: 'GET',
    path: `${V}/buckets/{id}/usage`,
    summary: 'What a bucket held and moved, now and hour by hour',
    status: 200,
    params: Ref,
    query: BucketUsageQuery,
    answer: BucketUsage,
  },
  listStorageTiers: {
    method: 'GET',
    path: `${V}/storage-tiers`,
    summary: 'List storage tiers',
    status: 200,
    answer: listOf(StorageTier),
  },
  listAccessKeys: {
    method: 'GET',
    path: `${V}/access-keys`,
    summary: 'List access keys of the S3 protocol',
    status: 200,
    answer: listOf(AccessKey),
  },
  createAccessKey: {
    method: 'POST',
    path: `${V}/access-keys`,
    summary: 'Create an access key',
    status: 201,
    body: CreateAccessKey,
    answer: AccessKeyWithSecret,
  },
  getAccessKey: {
    method: 'GET',
    path: `${V}/access-keys/{id}`,
    summary: 'Get an access key with its secret',
    status: 200,
    params: Ref,
    answer: AccessKeyWithSecret,
  },
  revokeAccessKey: {
    method: 'DELETE',
    path: `${V}/access-keys/{id}`,
    summary: 'Revoke an access key',
    status: 200,
    params: Ref,
    answer: AccessKey,
  },
  getS3Credentials: {
    method: 'GET',
    path: `${V}/s3/credentials`,
    summary: "Get the account's main access key, and where to use it",
    status: 200,
    answer: S3Credentials,
  },
  getQuota: {
    method: 'GET',
    path: `${V}/account/quota`,
    summary: 'What the account may store, and stores',
    status: 200,
    answer: StorageQuota,
  },
  getQuotaOf: {
    method: 'GET',
    path: `${V}/accounts/{id}/quota`,
    summary: 'What an account may store, and stores',
    status: 200,
    params: Ref,
    answer: StorageQuota,
  },
  changeQuota: {
    method: 'PATCH',
    path: `${V}/accounts/{id}/quota`,
    summary: 'Change what an account may store',
    status: 200,
    params: Ref,
    body: ChangeQuota,
    answer: StorageQuota,
  },
} as const satisfies Record<string, Endpoint>

export type Bucket = z.infer<typeof Bucket>
export type BucketUsage = z.infer<typeof BucketUsage>
export type AccessKey = z.infer<typeof AccessKey>
export type S3Credentials = z.infer<typeof S3Credentials>
export type StorageQuota = z.infer<typeof StorageQuota>
