/** What an owner gives to others by policies and ACLs, and takes away: two accounts, and whoever has no key. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectAclCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutBucketAclCommand,
  PutBucketOwnershipControlsCommand,
  PutBucketPolicyCommand,
  PutObjectAclCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  PutPublicAccessBlockCommand,
  type S3Client,
  type S3ServiceException,
} from '@aws-sdk/client-s3'
import { canonicalIdOf } from '../../../src/model/canonical-id.ts'
import type { AccountId } from '../../../src/model/ids.ts'
import * as accessKeys from '../../../src/services/access-keys.ts'
import * as accounts from '../../../src/store/accounts.ts'
import { execute } from '../../../src/store/db.ts'
import { type Cloud, startCloud } from '../../cloud.ts'
import { s3ClientOf } from '../../s3-client.ts'

interface Person {
  id: AccountId
  number: number
  canonicalId: string
  s3: S3Client
}

let cloud: Cloud
let ana: Person
let ben: Person
const cleanups: (() => Promise<void>)[] = []

before(async () => {
  cloud = await startCloud({ after: (fn) => void cleanups.push(fn) }, { withoutWorker: true })
  ana = await person('ana')
  ben = await person('ben')
})
test.after(async () => {
  ana.s3.destroy()
  ben.s3.destroy()
  for (const clean of cleanups) await clean()
})

async function person(name: string): Promise<Person> {
  const { id, number } = await accounts.insert(cloud.db, {
    email: `${name}@example.com`,
    name,
    isOperator: false,
    creditMinor: null,
    consolePasswordHash: '',
  })
  const credentials = await accessKeys.make(cloud.db, cloud.context.settings.masterKey, id, { name })
  const s3 = s3ClientOf(cloud, credentials)
  return { id, number, canonicalId: canonicalIdOf(id), s3 }
}

let made = 0
async function bucket(): Promise<string> {
  const Bucket = `shared-${++made}`
  await ana.s3.send(new CreateBucketCommand({ Bucket }))
  return Bucket
}
const put = (who: Person, Bucket: string, Key: string, more: object = {}) =>
  who.s3.send(new PutObjectCommand({ Bucket, Key, Body: Key, ...more }))
const get = async (who: Person, Bucket: string, Key: string) =>
  (await who.s3.send(new GetObjectCommand({ Bucket, Key }))).Body?.transformToString()
const anybody = async (Bucket: string, path = '') => (await fetch(`${cloud.s3Url}/${Bucket}${path}`)).status
const refused = (work: Promise<unknown>, code = 'AccessDenied') =>
  assert.rejects(work, (error: S3ServiceException) => {
    assert.equal(error.name, code)
    return true
  })
const setPolicy = (Bucket: string, ...statements: object[]) =>
  ana.s3.send(
    new PutBucketPolicyCommand({
      Bucket,
      Policy: JSON.stringify({
        Version: '2012-10-17',
        Statement: statements.map((parts) => ({
          Effect: 'Allow',
          Resource: [`arn:aws:s3:::${Bucket}`, `arn:aws:s3:::${Bucket}/*`],
          ...parts,
        })),
      }),
    }),
  )

test('a policy names an account in every way there is, and it takes effect at once', async () => {
  const Bucket = await bucket()
  await put(ana, Bucket, 'k')
  await refused(get(ben, Bucket, 'k'))
  for (const Principal of [
    { AWS: ben.id },
    { AWS: `arn:aws:iam::${ben.number}:root` },
    { AWS: [ben.canonicalId] },
    { CanonicalUser: ben.canonicalId },
  ]) {
    await setPolicy(Bucket, { Principal, Action: 's3:GetObject' })
    assert.equal(await get(ben, Bucket, 'k'), 'k')
    assert.equal(await anybody(Bucket, '/k'), 403)
    await refused(ben.s3.send(new ListObjectsV2Command({ Bucket })))
    await setPolicy(Bucket, { Principal: { AWS: ana.id }, Action: 's3:GetObject' })
    await refused(get(ben, Bucket, 'k'))
  }
})

test('public files are read by everybody, listed by nobody, and who cannot list learns of no key', async () => {
  const Bucket = await bucket()
  await put(ana, Bucket, 'open/a')
  await put(ana, Bucket, 'closed/a')
  await setPolicy(Bucket, { Principal: '*', Action: 's3:GetObject', Resource: `arn:aws:s3:::${Bucket}/open/*` })
  assert.equal(await anybody(Bucket, '/open/a'), 200)
  assert.equal(await anybody(Bucket, '/closed/a'), 403)
  assert.equal(await anybody(Bucket, '/open/none'), 403)
  assert.equal(await anybody(Bucket), 403)
  await refused(get(ana, Bucket, 'open/none'), 'NoSuchKey')
  const PublicAccessBlockConfiguration = { RestrictPublicBuckets: true }
  await ana.s3.send(new PutPublicAccessBlockCommand({ Bucket, PublicAccessBlockConfiguration }))
  assert.equal(await anybody(Bucket, '/open/a'), 403)
  await refused(get(ben, Bucket, 'open/a'))
  assert.equal(await get(ana, Bucket, 'open/a'), 'open/a')
})

test('conditions: prefixes of a listing, tags of an object, and a Deny that binds the owner', async () => {
  const Bucket = await bucket()
  await put(ana, Bucket, 'home/ben/a', { Tagging: 'share=yes' })
  await put(ana, Bucket, 'home/ana/a')
  await setPolicy(
    Bucket,
    { Principal: { AWS: ben.id }, Action: 's3:ListBucket', Condition: { StringLike: { 's3:prefix': 'home/ben/*' } } },
    {
      Principal: { AWS: ben.id },
      Action: 's3:GetObject',
      Condition: { StringEquals: { 's3:ExistingObjectTag/share': 'yes' } },
    },
    { Effect: 'Deny', Principal: '*', Action: 's3:DeleteObject' },
  )
  const list = (Prefix?: string) => ben.s3.send(new ListObjectsV2Command({ Bucket, Prefix }))
  assert.equal((await list('home/ben/')).KeyCount, 1)
  await refused(list('home/ana/'))
  await refused(list())
  assert.equal(await get(ben, Bucket, 'home/ben/a'), 'home/ben/a')
  await refused(get(ben, Bucket, 'home/ana/a'))
  const Tagging = { TagSet: [{ Key: 'share', Value: 'no' }] }
  await ana.s3.send(new PutObjectTaggingCommand({ Bucket, Key: 'home/ben/a', Tagging }))
  await refused(get(ben, Bucket, 'home/ben/a'))
  await refused(ana.s3.send(new DeleteObjectCommand({ Bucket, Key: 'home/ben/a' })))
})

test('ACLs: of a bucket that others write into, and of what they write', async () => {
  const Bucket = await bucket()
  await ana.s3.send(new PutBucketAclCommand({ Bucket, GrantWrite: `id="${ben.canonicalId}"` }))
  await put(ben, Bucket, 'from-ben')
  await refused(ben.s3.send(new ListObjectsV2Command({ Bucket })))
  // It is his, and the bucket's owner may all the same.
  assert.equal(await get(ben, Bucket, 'from-ben'), 'from-ben')
  assert.equal(await get(ana, Bucket, 'from-ben'), 'from-ben')
  const acl = await ben.s3.send(new GetObjectAclCommand({ Bucket, Key: 'from-ben' }))
  assert.equal(acl.Owner?.ID, ben.canonicalId)
  await ben.s3.send(new PutObjectAclCommand({ Bucket, Key: 'from-ben', ACL: 'public-read' }))
  assert.equal(await anybody(Bucket, '/from-ben'), 200)
  // Whoever may only write does not open what he writes to the world.
  await refused(put(ben, Bucket, 'open', { ACL: 'public-read' }))
  await put(ana, Bucket, 'from-ana')
  await refused(get(ben, Bucket, 'from-ana'))

  const PublicAccessBlockConfiguration = { IgnorePublicAcls: true }
  await ana.s3.send(new PutPublicAccessBlockCommand({ Bucket, PublicAccessBlockConfiguration }))
  assert.equal(await anybody(Bucket, '/from-ben'), 403)

  await ana.s3.send(new PutBucketAclCommand({ Bucket, ACL: 'private' }))
  const OwnershipControls = { Rules: [{ ObjectOwnership: 'BucketOwnerEnforced' as const }] }
  await ana.s3.send(new PutBucketOwnershipControlsCommand({ Bucket, OwnershipControls }))
  await refused(get(ben, Bucket, 'from-ben'))
  await refused(put(ana, Bucket, 'x', { ACL: 'public-read' }), 'AccessControlListNotSupported')
  await put(ana, Bucket, 'x', { ACL: 'bucket-owner-full-control' })
})

test('a copy takes reading at its source and writing at its end', async () => {
  const [source, target] = [await bucket(), await bucket()]
  await put(ana, source, 'k')
  await ana.s3.send(new PutBucketAclCommand({ Bucket: target, GrantWrite: `id="${ben.canonicalId}"` }))
  const copy = (who: Person) =>
    who.s3.send(new CopyObjectCommand({ Bucket: target, Key: 'copied', CopySource: `${source}/k` }))
  await refused(copy(ben))
  await setPolicy(source, { Principal: { AWS: ben.id }, Action: 's3:GetObject' })
  await copy(ben)
  assert.equal(await get(ben, target, 'copied'), 'k')
  await setPolicy(target, {
    Effect: 'Deny',
    Principal: '*',
    Action: 's3:PutObject',
    Condition: { StringLike: { 's3:x-amz-copy-source': `${source}/*` } },
  })
  await refused(copy(ana))
})

test('a policy sees the fields of a form, not the headers around it', async () => {
  const Bucket = await bucket()
  const Condition = { StringEquals: { 's3:x-amz-storage-class': 'GLACIER' } }
  await setPolicy(
    Bucket,
    { Principal: '*', Action: 's3:PutObject' },
    { Effect: 'Deny', Principal: '*', Action: 's3:PutObject', Condition },
  )
  const post = async (field: string, header: string) => {
    const form = new FormData()
    form.set('key', 'posted')
    form.set('x-amz-storage-class', field)
    form.set('file', new Blob(['hello']))
    const headers = { 'x-amz-storage-class': header }
    return (await fetch(`${cloud.s3Url}/${Bucket}`, { method: 'POST', headers, body: form })).status
  }
  assert.equal(await post('STANDARD_IA', 'GLACIER'), 204)
  assert.equal(await post('GLACIER', 'STANDARD_IA'), 403)
})

test('of a suspended account nothing is served, to nobody, and its key opens nothing elsewhere', async () => {
  const Bucket = await bucket()
  await put(ana, Bucket, 'k', { ACL: 'public-read' })
  const Everybody = 'ben-gives'
  await ben.s3.send(new CreateBucketCommand({ Bucket: Everybody }))
  await put(ben, Everybody, 'k', { ACL: 'public-read' })
  const suspend = (reason: string | null) =>
    execute(cloud.db, `UPDATE account SET suspended_reason = ${reason ? `'${reason}'` : 'NULL'} WHERE id = '${ana.id}'`)
  assert.equal(await anybody(Bucket, '/k'), 200)
  assert.equal(await get(ana, Everybody, 'k'), 'k')
  await suspend('unpaid')
  try {
    assert.equal(await anybody(Bucket, '/k'), 403)
    await refused(get(ben, Bucket, 'k'))
    await refused(put(ana, Bucket, 'other'))
    await refused(get(ana, Everybody, 'k'))
  } finally {
    await suspend(null)
  }
  assert.equal(await anybody(Bucket, '/k'), 200)
  assert.equal(await get(ana, Everybody, 'k'), 'k')
})
