import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Acl, CannedAcl } from '../../model/acl.ts'
import { aclOfCanned } from '../../model/acl.ts'
import type { Bucket, BucketSettings } from '../../model/bucket.ts'
import { canonicalIdOf } from '../../model/canonical-id.ts'
import { type AccountId, newId } from '../../model/ids.ts'
import { S3_ACTIONS, type S3Action } from '../../model/s3-action.ts'
import type { S3Caller, S3Ctx } from '../s3-ctx.ts'
import { bypassesGovernance, isAllowed, keyReaches, missingKey, type Wish } from './access.ts'

const [ana, ben, eve] = [newId('account'), newId('account'), newId('account')]

const callerOf = (accountId: AccountId, limits: Partial<S3Caller> = {}): S3Caller => ({
  accountId,
  accountNumber: [ana, ben, eve].indexOf(accountId) + 10_001,
  canonicalId: canonicalIdOf(accountId),
  displayName: 'x',
  accessKeyId: 'AK',
  isReadOnly: false,
  buckets: null,
  ...limits,
})

function ctxOf(caller: S3Caller | null, headers: Record<string, string> = {}, query: Record<string, string> = {}) {
  const request = {
    id: '1',
    sourceIp: headers.ip ?? '192.0.2.1',
    isSecure: false,
    header: (name: string) => headers[name],
    query: (name: string) => query[name],
  }
  return { caller, request } as unknown as S3Ctx
}

const bucketOf = (settings: BucketSettings = {}): Bucket => ({
  id: newId('bucket'),
  number: 1,
  name: 'photos',
  accountId: ana,
  tier: 'standard',
  location: 'x',
  versioning: 'off',
  settings,
  revision: 1,
  isSuspended: false,
  createdAt: new Date(0),
})

const policyOf = (...statements: object[]) =>
  JSON.stringify({
    Version: '2012-10-17',
    Statement: statements.map((parts) => ({
      Effect: 'Allow',
      Principal: '*',
      Action: 's3:*',
      Resource: ['arn:aws:s3:::photos', 'arn:aws:s3:::photos/*'],
      ...parts,
    })),
  })

const isObject = (action: S3Action) => /Object(?!LockConfiguration)|Upload/.test(action) && !/Uploads$/.test(action)
const wishOf = (action: S3Action, bucket: Bucket, more: Partial<Wish> = {}): Wish => ({
  action,
  bucket,
  key: isObject(action) ? 'a' : null,
  ...more,
})
const allowed = (caller: S3Caller | null, bucket: Bucket, more: Partial<Wish> = {}) =>
  S3_ACTIONS.filter((action) => isAllowed(ctxOf(caller), wishOf(action, bucket, more)))

test('a private bucket is its account’s alone, for everything', () => {
  const bucket = bucketOf()
  assert.deepEqual(allowed(callerOf(ana), bucket), S3_ACTIONS)
  assert.deepEqual(allowed(callerOf(ben), bucket), [])
  assert.deepEqual(allowed(null, bucket), [])
})

test('a read-only key does exactly what only reads', () => {
  const seen = allowed(callerOf(ana, { isReadOnly: true }), bucketOf())
  assert.deepEqual(
    seen,
    S3_ACTIONS.filter((action) => action.startsWith('s3:Get') || action.startsWith('s3:List')),
  )
  const open = bucketOf({ policy: policyOf({}) })
  assert.equal(isAllowed(ctxOf(callerOf(ana, { isReadOnly: true })), wishOf('s3:PutObject', open)), false)
})

test('a key limited to buckets opens no other, not even one that is open to all', () => {
  const open = bucketOf({ policy: policyOf({}), acl: aclOfCanned('public-read-write', ana, ana) as Acl })
  assert.deepEqual(allowed(callerOf(ana, { buckets: ['other'] }), open), [])
  assert.deepEqual(allowed(callerOf(ana, { buckets: ['other', 'photos'] }), open), S3_ACTIONS)
  assert.equal(keyReaches(callerOf(ana, { buckets: [] }), 's3:CreateBucket', 'new'), false)
})

test('a Deny binds the owner too, except from mending the policy', () => {
  const bucket = bucketOf({ policy: policyOf({ Effect: 'Deny' }) })
  assert.deepEqual(allowed(callerOf(ana), bucket), [
    's3:DeleteBucketPolicy',
    's3:GetBucketPolicy',
    's3:PutBucketPolicy',
  ])
})

test('a policy opens to those it names; nobody but the owner ever sees or changes it', () => {
  const bucket = bucketOf({ policy: policyOf({ Principal: { AWS: ben } }) })
  const all = S3_ACTIONS.filter((action) => !/BucketPolicy$/.test(action))
  assert.deepEqual(allowed(callerOf(ben), bucket), all)
  assert.deepEqual(allowed(callerOf(eve), bucket), [])
  assert.deepEqual(allowed(null, bucket), [])
  assert.deepEqual(allowed(null, bucketOf({ policy: policyOf({}) })), all)
})

test('a changed policy takes effect at once', () => {
  const bucket = bucketOf({ policy: policyOf({ Principal: { AWS: ben } }) })
  const get = (settings: BucketSettings) =>
    isAllowed(ctxOf(callerOf(ben)), wishOf('s3:GetObject', { ...bucket, settings }))
  assert.equal(get(bucket.settings), true)
  assert.equal(get({ policy: policyOf({ Principal: { AWS: eve } }) }), false)
  assert.equal(get({}), false)
})

test('restricting public buckets leaves a public policy to the owner', () => {
  const publicAccessBlock = {
    blockPublicAcls: false,
    ignorePublicAcls: false,
    blockPublicPolicy: false,
    restrictPublicBuckets: true,
  }
  const open = bucketOf({ policy: policyOf({}), publicAccessBlock })
  assert.equal(isAllowed(ctxOf(null), wishOf('s3:GetObject', open)), false)
  assert.equal(isAllowed(ctxOf(callerOf(ben)), wishOf('s3:GetObject', open)), false)
  assert.equal(isAllowed(ctxOf(callerOf(ana)), wishOf('s3:GetObject', open)), true)
  const named = bucketOf({ policy: policyOf({ Principal: { AWS: ben } }), publicAccessBlock })
  assert.equal(isAllowed(ctxOf(callerOf(ben)), wishOf('s3:GetObject', named)), true)
})

const LIST: readonly S3Action[] = ['s3:ListBucket', 's3:ListBucketMultipartUploads', 's3:ListBucketVersions']

test('what the ACL of a bucket gives', () => {
  const cases: readonly (readonly [CannedAcl, S3Caller | null, readonly S3Action[]])[] = [
    ['private', callerOf(ben), []],
    ['public-read', null, LIST],
    ['public-read-write', null, ['s3:DeleteObject', ...LIST, 's3:PutObject']],
    ['authenticated-read', null, []],
    ['authenticated-read', callerOf(ben), LIST],
  ]
  for (const [canned, caller, actions] of cases) {
    const acl = aclOfCanned(canned, ana, ana)
    assert.deepEqual(allowed(caller, bucketOf(acl ? { acl } : {})), actions, canned)
  }
  const grants = [
    { grantee: { kind: 'account', canonicalId: canonicalIdOf(ben) }, permission: 'FULL_CONTROL' },
  ] as const
  assert.deepEqual(allowed(callerOf(ben), bucketOf({ acl: { grants } })), [
    's3:DeleteObject',
    's3:GetBucketAcl',
    ...LIST,
    's3:PutBucketAcl',
    's3:PutObject',
  ])
  assert.deepEqual(allowed(callerOf(eve), bucketOf({ acl: { grants } })), [])
})

const READ: readonly S3Action[] = ['s3:GetObject', 's3:GetObjectVersion']
const READ_ACP: readonly S3Action[] = ['s3:GetObjectAcl', 's3:GetObjectVersionAcl']
const WRITE_ACP: readonly S3Action[] = ['s3:PutObjectAcl', 's3:PutObjectVersionAcl']

test('what the ACL of an object gives, also to an account that wrote it into another’s bucket', () => {
  const version = (canned: CannedAcl, accountId = ana) => ({
    version: { accountId, acl: aclOfCanned(canned, accountId, ana), tags: {} },
  })
  assert.deepEqual(allowed(null, bucketOf(), version('private')), [])
  assert.deepEqual(allowed(null, bucketOf(), version('public-read')), READ)
  assert.deepEqual(allowed(null, bucketOf(), version('authenticated-read')), [])
  assert.deepEqual(allowed(callerOf(eve), bucketOf(), version('authenticated-read')), READ)
  const own = [
    's3:AbortMultipartUpload',
    ...READ.slice(0, 1),
    READ_ACP[0],
    READ[1],
    READ_ACP[1],
    's3:ListMultipartUploadParts',
    ...WRITE_ACP,
  ]
  assert.deepEqual(allowed(callerOf(ben), bucketOf(), version('private', ben)), own)
  assert.deepEqual(allowed(callerOf(eve), bucketOf(), version('private', ben)), [])
  assert.deepEqual(allowed(callerOf(ana), bucketOf(), version('private', ben)), S3_ACTIONS)
})

test('without ACLs there are none', () => {
  const settings: BucketSettings = {
    ownership: 'BucketOwnerEnforced',
    acl: aclOfCanned('public-read-write', ana, ana) as Acl,
  }
  const version = { accountId: ben, acl: aclOfCanned('public-read', ben, ana), tags: {} }
  assert.deepEqual(allowed(null, bucketOf(settings), { version }), [])
  assert.deepEqual(allowed(callerOf(ben), bucketOf(settings), { version }), [])
})

test('public ACLs can be ignored', () => {
  const publicAccessBlock = {
    blockPublicAcls: false,
    ignorePublicAcls: true,
    blockPublicPolicy: false,
    restrictPublicBuckets: false,
  }
  const bucket = bucketOf({ publicAccessBlock, acl: aclOfCanned('public-read-write', ana, ana) as Acl })
  const version = { accountId: ana, acl: aclOfCanned('public-read', ana, ana), tags: {} }
  assert.deepEqual(allowed(null, bucket, { version }), [])
})

test('conditions see the request, the tags of the version and those that come', () => {
  const may = (Condition: object, ctx: S3Ctx, more: Partial<Wish> = {}) =>
    isAllowed(ctx, wishOf('s3:GetObject', bucketOf({ policy: policyOf({ Condition }) }), more))
  const equals = (key: string, value: string) => ({ StringEquals: { [key]: value } })
  const version = { accountId: ana, acl: null, tags: { Team: 'red' } }
  assert.equal(may({ IpAddress: { 'aws:SourceIp': '192.0.2.0/24' } }, ctxOf(null)), true)
  assert.equal(may({ IpAddress: { 'aws:SourceIp': '192.0.2.0/24' } }, ctxOf(null, { ip: '::ffff:192.0.2.77' })), true)
  assert.equal(may({ IpAddress: { 'aws:SourceIp': '192.0.2.0/24' } }, ctxOf(null, { ip: '198.51.100.1' })), false)
  assert.equal(may({ Bool: { 'aws:SecureTransport': 'true' } }, ctxOf(null)), false)
  assert.equal(may({ DateGreaterThan: { 'aws:CurrentTime': '2020-01-01T00:00:00Z' } }, ctxOf(null)), true)
  assert.equal(may(equals('aws:Referer', 'https://a/'), ctxOf(null, { referer: 'https://a/' })), true)
  assert.equal(may(equals('aws:Referer', 'https://a/'), ctxOf(null, {}, { referer: 'https://a/' })), false)
  assert.equal(may(equals('s3:prefix', ''), ctxOf(null, {}, { prefix: '' })), true)
  assert.equal(may(equals('s3:ExistingObjectTag/Team', 'red'), ctxOf(null), { version }), true)
  assert.equal(may(equals('s3:ExistingObjectTag/Team', 'red'), ctxOf(null)), false)
  assert.equal(may(equals('s3:RequestObjectTag/Team', 'red'), ctxOf(null), { requestTags: { Team: 'red' } }), true)
  assert.equal(may(equals('s3:RequestObjectTag/constructor', 'red'), ctxOf(null), { requestTags: {} }), false)
  assert.equal(may(equals('aws:PrincipalAccount', '000000010002'), ctxOf(callerOf(ben))), true)
  const source = { 'x-amz-copy-source': '/other/a%2Fb?versionId=1' }
  assert.equal(may(equals('s3:x-amz-copy-source', 'other/a/b'), ctxOf(null, source)), true)
  assert.equal(may(equals('s3:x-amz-acl', 'private'), ctxOf(null, { 'x-amz-acl': 'private' })), true)
})

test('who cannot list does not learn which keys there are', () => {
  const open = bucketOf({ policy: policyOf({ Action: 's3:GetObject' }) })
  assert.equal(missingKey(ctxOf(null), open).s3Code, 'AccessDenied')
  assert.equal(missingKey(ctxOf(callerOf(ana)), open).s3Code, 'NoSuchKey')
  assert.equal(
    missingKey(ctxOf(null), bucketOf({ acl: aclOfCanned('public-read', ana, ana) as Acl })).s3Code,
    'NoSuchKey',
  )
})

test('governance is bypassed by those who ask for it and may', () => {
  const asking = { 'x-amz-bypass-governance-retention': 'True' }
  const wish = { bucket: bucketOf(), key: 'a' }
  assert.equal(bypassesGovernance(ctxOf(callerOf(ana), asking), wish), true)
  assert.equal(bypassesGovernance(ctxOf(callerOf(ana)), wish), false)
  assert.equal(bypassesGovernance(ctxOf(callerOf(ana, { isReadOnly: true }), asking), wish), false)
  assert.equal(bypassesGovernance(ctxOf(callerOf(ben), asking), wish), false)
})
