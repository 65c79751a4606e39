/** The bucket's policy: JSON in, the same JSON out. */
import { S3Error } from '../../model/s3-error.ts'
import { policyOf } from '../../services/buckets/access.ts'
import * as settings from '../../services/buckets/settings.ts'
import type { BucketOperation } from './operation.ts'
import { leaf, resultXml } from './xml.ts'

const noPolicy = (bucketName: string) =>
  new S3Error('NoSuchBucketPolicy', undefined, { elements: { BucketName: bucketName } })

export const policyOperations: readonly BucketOperation[] = [
  {
    name: 'GetBucketPolicy',
    on: 'bucket',
    method: 'GET',
    query: ['policy'],
    action: 's3:GetBucketPolicy',
    async run({ bucket }) {
      const { policy } = bucket.settings
      if (policy === undefined) throw noPolicy(bucket.name)
      return { text: policy, headers: { 'content-type': 'application/json' } }
    },
  },
  {
    name: 'PutBucketPolicy',
    on: 'bucket',
    method: 'PUT',
    query: ['policy'],
    action: 's3:PutBucketPolicy',
    body: 'document',
    async run(call) {
      await settings.putPolicy(call.ctx, call.bucket, decodeText(await call.document()))
      return { status: 204 }
    },
  },
  {
    name: 'DeleteBucketPolicy',
    on: 'bucket',
    method: 'DELETE',
    query: ['policy'],
    action: 's3:DeleteBucketPolicy',
    async run({ ctx, bucket }) {
      await settings.remove(ctx, bucket, 'policy')
      return { status: 204 }
    },
  },
  {
    name: 'GetBucketPolicyStatus',
    on: 'bucket',
    method: 'GET',
    query: ['policyStatus'],
    action: 's3:GetBucketPolicyStatus',
    async run({ bucket }) {
      const policy = policyOf(bucket)
      if (policy === null) throw noPolicy(bucket.name)
      return { xml: resultXml('PolicyStatus', [leaf('IsPublic', policy.isPublic)]) }
    },
  },
]

function decodeText(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new S3Error('MalformedPolicy')
  }
}
