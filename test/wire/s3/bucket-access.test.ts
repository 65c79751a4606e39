/** Who may reach a bucket, by the SDK: policies, ACLs, ownership. What was put comes back, what is wrong has its code. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  DeleteBucketOwnershipControlsCommand,
  DeleteBucketPolicyCommand,
  GetBucketAclCommand,
  GetBucketOwnershipControlsCommand,
  GetBucketPolicyCommand,
  GetBucketPolicyStatusCommand,
  PutBucketAclCommand,
  PutBucketOwnershipControlsCommand,
  PutBucketPolicyCommand,
  PutPublicAccessBlockCommand,
} from '@aws-sdk/client-s3'
import { newId } from '../../../src/model/ids.ts'
import { refused, settingsSuite } from './settings.ts'

const { bucket, cloud, s3 } = settingsSuite()

test('a policy comes back as it was written, and says whether it is public', async () => {
  const Bucket = await bucket()
  await refused(s3().send(new GetBucketPolicyCommand({ Bucket })), 'NoSuchBucketPolicy', 404)
  await refused(s3().send(new GetBucketPolicyStatusCommand({ Bucket })), 'NoSuchBucketPolicy', 404)
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
  await s3().send(new PutBucketPolicyCommand({ Bucket, Policy: policy({}) }))
  assert.equal((await s3().send(new GetBucketPolicyCommand({ Bucket }))).Policy, policy({}))
  const { PolicyStatus } = await s3().send(new GetBucketPolicyStatusCommand({ Bucket }))
  assert.equal(PolicyStatus?.IsPublic, true)

  for (const parts of [
    { Resource: 'arn:aws:s3:::other/*' },
    { Condition: { StringEquals: { 'aws:Nothing': 'x' } } },
    { Principal: { AWS: newId('account') } },
    { Principal: { AWS: 'arn:aws:iam::999999999999:root' } },
  ]) {
    await refused(s3().send(new PutBucketPolicyCommand({ Bucket, Policy: policy(parts) })), 'MalformedPolicy', 400)
  }
  assert.equal((await s3().send(new GetBucketPolicyCommand({ Bucket }))).Policy, policy({}))

  await s3().send(new DeleteBucketPolicyCommand({ Bucket }))
  await refused(s3().send(new GetBucketPolicyCommand({ Bucket })), 'NoSuchBucketPolicy', 404)
  const block = { BlockPublicAcls: true, BlockPublicPolicy: true }
  await s3().send(new PutPublicAccessBlockCommand({ Bucket, PublicAccessBlockConfiguration: block }))
  await refused(s3().send(new PutBucketPolicyCommand({ Bucket, Policy: policy({}) })), 'AccessDenied', 403)
  await refused(s3().send(new PutBucketAclCommand({ Bucket, ACL: 'public-read' })), 'AccessDenied', 403)
})

test('the ACL of a bucket', async () => {
  const Bucket = await bucket()
  const { Owner, Grants } = await s3().send(new GetBucketAclCommand({ Bucket }))
  assert.match(Owner?.ID ?? '', /^[0-9a-f]{64}$/)
  const ownersGrant = { Grantee: { ID: Owner?.ID, Type: 'CanonicalUser' }, Permission: 'FULL_CONTROL' }
  assert.deepEqual(Grants, [ownersGrant])
  const all = { Type: 'Group' as const, URI: 'http://acs.amazonaws.com/groups/global/AllUsers' }

  await s3().send(new PutBucketAclCommand({ Bucket, ACL: 'public-read' }))
  const read = await s3().send(new GetBucketAclCommand({ Bucket }))
  assert.deepEqual(read.Grants, [ownersGrant, { Grantee: all, Permission: 'READ' }])

  await s3().send(
    new PutBucketAclCommand({ Bucket, GrantWrite: `uri="${all.URI}"`, GrantReadACP: `id="${Owner?.ID}"` }),
  )
  assert.deepEqual((await s3().send(new GetBucketAclCommand({ Bucket }))).Grants, [
    { Grantee: all, Permission: 'WRITE' },
    { Grantee: { ID: Owner?.ID, Type: 'CanonicalUser' }, Permission: 'READ_ACP' },
  ])

  const grants = [
    { Grantee: { Type: 'CanonicalUser' as const, ID: Owner?.ID }, Permission: 'FULL_CONTROL' as const },
    {
      Grantee: { Type: 'AmazonCustomerByEmail' as const, EmailAddress: cloud().credentials.email },
      Permission: 'READ' as const,
    },
  ]
  await s3().send(new PutBucketAclCommand({ Bucket, AccessControlPolicy: { Owner, Grants: grants } }))
  assert.equal((await s3().send(new GetBucketAclCommand({ Bucket }))).Grants?.length, 2)

  const wrong = (AccessControlPolicy: object) => s3().send(new PutBucketAclCommand({ Bucket, AccessControlPolicy }))
  await refused(wrong({ Owner: { ID: 'a'.repeat(64) }, Grants: grants }), 'AccessDenied', 403)
  await refused(wrong({ Grants: grants }), 'MalformedACLError', 400)
  await refused(s3().send(new PutBucketAclCommand({ Bucket, ACL: 'nonsense' as never })), 'InvalidArgument', 400)

  await s3().send(new PutBucketAclCommand({ Bucket, ACL: 'public-read' }))
  const rules = [{ ObjectOwnership: 'BucketOwnerEnforced' as const }]
  const enforce = () =>
    s3().send(new PutBucketOwnershipControlsCommand({ Bucket, OwnershipControls: { Rules: rules } }))
  await refused(enforce(), 'InvalidBucketAclWithObjectOwnership', 400)
  await s3().send(new PutBucketAclCommand({ Bucket, ACL: 'private' }))
  await enforce()
  assert.deepEqual((await s3().send(new GetBucketOwnershipControlsCommand({ Bucket }))).OwnershipControls?.Rules, rules)
  await refused(
    s3().send(new PutBucketAclCommand({ Bucket, ACL: 'public-read' })),
    'AccessControlListNotSupported',
    400,
  )
  await s3().send(new DeleteBucketOwnershipControlsCommand({ Bucket }))
  await refused(s3().send(new GetBucketOwnershipControlsCommand({ Bucket })), 'OwnershipControlsNotFoundError', 404)
})
