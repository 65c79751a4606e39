/** What else can be set on a bucket, by the SDK: what was put comes back, what is wrong has its code. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  DeleteBucketCorsCommand,
  DeleteBucketEncryptionCommand,
  DeleteBucketLifecycleCommand,
  DeleteBucketTaggingCommand,
  DeleteBucketWebsiteCommand,
  DeletePublicAccessBlockCommand,
  GetBucketAccelerateConfigurationCommand,
  GetBucketCorsCommand,
  GetBucketEncryptionCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketLoggingCommand,
  GetBucketNotificationConfigurationCommand,
  GetBucketReplicationCommand,
  GetBucketRequestPaymentCommand,
  GetBucketTaggingCommand,
  GetBucketVersioningCommand,
  GetBucketWebsiteCommand,
  GetObjectLockConfigurationCommand,
  GetPublicAccessBlockCommand,
  ListBucketAnalyticsConfigurationsCommand,
  ListBucketInventoryConfigurationsCommand,
  PutBucketAccelerateConfigurationCommand,
  PutBucketCorsCommand,
  PutBucketEncryptionCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketLoggingCommand,
  PutBucketRequestPaymentCommand,
  PutBucketTaggingCommand,
  PutBucketVersioningCommand,
  PutBucketWebsiteCommand,
  PutObjectLockConfigurationCommand,
  PutPublicAccessBlockCommand,
} from '@aws-sdk/client-s3'
import * as buckets from '../../../src/store/buckets.ts'
import { refused, settingsSuite } from './settings.ts'

const { bucket, cloud, s3 } = settingsSuite()

test('CORS, tags, encryption, public access block and website: put, got, deleted', async () => {
  const Bucket = await bucket()
  await refused(s3().send(new GetBucketCorsCommand({ Bucket })), 'NoSuchCORSConfiguration', 404)
  const CORSRules = [
    {
      ID: 'one',
      AllowedOrigins: ['https://*.example'],
      AllowedMethods: ['GET', 'PUT'],
      AllowedHeaders: ['*'],
      ExposeHeaders: ['ETag'],
      MaxAgeSeconds: 60,
    },
    { AllowedOrigins: ['*'], AllowedMethods: ['HEAD'] },
  ]
  const putCors = (rules: typeof CORSRules | object[]) =>
    s3().send(new PutBucketCorsCommand({ Bucket, CORSConfiguration: { CORSRules: rules as typeof CORSRules } }))
  await putCors(CORSRules)
  assert.deepEqual((await s3().send(new GetBucketCorsCommand({ Bucket }))).CORSRules, CORSRules)
  await refused(putCors([{ AllowedOrigins: ['*'], AllowedMethods: ['PATCH'] }]), 'InvalidRequest', 400)
  await refused(putCors([{ AllowedOrigins: ['*.*'], AllowedMethods: ['GET'] }]), 'InvalidRequest', 400)
  await refused(putCors([]), 'MalformedXML', 400)
  await s3().send(new DeleteBucketCorsCommand({ Bucket }))
  await refused(s3().send(new GetBucketCorsCommand({ Bucket })), 'NoSuchCORSConfiguration', 404)

  await refused(s3().send(new GetBucketTaggingCommand({ Bucket })), 'NoSuchTagSet', 404)
  const TagSet = [
    { Key: 'a', Value: 'b c' },
    { Key: 'é', Value: '' },
  ]
  await s3().send(new PutBucketTaggingCommand({ Bucket, Tagging: { TagSet } }))
  assert.deepEqual((await s3().send(new GetBucketTaggingCommand({ Bucket }))).TagSet, TagSet)
  const twice = { TagSet: [TagSet[0]!, TagSet[0]!] }
  await refused(s3().send(new PutBucketTaggingCommand({ Bucket, Tagging: twice })), 'InvalidTag', 400)
  await s3().send(new DeleteBucketTaggingCommand({ Bucket }))
  await refused(s3().send(new GetBucketTaggingCommand({ Bucket })), 'NoSuchTagSet', 404)

  const noEncryption = 'ServerSideEncryptionConfigurationNotFoundError'
  await refused(s3().send(new GetBucketEncryptionCommand({ Bucket })), noEncryption, 404)
  const encrypt = (SSEAlgorithm: 'AES256' | 'aws:kms') =>
    s3().send(
      new PutBucketEncryptionCommand({
        Bucket,
        ServerSideEncryptionConfiguration: {
          Rules: [{ ApplyServerSideEncryptionByDefault: { SSEAlgorithm }, BucketKeyEnabled: true }],
        },
      }),
    )
  await encrypt('AES256')
  const encryption = await s3().send(new GetBucketEncryptionCommand({ Bucket }))
  assert.deepEqual(encryption.ServerSideEncryptionConfiguration?.Rules, [
    { ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' }, BucketKeyEnabled: true },
  ])
  await refused(encrypt('aws:kms'), 'NotImplemented', 501)
  await s3().send(new DeleteBucketEncryptionCommand({ Bucket }))
  await refused(s3().send(new GetBucketEncryptionCommand({ Bucket })), noEncryption, 404)

  const noBlock = 'NoSuchPublicAccessBlockConfiguration'
  await refused(s3().send(new GetPublicAccessBlockCommand({ Bucket })), noBlock, 404)
  const PublicAccessBlockConfiguration = {
    BlockPublicAcls: true,
    IgnorePublicAcls: false,
    BlockPublicPolicy: true,
    RestrictPublicBuckets: false,
  }
  await s3().send(new PutPublicAccessBlockCommand({ Bucket, PublicAccessBlockConfiguration }))
  assert.deepEqual(
    (await s3().send(new GetPublicAccessBlockCommand({ Bucket }))).PublicAccessBlockConfiguration,
    PublicAccessBlockConfiguration,
  )
  await s3().send(new DeletePublicAccessBlockCommand({ Bucket }))
  await refused(s3().send(new GetPublicAccessBlockCommand({ Bucket })), noBlock, 404)

  await refused(s3().send(new GetBucketWebsiteCommand({ Bucket })), 'NoSuchWebsiteConfiguration', 404)
  const site = {
    IndexDocument: { Suffix: 'index.html' },
    ErrorDocument: { Key: 'errors/404.html' },
    RoutingRules: [
      {
        Condition: { KeyPrefixEquals: 'old/', HttpErrorCodeReturnedEquals: '404' },
        Redirect: {
          HostName: 'x.example',
          Protocol: 'https' as const,
          HttpRedirectCode: '302',
          ReplaceKeyPrefixWith: 'new/',
        },
      },
    ],
  }
  await s3().send(new PutBucketWebsiteCommand({ Bucket, WebsiteConfiguration: site }))
  const { $metadata: _, ...shown } = await s3().send(new GetBucketWebsiteCommand({ Bucket }))
  assert.deepEqual(shown, site)
  const redirect = { RedirectAllRequestsTo: { HostName: 'y.example', Protocol: 'http' as const } }
  await s3().send(new PutBucketWebsiteCommand({ Bucket, WebsiteConfiguration: redirect }))
  assert.deepEqual(
    (await s3().send(new GetBucketWebsiteCommand({ Bucket }))).RedirectAllRequestsTo,
    redirect.RedirectAllRequestsTo,
  )
  await s3().send(new DeleteBucketWebsiteCommand({ Bucket }))
  await refused(s3().send(new GetBucketWebsiteCommand({ Bucket })), 'NoSuchWebsiteConfiguration', 404)
})

test('lifecycle rules', async () => {
  const Bucket = await bucket()
  await refused(s3().send(new GetBucketLifecycleConfigurationCommand({ Bucket })), 'NoSuchLifecycleConfiguration', 404)
  type Rules = NonNullable<
    NonNullable<
      ConstructorParameters<typeof PutBucketLifecycleConfigurationCommand>[0]['LifecycleConfiguration']
    >['Rules']
  >
  const put = (...Rules: Rules) =>
    s3().send(new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules } }))
  const rules: Rules = [
    { ID: 'days', Status: 'Enabled', Filter: { Prefix: 'tmp/' }, Expiration: { Days: 3 } },
    { ID: 'date', Status: 'Disabled', Filter: { Prefix: '' }, Expiration: { Date: new Date('2031-01-01T00:00:00Z') } },
    {
      ID: 'and',
      Status: 'Enabled',
      Filter: {
        And: { Prefix: 'a', Tags: [{ Key: 'k', Value: 'v' }], ObjectSizeGreaterThan: 5, ObjectSizeLessThan: 9 },
      },
      NoncurrentVersionExpiration: { NoncurrentDays: 1, NewerNoncurrentVersions: 2 },
    },
    {
      ID: 'rest',
      Status: 'Enabled',
      Filter: { Prefix: '' },
      Expiration: { ExpiredObjectDeleteMarker: true },
      AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 },
    },
    { ID: 'old', Status: 'Enabled', Prefix: 'old', Expiration: { Days: 1 } },
  ]
  await put(...rules)
  assert.deepEqual((await s3().send(new GetBucketLifecycleConfigurationCommand({ Bucket }))).Rules, rules)

  const all = { Status: 'Enabled' as const, Filter: { Prefix: '' } }
  await put({ ...all, Expiration: { Days: 1 } })
  const named = await s3().send(new GetBucketLifecycleConfigurationCommand({ Bucket }))
  assert.ok(named.Rules?.[0]?.ID)
  await refused(put({ ...all, Transitions: [{ Days: 1, StorageClass: 'GLACIER' }] }), 'NotImplemented', 501)
  await refused(put({ ...all, Expiration: { Days: 0 } }), 'InvalidArgument', 400)
  await refused(put({ ...all, Expiration: { Date: new Date('2031-01-01T00:00:01Z') } }), 'InvalidArgument', 400)
  await refused(put({ ...all, Expiration: { Days: 1, ExpiredObjectDeleteMarker: true } }), 'MalformedXML', 400)
  await refused(put({ Status: 'Enabled', Expiration: { Days: 1 } }), 'MalformedXML', 400)
  await refused(put({ ...all }), 'InvalidRequest', 400)
  await refused(put({ ...rules[0]! }, { ...rules[0]! }), 'InvalidArgument', 400)
  await refused(put(), 'MalformedXML', 400)
  await s3().send(new DeleteBucketLifecycleCommand({ Bucket }))
  await refused(s3().send(new GetBucketLifecycleConfigurationCommand({ Bucket })), 'NoSuchLifecycleConfiguration', 404)
})

test('versioning and the bucket’s object lock hold one another', async () => {
  const Bucket = await bucket()
  assert.equal((await s3().send(new GetBucketVersioningCommand({ Bucket }))).Status, undefined)
  await refused(
    s3().send(new GetObjectLockConfigurationCommand({ Bucket })),
    'ObjectLockConfigurationNotFoundError',
    404,
  )
  const version = (Status: 'Enabled' | 'Suspended') =>
    s3().send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status } }))
  const lock = (DefaultRetention?: object) =>
    s3().send(
      new PutObjectLockConfigurationCommand({
        Bucket,
        ObjectLockConfiguration: {
          ObjectLockEnabled: 'Enabled',
          ...(DefaultRetention && { Rule: { DefaultRetention } }),
        },
      }),
    )
  await refused(lock(), 'InvalidBucketState', 409)
  await version('Enabled')
  assert.equal((await s3().send(new GetBucketVersioningCommand({ Bucket }))).Status, 'Enabled')
  await version('Suspended')
  assert.equal((await s3().send(new GetBucketVersioningCommand({ Bucket }))).Status, 'Suspended')
  await version('Enabled')
  await refused(version('Off' as 'Enabled'), 'MalformedXML', 400)

  await lock({ Mode: 'GOVERNANCE', Days: 3 })
  assert.deepEqual((await s3().send(new GetObjectLockConfigurationCommand({ Bucket }))).ObjectLockConfiguration, {
    ObjectLockEnabled: 'Enabled',
    Rule: { DefaultRetention: { Mode: 'GOVERNANCE', Days: 3 } },
  })
  await refused(version('Suspended'), 'InvalidBucketState', 409)
  await refused(lock({ Mode: 'GOVERNANCE', Days: 3, Years: 1 }), 'MalformedXML', 400)
  await refused(lock({ Mode: 'GOVERNANCE' }), 'MalformedXML', 400)
  await refused(lock({ Mode: 'SOMETIMES', Days: 1 }), 'MalformedXML', 400)
  await refused(lock({ Mode: 'GOVERNANCE', Days: 0 }), 'InvalidArgument', 400)
})

test('what is not implemented reads as unset and refuses to be set', async () => {
  const Bucket = await bucket()
  assert.equal((await s3().send(new GetBucketRequestPaymentCommand({ Bucket }))).Payer, 'BucketOwner')
  assert.equal((await s3().send(new GetBucketLoggingCommand({ Bucket }))).LoggingEnabled, undefined)
  assert.equal((await s3().send(new GetBucketAccelerateConfigurationCommand({ Bucket }))).Status, undefined)
  assert.equal(
    (await s3().send(new GetBucketNotificationConfigurationCommand({ Bucket }))).QueueConfigurations,
    undefined,
  )
  await refused(s3().send(new GetBucketReplicationCommand({ Bucket })), 'ReplicationConfigurationNotFoundError', 404)
  assert.equal((await s3().send(new ListBucketAnalyticsConfigurationsCommand({ Bucket }))).IsTruncated, false)
  assert.equal((await s3().send(new ListBucketInventoryConfigurationsCommand({ Bucket }))).IsTruncated, false)

  const pay = (Payer: 'BucketOwner' | 'Requester') =>
    s3().send(new PutBucketRequestPaymentCommand({ Bucket, RequestPaymentConfiguration: { Payer } }))
  await pay('BucketOwner')
  await refused(pay('Requester'), 'NotImplemented', 501)
  await s3().send(new PutBucketLoggingCommand({ Bucket, BucketLoggingStatus: {} }))
  const LoggingEnabled = { TargetBucket: Bucket, TargetPrefix: '' }
  await refused(
    s3().send(new PutBucketLoggingCommand({ Bucket, BucketLoggingStatus: { LoggingEnabled } })),
    'NotImplemented',
    501,
  )
  const AccelerateConfiguration = { Status: 'Enabled' as const }
  await refused(
    s3().send(new PutBucketAccelerateConfigurationCommand({ Bucket, AccelerateConfiguration })),
    'NotImplemented',
    501,
  )
})

test('changes at once do not lose one another', async () => {
  const Bucket = await bucket()
  const Tagging = { TagSet: [{ Key: 'a', Value: 'b' }] }
  const CORSConfiguration = { CORSRules: [{ AllowedOrigins: ['*'], AllowedMethods: ['GET'] }] }
  const WebsiteConfiguration = { IndexDocument: { Suffix: 'i' } }
  const PublicAccessBlockConfiguration = { BlockPublicAcls: true }
  await Promise.all([
    s3().send(new PutBucketTaggingCommand({ Bucket, Tagging })),
    s3().send(new PutBucketCorsCommand({ Bucket, CORSConfiguration })),
    s3().send(new PutBucketWebsiteCommand({ Bucket, WebsiteConfiguration })),
    s3().send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } })),
    s3().send(new PutPublicAccessBlockCommand({ Bucket, PublicAccessBlockConfiguration })),
  ])
  const found = await buckets.find(cloud().db, Bucket)
  assert.deepEqual(Object.keys(found?.settings ?? {}).sort(), ['cors', 'publicAccessBlock', 'tags', 'website'])
  assert.equal(found?.versioning, 'enabled')
  assert.equal(found?.revision, 6)
})
