import { z } from 'zod'
import { type Endpoint, Ref, V } from './common.ts'

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
export type StorageQuota = z.infer<typeof StorageQuota>

export const ChangeQuota = z
  .strictObject({ bytes: Limit.optional(), objects: Limit.optional(), buckets: BucketLimit.optional() })
  .meta({ id: 'ChangeQuota', description: 'What is left out stays as it is.' })

export const storageQuotaEndpoints = {
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
