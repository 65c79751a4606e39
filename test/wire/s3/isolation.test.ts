/**
 * Who may do what: every operation of the S3 server, asked for by everybody who should not, and by the owner. An
 * operation that has no line in the table fails the test, so that none is ever added without an answer to that.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { operations } from '../../../src/dialects/s3/operations.ts'
import { ALGORITHM, amzTime, scopeText, sign, signingKey } from '../../../src/lib/sigv4.ts'
import { signHeaders } from '../../../src/lib/sigv4-sign.ts'
import type { AccountId } from '../../../src/model/ids.ts'
import * as accessKeys from '../../../src/services/access-keys.ts'
import * as keyStore from '../../../src/store/access-keys.ts'
import * as accounts from '../../../src/store/accounts.ts'
import { type Cloud, startCloud } from '../../cloud.ts'

interface Line {
  /** `METHOD /path?query`; `{upload}` and `{version}` are filled in. */
  request: string
  headers?: Record<string, string>
  body?: string
  /** Signed by a policy inside the form, not by headers. */
  isForm?: true
  /** What the owner gets: a status, and the code of an error that only comes after the question who asks. */
  owner: string
  /** Of those who are not as everybody would expect: strangers 403, a read-only key only what reads. */
  others?: Partial<Record<Stranger, string>>
}
type Stranger =
  | 'anonymous'
  | 'other account'
  | 'read-only key'
  | 'key of another bucket'
  | 'revoked key'
  | 'suspended account'

const REGION = 'eu-north-1'
const DENIED = '403 AccessDenied'
const STRANGERS: Record<Stranger, string> = {
  anonymous: DENIED,
  'other account': DENIED,
  'read-only key': DENIED,
  'key of another bucket': DENIED,
  'revoked key': '403 InvalidAccessKeyId',
  'suspended account': DENIED,
}

const xml = (root: string, inside: string) =>
  `<${root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${inside}</${root}>`
const policy = JSON.stringify({
  Version: '2012-10-17',
  Statement: [
    {
      Effect: 'Deny',
      Principal: '*',
      Action: 's3:GetObject',
      Resource: 'arn:aws:s3:::mine/never',
      Condition: { StringEquals: { 'aws:UserAgent': 'nobody' } },
    },
  ],
})
const tagging = xml('Tagging', '<TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet>')
const md5Of = (text: string) => createHash('md5').update(text).digest('hex')

/** An ordinary key may not make a bucket that is there; whoever it is, it is told whose it is. */
const taken = '409 BucketAlreadyExists'

const LINES: Record<string, Line> = {
  ListBuckets: {
    request: 'GET /',
    owner: '200',
    others: { 'other account': '200', 'key of another bucket': '200' },
  },
  CreateBucket: {
    request: 'PUT /mine',
    owner: '409 BucketAlreadyOwnedByYou',
    others: { 'other account': taken },
  },
  HeadBucket: { request: 'HEAD /mine', owner: '200' },
  GetBucketLocation: { request: 'GET /mine?location', owner: '200' },
  ListObjects: { request: 'GET /mine', owner: '200' },
  ListObjectsV2: { request: 'GET /mine?list-type=2', owner: '200' },
  ListObjectVersions: { request: 'GET /mine?versions', owner: '200' },
  ListMultipartUploads: { request: 'GET /mine?uploads', owner: '200' },

  GetBucketPolicy: { request: 'GET /mine?policy', owner: '404 NoSuchBucketPolicy' },
  PutBucketPolicy: { request: 'PUT /mine?policy', body: policy, owner: '204' },
  GetBucketPolicyStatus: {
    request: 'GET /mine?policyStatus',
    owner: '200',
    others: { 'read-only key': '404 NoSuchBucketPolicy' },
  },
  DeleteBucketPolicy: { request: 'DELETE /mine?policy', owner: '204' },
  GetBucketAcl: { request: 'GET /mine?acl', owner: '200' },
  PutBucketAcl: { request: 'PUT /mine?acl', headers: { 'x-amz-acl': 'private' }, owner: '200' },
  GetBucketCors: { request: 'GET /mine?cors', owner: '404 NoSuchCORSConfiguration' },
  PutBucketCors: {
    request: 'PUT /mine?cors',
    body: xml(
      'CORSConfiguration',
      '<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>',
    ),
    owner: '200',
  },
  DeleteBucketCors: { request: 'DELETE /mine?cors', owner: '204' },
  GetBucketTagging: { request: 'GET /mine?tagging', owner: '404 NoSuchTagSet' },
  PutBucketTagging: { request: 'PUT /mine?tagging', body: tagging, owner: '204' },
  DeleteBucketTagging: { request: 'DELETE /mine?tagging', owner: '204' },
  GetBucketLifecycleConfiguration: { request: 'GET /mine?lifecycle', owner: '404 NoSuchLifecycleConfiguration' },
  PutBucketLifecycleConfiguration: {
    request: 'PUT /mine?lifecycle',
    body: xml(
      'LifecycleConfiguration',
      '<Rule><Filter><Prefix>x</Prefix></Filter><Status>Enabled</Status><Expiration><Days>9</Days></Expiration></Rule>',
    ),
    owner: '200',
  },
  DeleteBucketLifecycle: { request: 'DELETE /mine?lifecycle', owner: '204' },
  GetPublicAccessBlock: { request: 'GET /mine?publicAccessBlock', owner: '404 NoSuchPublicAccessBlockConfiguration' },
  PutPublicAccessBlock: {
    request: 'PUT /mine?publicAccessBlock',
    body: xml('PublicAccessBlockConfiguration', '<BlockPublicAcls>false</BlockPublicAcls>'),
    owner: '200',
  },
  DeletePublicAccessBlock: { request: 'DELETE /mine?publicAccessBlock', owner: '204' },
  GetBucketOwnershipControls: { request: 'GET /mine?ownershipControls', owner: '404 OwnershipControlsNotFoundError' },
  PutBucketOwnershipControls: {
    request: 'PUT /mine?ownershipControls',
    body: xml('OwnershipControls', '<Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule>'),
    owner: '200',
  },
  DeleteBucketOwnershipControls: { request: 'DELETE /mine?ownershipControls', owner: '204' },
  GetBucketVersioning: { request: 'GET /mine?versioning', owner: '200' },
  PutBucketVersioning: {
    request: 'PUT /mine?versioning',
    body: xml('VersioningConfiguration', '<Status>Enabled</Status>'),
    owner: '200',
  },
  GetBucketEncryption: {
    request: 'GET /mine?encryption',
    owner: '404 ServerSideEncryptionConfigurationNotFoundError',
  },
  PutBucketEncryption: {
    request: 'PUT /mine?encryption',
    body: xml(
      'ServerSideEncryptionConfiguration',
      '<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>',
    ),
    owner: '200',
  },
  DeleteBucketEncryption: { request: 'DELETE /mine?encryption', owner: '204' },
  GetObjectLockConfiguration: { request: 'GET /mine?object-lock', owner: '200' },
  PutObjectLockConfiguration: {
    request: 'PUT /mine?object-lock',
    body: xml('ObjectLockConfiguration', '<ObjectLockEnabled>Enabled</ObjectLockEnabled>'),
    owner: '200',
  },
  GetBucketWebsite: { request: 'GET /mine?website', owner: '404 NoSuchWebsiteConfiguration' },
  PutBucketWebsite: {
    request: 'PUT /mine?website',
    body: xml('WebsiteConfiguration', '<IndexDocument><Suffix>index.html</Suffix></IndexDocument>'),
    owner: '200',
  },
  DeleteBucketWebsite: { request: 'DELETE /mine?website', owner: '204' },

  GetBucketRequestPayment: { request: 'GET /mine?requestPayment', owner: '200' },
  PutBucketRequestPayment: {
    request: 'PUT /mine?requestPayment',
    body: xml('RequestPaymentConfiguration', '<Payer>BucketOwner</Payer>'),
    owner: '200',
  },
  GetBucketLogging: { request: 'GET /mine?logging', owner: '200' },
  PutBucketLogging: { request: 'PUT /mine?logging', body: xml('BucketLoggingStatus', ''), owner: '200' },
  GetBucketAccelerateConfiguration: { request: 'GET /mine?accelerate', owner: '200' },
  PutBucketAccelerateConfiguration: {
    request: 'PUT /mine?accelerate',
    body: xml('AccelerateConfiguration', '<Status>Suspended</Status>'),
    owner: '200',
  },
  GetBucketNotificationConfiguration: { request: 'GET /mine?notification', owner: '200' },
  PutBucketNotificationConfiguration: {
    request: 'PUT /mine?notification',
    body: xml('NotificationConfiguration', ''),
    owner: '200',
  },
  GetBucketReplication: { request: 'GET /mine?replication', owner: '404 ReplicationConfigurationNotFoundError' },
  PutBucketReplication: { request: 'PUT /mine?replication', owner: '501 NotImplemented' },
  DeleteBucketReplication: { request: 'DELETE /mine?replication', owner: '204' },
  ...Object.fromEntries(
    [
      ['Analytics', 'analytics'],
      ['Inventory', 'inventory'],
      ['Metrics', 'metrics'],
      ['IntelligentTiering', 'intelligent-tiering'],
    ].flatMap(([name, query]): [string, Line][] => [
      [`GetBucket${name}Configuration`, { request: `GET /mine?${query}`, owner: '200' }],
      [`PutBucket${name}Configuration`, { request: `PUT /mine?${query}&id=x`, owner: '501 NotImplemented' }],
      [`DeleteBucket${name}Configuration`, { request: `DELETE /mine?${query}&id=x`, owner: '404 NoSuchConfiguration' }],
    ]),
  ),
  CreateSession: {
    request: 'GET /mine?session',
    owner: '501 NotImplemented',
    others: { 'read-only key': '501 NotImplemented' },
  },
  GetObjectTorrent: { request: 'GET /mine/k?torrent', owner: '501 NotImplemented' },
  SelectObjectContent: {
    request: 'POST /mine/k?select&select-type=2',
    owner: '501 NotImplemented',
    others: { 'read-only key': '501 NotImplemented' },
  },
  RestoreObject: { request: 'POST /mine/k?restore', owner: '501 NotImplemented' },
  RenameObject: { request: 'PUT /mine/k?renameObject', owner: '501 NotImplemented' },

  GetObject: { request: 'GET /mine/k', owner: '200' },
  HeadObject: { request: 'HEAD /mine/k', owner: '200' },
  GetObjectAttributes: {
    request: 'GET /mine/k?attributes',
    headers: { 'x-amz-object-attributes': 'ETag' },
    owner: '200',
  },
  GetObjectAcl: { request: 'GET /mine/k?acl', owner: '200' },
  PutObjectAcl: { request: 'PUT /mine/k?acl', headers: { 'x-amz-acl': 'private' }, owner: '200' },
  GetObjectTagging: { request: 'GET /mine/k?tagging', owner: '200' },
  PutObjectTagging: { request: 'PUT /mine/k?tagging', body: tagging, owner: '200' },
  DeleteObjectTagging: { request: 'DELETE /mine/k?tagging', owner: '204' },
  GetObjectRetention: { request: 'GET /mine/k?retention', owner: '404 NoSuchObjectLockConfiguration' },
  PutObjectRetention: {
    request: 'PUT /mine/k?retention',
    body: xml('Retention', '<Mode>GOVERNANCE</Mode><RetainUntilDate>2090-01-01T00:00:00Z</RetainUntilDate>'),
    owner: '200',
  },
  GetObjectLegalHold: { request: 'GET /mine/k?legal-hold', owner: '200' },
  PutObjectLegalHold: {
    request: 'PUT /mine/k?legal-hold',
    body: xml('LegalHold', '<Status>OFF</Status>'),
    owner: '200',
  },
  PutObject: { request: 'PUT /mine/new', body: 'hello', owner: '200' },
  CopyObject: { request: 'PUT /mine/copy', headers: { 'x-amz-copy-source': 'mine/k' }, owner: '200' },
  PostObject: { request: 'POST /mine', isForm: true, owner: '204' },
  CreateMultipartUpload: { request: 'POST /mine/up?uploads', owner: '200' },
  UploadPart: { request: 'PUT /mine/up?partNumber=1&uploadId={upload}', body: 'part', owner: '200' },
  UploadPartCopy: {
    request: 'PUT /mine/up?partNumber=2&uploadId={upload}',
    headers: { 'x-amz-copy-source': 'mine/k' },
    owner: '200',
  },
  ListParts: { request: 'GET /mine/up?uploadId={upload}', owner: '200' },
  CompleteMultipartUpload: {
    request: 'POST /mine/up?uploadId={upload}',
    body: xml('CompleteMultipartUpload', `<Part><PartNumber>1</PartNumber><ETag>${md5Of('part')}</ETag></Part>`),
    owner: '200',
  },
  AbortMultipartUpload: { request: 'DELETE /mine/up?uploadId={upload}', owner: '404 NoSuchUpload' },
  DeleteObjects: {
    request: 'POST /mine?delete',
    body: xml('Delete', '<Object><Key>k</Key></Object>'),
    owner: '200',
    // Each key is judged for itself.
    others: {
      anonymous: '200 AccessDenied',
      'other account': '200 AccessDenied',
      'read-only key': '200 AccessDenied',
      'key of another bucket': '200 AccessDenied',
    },
  },
  DeleteObject: { request: 'DELETE /mine/k', owner: '204' },
  DeleteBucket: { request: 'DELETE /mine', owner: '409 BucketNotEmpty' },
}

test('every operation has its line, and every line its operation', () => {
  assert.deepEqual(Object.keys(LINES).sort(), operations.map(({ name }) => name).sort())
})

interface Keys {
  accessKeyId: string
  secretAccessKey: string
}

async function makeAccount(cloud: Cloud, name: string): Promise<AccountId> {
  const account = await accounts.insert(cloud.db, {
    email: `${name}@example.com`,
    name,
    isOperator: false,
    creditMinor: null,
    consolePasswordHash: '',
  })
  return account.id
}

async function send(cloud: Cloud, line: Line, keys: Keys | null, fill: Record<string, string> = {}): Promise<string> {
  const request = line.request.replace(/\{(\w+)\}/g, (_, name: string) => fill[name] ?? name)
  const [method = '', target = ''] = request.split(' ')
  const { host, pathname, searchParams } = new URL(cloud.s3Url + target)
  if (line.isForm) return answerOf(await fetch(cloud.s3Url + target, { method, body: form(keys) }))
  const bodyText = method === 'GET' || method === 'HEAD' || method === 'DELETE' ? undefined : (line.body ?? '')
  const digest = createHash('sha256')
    .update(bodyText ?? '')
    .digest('hex')
  const headers = keys
    ? signHeaders({ method, host, path: pathname, query: [...searchParams], headers: line.headers ?? {} }, digest, {
        ...keys,
        region: REGION,
      })
    : { ...line.headers }
  const { host: _, ...sent } = headers
  const response = await fetch(cloud.s3Url + target, {
    method,
    headers: sent,
    ...(bodyText !== undefined && { body: bodyText }),
  })
  return answerOf(response)
}

async function answerOf(response: Response): Promise<string> {
  const code = /<Code>(\w+)<\/Code>/.exec(await response.text())?.[1]
  return code === undefined ? String(response.status) : `${response.status} ${code}`
}

/** A page's upload of a file; without keys nobody has signed that he may. */
function form(keys: Keys | null): FormData {
  const fields = new FormData()
  fields.set('key', 'posted')
  if (keys) {
    const date = amzTime(new Date())
    const scope = { date: date.slice(0, 8), region: REGION, service: 's3' }
    const credential = `${keys.accessKeyId}/${scopeText(scope)}`
    const own = { 'x-amz-algorithm': ALGORITHM, 'x-amz-credential': credential, 'x-amz-date': date }
    const conditions = [
      { bucket: 'mine' },
      { key: 'posted' },
      ...Object.entries(own).map(([name, value]) => ({ [name]: value })),
    ]
    const text = JSON.stringify({ expiration: new Date(Date.now() + 600_000).toISOString(), conditions })
    const policy = Buffer.from(text).toString('base64')
    for (const [name, value] of Object.entries({ ...own, policy })) fields.set(name, value)
    fields.set('x-amz-signature', sign(signingKey(keys.secretAccessKey, scope), policy))
  }
  fields.set('file', new Blob(['hello']), 'file.txt')
  return fields
}

/** HEAD has no body that could name a code. */
const expected = (line: Line, answer: string) =>
  line.request.startsWith('HEAD') ? (answer.split(' ')[0] as string) : answer

test('nobody does what he may not, and the owner does everything', async (t) => {
  const cloud = await startCloud(t, { withoutWorker: true })
  const { db, context } = cloud
  const master = context.settings.masterKey
  const owner = await makeAccount(cloud, 'owner')
  const [other, suspended] = [await makeAccount(cloud, 'other'), await makeAccount(cloud, 'suspended')]
  const key = (accountId: AccountId, limits: { isReadOnly?: boolean; buckets?: string[] } = {}) =>
    accessKeys.make(db, master, accountId, { name: 'test', ...limits })
  const ownerKey = await key(owner)
  const callers: Record<Stranger, Keys | null> = {
    anonymous: null,
    'other account': await key(other),
    'read-only key': await key(owner, { isReadOnly: true }),
    'key of another bucket': await key(owner, { buckets: ['elsewhere'] }),
    'revoked key': await key(owner),
    'suspended account': await key(suspended),
  }
  const revoked = callers['revoked key'] as Keys
  await keyStore.revoke(db, { accountId: owner }, revoked.accessKeyId)
  await db.updateTable('account').set({ suspended_reason: 'unpaid' }).where('id', '=', suspended).execute()

  // What the others are after; the bucket makes versions and locks.
  const make = { 'x-amz-bucket-object-lock-enabled': 'true' }
  assert.equal(await send(cloud, { request: 'PUT /mine', headers: make, owner: '' }, ownerKey), '200')
  assert.equal(await send(cloud, { request: 'PUT /elsewhere', owner: '' }, ownerKey), '200')
  assert.equal(await send(cloud, { request: 'PUT /mine/k', body: 'secret', owner: '' }, ownerKey), '200')
  assert.equal(await send(cloud, { request: 'POST /mine/up?uploads', owner: '' }, ownerKey), '200')
  const { id: upload } = await db.selectFrom('multipart_upload').select('id').executeTakeFirstOrThrow()

  const state = async () => ({
    buckets: await db.selectFrom('bucket').selectAll().orderBy('number').execute(),
    versions: await db.selectFrom('object_version').selectAll().orderBy('seq').execute(),
    uploads: await db.selectFrom('multipart_upload').selectAll().execute(),
    parts: await db.selectFrom('upload_part').selectAll().execute(),
  })
  const before = await state()
  const wrong: string[] = []
  for (const [name, line] of Object.entries(LINES)) {
    const isRead = /^(?:Get|Head|List)/.test(name)
    for (const stranger of Object.keys(STRANGERS) as Stranger[]) {
      const usual = stranger === 'read-only key' && isRead ? line.owner : STRANGERS[stranger]
      const due = expected(line, line.others?.[stranger] ?? usual)
      const answer = await send(cloud, line, callers[stranger], { upload })
      if (answer !== due) wrong.push(`${name} by ${stranger}: ${answer}, not ${due}`)
    }
  }
  assert.deepEqual(wrong, [])
  assert.deepEqual(await state(), before)

  const missed: string[] = []
  for (const [name, line] of Object.entries(LINES)) {
    const answer = await send(cloud, line, ownerKey, { upload })
    if (answer !== expected(line, line.owner)) missed.push(`${name} by the owner: ${answer}, not ${line.owner}`)
  }
  assert.deepEqual(missed, [])
})
