/** Keys of the S3 protocol. */
import { z } from 'zod'
import { type Endpoint, listOf, Name, Ref, Timestamp, V } from './common.ts'

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
export type AccessKey = z.infer<typeof AccessKey>

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
export type S3Credentials = z.infer<typeof S3Credentials>

export const accessKeysEndpoints = {
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
} as const satisfies Record<string, Endpoint>
