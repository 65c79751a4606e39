/** Buckets, as resources: the bytes go through the S3 protocol. */
import { z } from 'zod'
import { STORAGE_TIERS } from '../../../model/bucket.ts'
import { All, type Endpoint, listOf, Paging, QueryInt, Ref, Timestamp, V } from './common.ts'

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
export type Bucket = z.infer<typeof Bucket>

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
export type BucketUsage = z.infer<typeof BucketUsage>

export const StorageTier = z
  .object({
    id: z.enum(STORAGE_TIERS),
    name: z.string(),
    description: z.string(),
    priceGibMonthMinor: z.int().describe('of a GiB for a month, in minor units of `currency`'),
    currency: z.string(),
  })
  .meta({ id: 'StorageTier' })

export const bucketsEndpoints = {
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
} as const satisfies Record<string, Endpoint>
