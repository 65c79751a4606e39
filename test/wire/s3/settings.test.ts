/** All that can be set on a bucket and on an object, by the SDK: what was put comes back, what is wrong has its code. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { before, test } from 'node:test'
import {
  DeleteBucketCorsCommand,
  DeleteBucketEncryptionCommand,
  DeleteBucketLifecycleCommand,
  DeleteBucketOwnershipControlsCommand,
  DeleteBucketPolicyCommand,
  DeleteBucketTaggingCommand,
  DeleteBucketWebsiteCommand,
  DeleteObjectCommand,
  DeleteObjectTaggingCommand,
  DeletePublicAccessBlockCommand,
  GetBucketAccelerateConfigurationCommand,
  GetBucketAclCommand,
  GetBucketCorsCommand,
  GetBucketEncryptionCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketLoggingCommand,
  GetBucketNotificationConfigurationCommand,
  GetBucketOwnershipControlsCommand,
  GetBucketPolicyCommand,
  GetBucketPolicyStatusCommand,
  GetBucketReplicationCommand,
  GetBucketRequestPaymentCommand,
  GetBucketTaggingCommand,
  GetBucketVersioningCommand,
  GetBucketWebsiteCommand,
  GetObjectAclCommand,
  GetObjectLegalHoldCommand,
  GetObjectLockConfigurationCommand,
  GetObjectRetentionCommand,
  GetObjectTaggingCommand,
  GetPublicAccessBlockCommand,
  ListBucketAnalyticsConfigurationsCommand,
  ListBucketInventoryConfigurationsCommand,
  PutBucketAccelerateConfigurationCommand,
  PutBucketAclCommand,
  PutBucketCorsCommand,
  PutBucketEncryptionCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketLoggingCommand,
  PutBucketOwnershipControlsCommand,
  PutBucketPolicyCommand,
  PutBucketRequestPaymentCommand,
  PutBucketTaggingCommand,
  PutBucketVersioningCommand,
  PutBucketWebsiteCommand,
  PutObjectAclCommand,
  PutObjectCommand,
  PutObjectLegalHoldCommand,
  PutObjectLockConfigurationCommand,
  PutObjectRetentionCommand,
  PutObjectTaggingCommand,
  PutPublicAccessBlockCommand,
  type S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3'
import { signHeaders } from '../../../src/lib/sigv4-sign.ts'
import { canonicalIdOf } from '../../../src/model/canonical-id.ts'
import { newId } from '../../../src/model/ids.ts'
import * as accounts from '../../../src/store/accounts.ts'
import * as buckets from '../../../src/store/buckets.ts'
import { type Cloud, startCloud } from '../../cloud.ts'
import { s3ClientOf } from '../../s3-client.ts'

let cloud: Cloud
let s3: S3Client
const cleanups: (() => Promise<void>)[] = []

before(async () => {
  cloud = await startCloud({ after: (fn) => void cleanups.push(fn) }, { withoutWorker: true })
  s3 = s3ClientOf(cloud)
})
test.after(async () => {
  s3.destroy()
  for (const clean of cleanups) await clean()
})

let made = 0
async function bucket(): Promise<string> {
  const owner = await accounts.find(cloud.db, cloud.credentials.email)
  assert.ok(owner)
  const name = `settings-${++made}`
  await buckets.insert(
    cloud.db,
    { name, accountId: owner.id, tier: 'standard', location: 'here', versioning: 'off', settings: {} },
    false,
  )
  return name
}

async function refused(work: Promise<unknown>, code: string, status: number): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(error instanceof S3ServiceException, String(error))
    assert.deepEqual([error.name, error.$metadata.httpStatusCode], [code, status], error.message)
    return true
  })
}

test('a policy comes back as it was written, and says whether it is public', async () => {
  const Bucket = await bucket()
  await refused(s3.send(new GetBucketPolicyCommand({ Bucket })), 'NoSuchBucketPolicy', 404)
  await refused(s3.send(new GetBucketPolicyStatusCommand({ Bucket })), 'NoSuchBucketPolicy', 404)
  const policy = (parts: object) =>
    JSON.stringify(
      {
        Version: '2012-10-17',
        Statement: [
          { Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: `arn:aws:s3:::${Bucket}/*`, ...parts },
        ],
      },
      null,
      3,
    )
  await s3.send(new PutBucketPolicyCommand({ Bucket, Policy: policy({}) }))
  assert.equal((await s3.send(new GetBucketPolicyCommand({ Bucket }))).Policy, policy({}))
  const { PolicyStatus } = await s3.send(new GetBucketPolicyStatusCommand({ Bucket }))
  assert.equal(PolicyStatus?.IsPublic, true)

  for (const parts of [
    { Resource: 'arn:aws:s3:::other/*' },
    { Condition: { StringEquals: { 'aws:Nothing': 'x' } } },
    { Principal: { AWS: newId('account') } },
    { Principal: { AWS: 'arn:aws:iam::999999999999:root' } },
  ]) {
    await refused(s3.send(new PutBucketPolicyCommand({ Bucket, Policy: policy(parts) })), 'MalformedPolicy', 400)
  }
  assert.equal((await s3.send(new GetBucketPolicyCommand({ Bucket }))).Policy, policy({}))

  await s3.send(new DeleteBucketPolicyCommand({ Bucket }))
  await refused(s3.send(new GetBucketPolicyCommand({ Bucket })), 'NoSuchBucketPolicy', 404)
  const block = { BlockPublicAcls: true, BlockPublicPolicy: true }
  await s3.send(new PutPublicAccessBlockCommand({ Bucket, PublicAccessBlockConfiguration: block }))
  await refused(s3.send(new PutBucketPolicyCommand({ Bucket, Policy: policy({}) })), 'AccessDenied', 403)
  await refused(s3.send(new PutBucketAclCommand({ Bucket, ACL: 'public-read' })), 'AccessDenied', 403)
})

test('the ACL of a bucket', async () => {
  const Bucket = await bucket()
  const { Owner, Grants } = await s3.send(new GetBucketAclCommand({ Bucket }))
  assert.match(Owner?.ID ?? '', /^[0-9a-f]{64}$/)
  const ownersGrant = { Grantee: { ID: Owner?.ID, Type: 'CanonicalUser' }, Permission: 'FULL_CONTROL' }
  assert.deepEqual(Grants, [ownersGrant])
  const all = { Type: 'Group' as const, URI: 'http://acs.amazonaws.com/groups/global/AllUsers' }

  await s3.send(new PutBucketAclCommand({ Bucket, ACL: 'public-read' }))
  const read = await s3.send(new GetBucketAclCommand({ Bucket }))
  assert.deepEqual(read.Grants, [ownersGrant, { Grantee: all, Permission: 'READ' }])

  await s3.send(new PutBucketAclCommand({ Bucket, GrantWrite: `uri="${all.URI}"`, GrantReadACP: `id="${Owner?.ID}"` }))
  assert.deepEqual((await s3.send(new GetBucketAclCommand({ Bucket }))).Grants, [
    { Grantee: all, Permission: 'WRITE' },
    { Grantee: { ID: Owner?.ID, Type: 'CanonicalUser' }, Permission: 'READ_ACP' },
  ])

  const grants = [
    { Grantee: { Type: 'CanonicalUser' as const, ID: Owner?.ID }, Permission: 'FULL_CONTROL' as const },
    {
      Grantee: { Type: 'AmazonCustomerByEmail' as const, EmailAddress: cloud.credentials.email },
      Permission: 'READ' as const,
    },
  ]
  await s3.send(new PutBucketAclCommand({ Bucket, AccessControlPolicy: { Owner, Grants: grants } }))
  assert.equal((await s3.send(new GetBucketAclCommand({ Bucket }))).Grants?.length, 2)

  const wrong = (AccessControlPolicy: object) => s3.send(new PutBucketAclCommand({ Bucket, AccessControlPolicy }))
  await refused(wrong({ Owner: { ID: 'a'.repeat(64) }, Grants: grants }), 'AccessDenied', 403)
  await refused(wrong({ Grants: grants }), 'MalformedACLError', 400)
  await refused(s3.send(new PutBucketAclCommand({ Bucket, ACL: 'nonsense' as never })), 'InvalidArgument', 400)

  await s3.send(new PutBucketAclCommand({ Bucket, ACL: 'public-read' }))
  const rules = [{ ObjectOwnership: 'BucketOwnerEnforced' as const }]
  const enforce = () => s3.send(new PutBucketOwnershipControlsCommand({ Bucket, OwnershipControls: { Rules: rules } }))
  await refused(enforce(), 'InvalidBucketAclWithObjectOwnership', 400)
  await s3.send(new PutBucketAclCommand({ Bucket, ACL: 'private' }))
  await enforce()
  assert.deepEqual((await s3.send(new GetBucketOwnershipControlsCommand({ Bucket }))).OwnershipControls?.Rules, rules)
  await refused(s3.send(new PutBucketAclCommand({ Bucket, ACL: 'public-read' })), 'AccessControlListNotSupported', 400)
  await s3.send(new DeleteBucketOwnershipControlsCommand({ Bucket }))
  await refused(s3.send(new GetBucketOwnershipControlsCommand({ Bucket })), 'OwnershipControlsNotFoundError', 404)
})

test('CORS, tags, encryption, public access block and website: put, got, deleted', async () => {
  const Bucket = await bucket()
  await refused(s3.send(new GetBucketCorsCommand({ Bucket })), 'NoSuchCORSConfiguration', 404)
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
    s3.send(new PutBucketCorsCommand({ Bucket, CORSConfiguration: { CORSRules: rules as typeof CORSRules } }))
  await putCors(CORSRules)
  assert.deepEqual((await s3.send(new GetBucketCorsCommand({ Bucket }))).CORSRules, CORSRules)
  await refused(putCors([{ AllowedOrigins: ['*'], AllowedMethods: ['PATCH'] }]), 'InvalidRequest', 400)
  await refused(putCors([{ AllowedOrigins: ['*.*'], AllowedMethods: ['GET'] }]), 'InvalidRequest', 400)
  await refused(putCors([]), 'MalformedXML', 400)
  await s3.send(new DeleteBucketCorsCommand({ Bucket }))
  await refused(s3.send(new GetBucketCorsCommand({ Bucket })), 'NoSuchCORSConfiguration', 404)

  await refused(s3.send(new GetBucketTaggingCommand({ Bucket })), 'NoSuchTagSet', 404)
  const TagSet = [
    { Key: 'a', Value: 'b c' },
    { Key: 'é', Value: '' },
  ]
  await s3.send(new PutBucketTaggingCommand({ Bucket, Tagging: { TagSet } }))
  assert.deepEqual((await s3.send(new GetBucketTaggingCommand({ Bucket }))).TagSet, TagSet)
  const twice = { TagSet: [TagSet[0]!, TagSet[0]!] }
  await refused(s3.send(new PutBucketTaggingCommand({ Bucket, Tagging: twice })), 'InvalidTag', 400)
  await s3.send(new DeleteBucketTaggingCommand({ Bucket }))
  await refused(s3.send(new GetBucketTaggingCommand({ Bucket })), 'NoSuchTagSet', 404)

  const noEncryption = 'ServerSideEncryptionConfigurationNotFoundError'
  await refused(s3.send(new GetBucketEncryptionCommand({ Bucket })), noEncryption, 404)
  const encrypt = (SSEAlgorithm: 'AES256' | 'aws:kms') =>
    s3.send(
      new PutBucketEncryptionCommand({
        Bucket,
        ServerSideEncryptionConfiguration: {
          Rules: [{ ApplyServerSideEncryptionByDefault: { SSEAlgorithm }, BucketKeyEnabled: true }],
        },
      }),
    )
  await encrypt('AES256')
  const encryption = await s3.send(new GetBucketEncryptionCommand({ Bucket }))
  assert.deepEqual(encryption.ServerSideEncryptionConfiguration?.Rules, [
    { ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' }, BucketKeyEnabled: true },
  ])
  await refused(encrypt('aws:kms'), 'NotImplemented', 501)
  await s3.send(new DeleteBucketEncryptionCommand({ Bucket }))
  await refused(s3.send(new GetBucketEncryptionCommand({ Bucket })), noEncryption, 404)

  const noBlock = 'NoSuchPublicAccessBlockConfiguration'
  await refused(s3.send(new GetPublicAccessBlockCommand({ Bucket })), noBlock, 404)
  const PublicAccessBlockConfiguration = {
    BlockPublicAcls: true,
    IgnorePublicAcls: false,
    BlockPublicPolicy: true,
    RestrictPublicBuckets: false,
  }
  await s3.send(new PutPublicAccessBlockCommand({ Bucket, PublicAccessBlockConfiguration }))
  assert.deepEqual(
    (await s3.send(new GetPublicAccessBlockCommand({ Bucket }))).PublicAccessBlockConfiguration,
    PublicAccessBlockConfiguration,
  )
  await s3.send(new DeletePublicAccessBlockCommand({ Bucket }))
  await refused(s3.send(new GetPublicAccessBlockCommand({ Bucket })), noBlock, 404)

  await refused(s3.send(new GetBucketWebsiteCommand({ Bucket })), 'NoSuchWebsiteConfiguration', 404)
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
  await s3.send(new PutBucketWebsiteCommand({ Bucket, WebsiteConfiguration: site }))
  const { $metadata: _, ...shown } = await s3.send(new GetBucketWebsiteCommand({ Bucket }))
  assert.deepEqual(shown, site)
  const redirect = { RedirectAllRequestsTo: { HostName: 'y.example', Protocol: 'http' as const } }
  await s3.send(new PutBucketWebsiteCommand({ Bucket, WebsiteConfiguration: redirect }))
  assert.deepEqual(
    (await s3.send(new GetBucketWebsiteCommand({ Bucket }))).RedirectAllRequestsTo,
    redirect.RedirectAllRequestsTo,
  )
  await s3.send(new DeleteBucketWebsiteCommand({ Bucket }))
  await refused(s3.send(new GetBucketWebsiteCommand({ Bucket })), 'NoSuchWebsiteConfiguration', 404)
})

test('lifecycle rules', async () => {
  const Bucket = await bucket()
  await refused(s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket })), 'NoSuchLifecycleConfiguration', 404)
  type Rules = NonNullable<
    NonNullable<
      ConstructorParameters<typeof PutBucketLifecycleConfigurationCommand>[0]['LifecycleConfiguration']
    >['Rules']
  >
  const put = (...Rules: Rules) =>
    s3.send(new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules } }))
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
  assert.deepEqual((await s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket }))).Rules, rules)

  const all = { Status: 'Enabled' as const, Filter: { Prefix: '' } }
  await put({ ...all, Expiration: { Days: 1 } })
  const named = await s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket }))
  assert.ok(named.Rules?.[0]?.ID)
  await refused(put({ ...all, Transitions: [{ Days: 1, StorageClass: 'GLACIER' }] }), 'NotImplemented', 501)
  await refused(put({ ...all, Expiration: { Days: 0 } }), 'InvalidArgument', 400)
  await refused(put({ ...all, Expiration: { Date: new Date('2031-01-01T00:00:01Z') } }), 'InvalidArgument', 400)
  await refused(put({ ...all, Expiration: { Days: 1, ExpiredObjectDeleteMarker: true } }), 'MalformedXML', 400)
  await refused(put({ Status: 'Enabled', Expiration: { Days: 1 } }), 'MalformedXML', 400)
  await refused(put({ ...all }), 'InvalidRequest', 400)
  await refused(put({ ...rules[0]! }, { ...rules[0]! }), 'InvalidArgument', 400)
  await refused(put(), 'MalformedXML', 400)
  await s3.send(new DeleteBucketLifecycleCommand({ Bucket }))
  await refused(s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket })), 'NoSuchLifecycleConfiguration', 404)
})

test('versioning and the bucket’s object lock hold one another', async () => {
  const Bucket = await bucket()
  assert.equal((await s3.send(new GetBucketVersioningCommand({ Bucket }))).Status, undefined)
  await refused(s3.send(new GetObjectLockConfigurationCommand({ Bucket })), 'ObjectLockConfigurationNotFoundError', 404)
  const version = (Status: 'Enabled' | 'Suspended') =>
    s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status } }))
  const lock = (DefaultRetention?: object) =>
    s3.send(
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
  assert.equal((await s3.send(new GetBucketVersioningCommand({ Bucket }))).Status, 'Enabled')
  await version('Suspended')
  assert.equal((await s3.send(new GetBucketVersioningCommand({ Bucket }))).Status, 'Suspended')
  await version('Enabled')
  await refused(version('Off' as 'Enabled'), 'MalformedXML', 400)

  await lock({ Mode: 'GOVERNANCE', Days: 3 })
  assert.deepEqual((await s3.send(new GetObjectLockConfigurationCommand({ Bucket }))).ObjectLockConfiguration, {
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
  assert.equal((await s3.send(new GetBucketRequestPaymentCommand({ Bucket }))).Payer, 'BucketOwner')
  assert.equal((await s3.send(new GetBucketLoggingCommand({ Bucket }))).LoggingEnabled, undefined)
  assert.equal((await s3.send(new GetBucketAccelerateConfigurationCommand({ Bucket }))).Status, undefined)
  assert.equal(
    (await s3.send(new GetBucketNotificationConfigurationCommand({ Bucket }))).QueueConfigurations,
    undefined,
  )
  await refused(s3.send(new GetBucketReplicationCommand({ Bucket })), 'ReplicationConfigurationNotFoundError', 404)
  assert.equal((await s3.send(new ListBucketAnalyticsConfigurationsCommand({ Bucket }))).IsTruncated, false)
  assert.equal((await s3.send(new ListBucketInventoryConfigurationsCommand({ Bucket }))).IsTruncated, false)

  const pay = (Payer: 'BucketOwner' | 'Requester') =>
    s3.send(new PutBucketRequestPaymentCommand({ Bucket, RequestPaymentConfiguration: { Payer } }))
  await pay('BucketOwner')
  await refused(pay('Requester'), 'NotImplemented', 501)
  await s3.send(new PutBucketLoggingCommand({ Bucket, BucketLoggingStatus: {} }))
  const LoggingEnabled = { TargetBucket: Bucket, TargetPrefix: '' }
  await refused(
    s3.send(new PutBucketLoggingCommand({ Bucket, BucketLoggingStatus: { LoggingEnabled } })),
    'NotImplemented',
    501,
  )
  const AccelerateConfiguration = { Status: 'Enabled' as const }
  await refused(
    s3.send(new PutBucketAccelerateConfigurationCommand({ Bucket, AccelerateConfiguration })),
    'NotImplemented',
    501,
  )
})

test('tags, ACL, retention and legal hold of an object, each version its own', async () => {
  const Bucket = await bucket()
  const Key = 'a key/with ünusual'
  await s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }))
  await refused(s3.send(new GetObjectTaggingCommand({ Bucket, Key })), 'NoSuchKey', 404)
  const first = await s3.send(new PutObjectCommand({ Bucket, Key, Body: '1', Tagging: 'a=b%20c' }))
  await s3.send(new PutObjectCommand({ Bucket, Key, Body: '2' }))
  const tagsOf = async (VersionId?: string) =>
    (await s3.send(new GetObjectTaggingCommand({ Bucket, Key, VersionId }))).TagSet
  assert.deepEqual(await tagsOf(), [])
  assert.deepEqual(await tagsOf(first.VersionId), [{ Key: 'a', Value: 'b c' }])
  const TagSet = [{ Key: 'x', Value: 'y' }]
  await s3.send(new PutObjectTaggingCommand({ Bucket, Key, VersionId: first.VersionId, Tagging: { TagSet } }))
  assert.deepEqual(await tagsOf(first.VersionId), TagSet)
  assert.deepEqual(await tagsOf(), [])
  await s3.send(new DeleteObjectTaggingCommand({ Bucket, Key, VersionId: first.VersionId }))
  assert.deepEqual(await tagsOf(first.VersionId), [])
  const many = { TagSet: Array.from({ length: 11 }, (_, index) => ({ Key: `k${index}`, Value: '' })) }
  await refused(s3.send(new PutObjectTaggingCommand({ Bucket, Key, Tagging: many })), 'BadRequest', 400)
  await refused(s3.send(new GetObjectTaggingCommand({ Bucket, Key, VersionId: 'nonsense' })), 'InvalidArgument', 400)
  await refused(s3.send(new GetObjectTaggingCommand({ Bucket, Key, VersionId: '0'.repeat(32) })), 'NoSuchVersion', 404)

  await s3.send(new PutObjectAclCommand({ Bucket, Key, ACL: 'public-read' }))
  assert.equal((await s3.send(new GetObjectAclCommand({ Bucket, Key }))).Grants?.length, 2)
  assert.equal((await s3.send(new GetObjectAclCommand({ Bucket, Key, VersionId: first.VersionId }))).Grants?.length, 1)
  const url = `${cloud.s3Url}/${Bucket}/${encodeURIComponent(Key)}`
  assert.equal(await (await fetch(url)).text(), '2')
  assert.equal((await fetch(`${url}?versionId=${first.VersionId}`)).status, 403)

  const until = new Date(Date.now() + 3_600_000)
  const retain = (Mode: 'GOVERNANCE' | 'COMPLIANCE', RetainUntilDate: Date, more: object = {}) =>
    s3.send(new PutObjectRetentionCommand({ Bucket, Key, Retention: { Mode, RetainUntilDate }, ...more }))
  await refused(retain('GOVERNANCE', until), 'InvalidRequest', 400)
  const ObjectLockConfiguration = { ObjectLockEnabled: 'Enabled' as const }
  await s3.send(new PutObjectLockConfigurationCommand({ Bucket, ObjectLockConfiguration }))
  await refused(s3.send(new GetObjectRetentionCommand({ Bucket, Key })), 'NoSuchObjectLockConfiguration', 404)
  await retain('GOVERNANCE', until)
  assert.deepEqual((await s3.send(new GetObjectRetentionCommand({ Bucket, Key }))).Retention, {
    Mode: 'GOVERNANCE',
    RetainUntilDate: until,
  })
  await refused(retain('GOVERNANCE', new Date(0)), 'InvalidArgument', 400)
  await refused(retain('GOVERNANCE', new Date(until.getTime() - 60_000)), 'AccessDenied', 403)
  await retain('GOVERNANCE', new Date(until.getTime() - 60_000), { BypassGovernanceRetention: true })
  await retain('COMPLIANCE', until)
  await refused(
    retain('COMPLIANCE', new Date(until.getTime() - 1000), { BypassGovernanceRetention: true }),
    'AccessDenied',
    403,
  )

  const hold = (Status: 'ON' | 'OFF') => s3.send(new PutObjectLegalHoldCommand({ Bucket, Key, LegalHold: { Status } }))
  assert.equal((await s3.send(new GetObjectLegalHoldCommand({ Bucket, Key }))).LegalHold?.Status, 'OFF')
  await hold('ON')
  assert.equal((await s3.send(new GetObjectLegalHoldCommand({ Bucket, Key }))).LegalHold?.Status, 'ON')
  await hold('OFF')

  const marker = await s3.send(new DeleteObjectCommand({ Bucket, Key }))
  await refused(s3.send(new GetObjectTaggingCommand({ Bucket, Key })), 'NoSuchKey', 404)
  const VersionId = marker.VersionId
  await refused(s3.send(new GetObjectTaggingCommand({ Bucket, Key, VersionId })), 'MethodNotAllowed', 405)
})

test('changes at once do not lose one another', async () => {
  const Bucket = await bucket()
  const Tagging = { TagSet: [{ Key: 'a', Value: 'b' }] }
  const CORSConfiguration = { CORSRules: [{ AllowedOrigins: ['*'], AllowedMethods: ['GET'] }] }
  const WebsiteConfiguration = { IndexDocument: { Suffix: 'i' } }
  const PublicAccessBlockConfiguration = { BlockPublicAcls: true }
  await Promise.all([
    s3.send(new PutBucketTaggingCommand({ Bucket, Tagging })),
    s3.send(new PutBucketCorsCommand({ Bucket, CORSConfiguration })),
    s3.send(new PutBucketWebsiteCommand({ Bucket, WebsiteConfiguration })),
    s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } })),
    s3.send(new PutPublicAccessBlockCommand({ Bucket, PublicAccessBlockConfiguration })),
  ])
  const found = await buckets.find(cloud.db, Bucket)
  assert.deepEqual(Object.keys(found?.settings ?? {}).sort(), ['cors', 'publicAccessBlock', 'tags', 'website'])
  assert.equal(found?.versioning, 'enabled')
  assert.equal(found?.revision, 6)
})

test('documents that are none are refused, each in its own words', async () => {
  const Bucket = await bucket()
  const { host } = new URL(cloud.s3Url)
  const keys = {
    accessKeyId: cloud.credentials.s3AccessKeyId,
    secretAccessKey: cloud.credentials.s3SecretAccessKey,
    region: 'eu-north-1',
  }
  const put = async (query: string, body: string, headers: Record<string, string> = {}) => {
    const digest = createHash('sha256').update(body).digest('hex')
    const unsigned = { method: 'PUT', host, path: `/${Bucket}`, query: [[query, '']] as const, headers }
    const { host: _, ...sent } = signHeaders(unsigned, digest, keys)
    const answer = await fetch(`${cloud.s3Url}/${Bucket}?${query}`, { method: 'PUT', headers: sent, body })
    return /<Code>(\w+)<\/Code>/.exec(await answer.text())?.[1] ?? answer.status
  }
  const subresources: Record<string, string> = {
    acl: 'AccessControlPolicy',
    cors: 'CORSConfiguration',
    encryption: 'ServerSideEncryptionConfiguration',
    lifecycle: 'LifecycleConfiguration',
    'object-lock': 'ObjectLockConfiguration',
    ownershipControls: 'OwnershipControls',
    publicAccessBlock: 'PublicAccessBlockConfiguration',
    tagging: 'Tagging',
    versioning: 'VersioningConfiguration',
    website: 'WebsiteConfiguration',
  }
  for (const [query, root] of Object.entries(subresources)) {
    const code = query === 'acl' ? 'MalformedACLError' : 'MalformedXML'
    for (const body of [
      'x',
      '<x/>',
      `<${root}>`,
      `<${root}><Unheard>of</Unheard></${root}>`,
      `<!DOCTYPE a [<!ENTITY b "bb">]><${root}>&b;</${root}>`,
      `<${root}>${'<a>'.repeat(1000)}`,
    ]) {
      assert.equal(await put(query, body), code, `${query}: ${body.slice(0, 60)}`)
    }
    assert.equal(await put(query, `<${root}>${' '.repeat(1024 * 1024)}</${root}>`), 'MaxMessageLengthExceeded', query)
  }
  for (const body of ['', '{', '[]', '{}', `{"Statement":"${'x'.repeat(21 * 1024)}"}`]) {
    assert.equal(await put('policy', body), 'MalformedPolicy', body.slice(0, 60))
  }
  const found = await buckets.find(cloud.db, Bucket)
  assert.deepEqual([found?.settings, found?.revision], [{}, 1])

  const owner = await accounts.find(cloud.db, cloud.credentials.email)
  assert.ok(owner)
  const tags = '<Tagging><TagSet></TagSet></Tagging>'
  for (const id of [owner.id, canonicalIdOf(owner.id), String(owner.number), String(owner.number).padStart(12, '0')]) {
    assert.equal(await put('tagging', tags, { 'x-amz-expected-bucket-owner': id }), 204, id)
  }
  for (const id of ['', '1', newId('account'), 'a'.repeat(64)]) {
    assert.equal(await put('tagging', tags, { 'x-amz-expected-bucket-owner': id }), 'AccessDenied', id)
  }
})
