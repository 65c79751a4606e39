/** The AWS SDK for JavaScript, pointed at the cloud; it never tries twice, so that a test sees the first answer. */
import { S3Client } from '@aws-sdk/client-s3'
import type { Credentials } from '../src/services/accounts.ts'

export interface Keys {
  accessKeyId: string
  secretAccessKey: string
}

interface Served {
  s3Url: string
  credentials: Credentials
}

/** As the owner, or with other keys. */
export const s3ClientOf = (cloud: Served, keys: Keys = ownerKeys(cloud), region = 'eu-north-1'): S3Client =>
  new S3Client({ endpoint: cloud.s3Url, region, forcePathStyle: true, maxAttempts: 1, credentials: keys })

export const ownerKeys = ({ credentials }: Served): Keys => ({
  accessKeyId: credentials.s3AccessKeyId,
  secretAccessKey: credentials.s3SecretAccessKey,
})
