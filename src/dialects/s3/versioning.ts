/** Versioning and default encryption of a bucket, as XML. */
import { S3Error } from '../../model/s3-error.ts'
import * as settings from '../../services/buckets/settings.ts'
import type { BucketOperation } from './operation.ts'
import { group, leaf, resultXml } from './xml.ts'
import { allowOnly, booleanOf, findChild, findText, getChild, getText, malformed, parseXml } from './xml-parse.ts'

export const versioningOperations: readonly BucketOperation[] = [
  {
    name: 'GetBucketVersioning',
    on: 'bucket',
    method: 'GET',
    query: ['versioning'],
    action: 's3:GetBucketVersioning',
    async run({ bucket: { versioning } }) {
      const status = versioning === 'off' ? null : versioning === 'enabled' ? 'Enabled' : 'Suspended'
      return { xml: resultXml('VersioningConfiguration', [leaf('Status', status)]) }
    },
  },
  {
    name: 'PutBucketVersioning',
    on: 'bucket',
    method: 'PUT',
    query: ['versioning'],
    action: 's3:PutBucketVersioning',
    body: 'document',
    async run(call) {
      const root = parseXml(await call.document(), 'VersioningConfiguration')
      allowOnly(root, ['Status', 'MfaDelete'])
      const mfa = (findText(root, 'MfaDelete') ?? findText(root, 'MFADelete'))?.trim()
      if (mfa !== undefined && mfa !== 'Disabled') throw new S3Error('NotImplemented', 'MFA delete is not implemented.')
      const status = findText(root, 'Status')?.trim()
      if (status === undefined) throw new S3Error('IllegalVersioningConfigurationException')
      if (status !== 'Enabled' && status !== 'Suspended') throw malformed(`Status is ${status}`)
      await settings.putVersioning(call.ctx, call.bucket, status === 'Enabled' ? 'enabled' : 'suspended')
      return { status: 200 }
    },
  },
  {
    name: 'GetBucketEncryption',
    on: 'bucket',
    method: 'GET',
    query: ['encryption'],
    action: 's3:GetEncryptionConfiguration',
    async run({ bucket }) {
      const { encryption } = bucket.settings
      if (!encryption) {
        const elements = { BucketName: bucket.name }
        throw new S3Error('ServerSideEncryptionConfigurationNotFoundError', undefined, { elements })
      }
      const byDefault = group('ApplyServerSideEncryptionByDefault', [leaf('SSEAlgorithm', encryption.algorithm)])
      const rule = group('Rule', [byDefault, leaf('BucketKeyEnabled', encryption.bucketKeyEnabled ?? false)])
      return { xml: resultXml('ServerSideEncryptionConfiguration', [rule]) }
    },
  },
  {
    name: 'PutBucketEncryption',
    on: 'bucket',
    method: 'PUT',
    query: ['encryption'],
    action: 's3:PutEncryptionConfiguration',
    body: 'document',
    async run(call) {
      await settings.put(call.ctx, call.bucket, 'encryption', parseEncryption(await call.document()))
      return { status: 200 }
    },
  },
  {
    name: 'DeleteBucketEncryption',
    on: 'bucket',
    method: 'DELETE',
    query: ['encryption'],
    action: 's3:PutEncryptionConfiguration',
    async run({ ctx, bucket }) {
      await settings.remove(ctx, bucket, 'encryption')
      return { status: 204 }
    },
  },
]

function parseEncryption(document: Uint8Array): { algorithm: 'AES256'; bucketKeyEnabled?: boolean } {
  const root = parseXml(document, 'ServerSideEncryptionConfiguration')
  allowOnly(root, ['Rule'])
  const rule = getChild(root, 'Rule')
  allowOnly(rule, ['ApplyServerSideEncryptionByDefault', 'BucketKeyEnabled'])
  const byDefault = getChild(rule, 'ApplyServerSideEncryptionByDefault')
  allowOnly(byDefault, ['SSEAlgorithm', 'KMSMasterKeyID'])
  const algorithm = getText(byDefault, 'SSEAlgorithm').trim()
  if (algorithm === 'aws:kms' || algorithm === 'aws:kms:dsse') {
    throw new S3Error('NotImplemented', 'There is no key service here; AES256 encrypts by the server’s own key.')
  }
  if (algorithm !== 'AES256') throw malformed(`${algorithm} is no algorithm`)
  if (findChild(byDefault, 'KMSMasterKeyID')) {
    throw new S3Error(
      'InvalidArgument',
      'a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms',
    )
  }
  const bucketKey = findChild(rule, 'BucketKeyEnabled')
  return { algorithm, ...(bucketKey && { bucketKeyEnabled: booleanOf(bucketKey) }) }
}
