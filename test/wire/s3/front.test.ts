/** The S3 server's front: who is let in, and in which words the others are refused. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadBucketCommand,
  ListBucketsCommand,
  PutObjectCommand,
  type S3ServiceException,
} from '@aws-sdk/client-s3'
import { UNSIGNED_PAYLOAD } from '../../../src/lib/sigv4.ts'
import { signHeaders } from '../../../src/lib/sigv4-sign.ts'
import * as hours from '../../../src/store/bucket-hours.ts'
import * as buckets from '../../../src/store/buckets.ts'
import { type Cloud, startCloud } from '../../cloud.ts'
import { eventually } from '../../eventually.ts'
import { ownerKeys, s3ClientOf } from '../../s3-client.ts'

const client = (cloud: Cloud, more: { region?: string; secret?: string; id?: string } = {}) => {
  const { accessKeyId, secretAccessKey } = ownerKeys(cloud)
  return s3ClientOf(
    cloud,
    { accessKeyId: more.id ?? accessKeyId, secretAccessKey: more.secret ?? secretAccessKey },
    more.region,
  )
}

test('the SDK lists buckets; strangers are refused in the words of S3', async (t) => {
  const cloud = await startCloud(t, { withoutWorker: true })
  const answer = await client(cloud).send(new ListBucketsCommand({}))
  assert.deepEqual(answer.Buckets ?? [], [])
  assert.match(answer.Owner?.ID ?? '', /^[0-9a-f]{64}$/)
  assert.match(answer.$metadata.requestId ?? '', /^[0-9A-F]{16}$/)

  const refusals: [Parameters<typeof client>[1], string, number][] = [
    [{ secret: 'wrong' }, 'SignatureDoesNotMatch', 403],
    [{ id: 'HAVN0000000000000000' }, 'InvalidAccessKeyId', 403],
  ]
  for (const [more, code, status] of refusals) {
    await assert.rejects(client(cloud, more).send(new ListBucketsCommand({})), (error: S3ServiceException) => {
      assert.deepEqual([error.name, error.$metadata.httpStatusCode], [code, status])
      return true
    })
  }
  const anonymous = await fetch(`${cloud.s3Url}/`)
  assert.equal(anonymous.status, 403)
  assert.match(await anonymous.text(), /<Code>AccessDenied<\/Code>/)
  assert.ok(cloud.s3Log.some((line) => JSON.parse(line).errorCode === 'InvalidAccessKeyId'))
})

test('a client that expects another owner is refused; a region we accept is accepted', async (t) => {
  const cloud = await startCloud(t, { withoutWorker: true, env: { HAVN_S3_REGION: 'eu-north-1,us-east-1' } })
  const s3 = client(cloud)
  await s3.send(new CreateBucketCommand({ Bucket: 'owned-bucket' }))
  const { Owner } = await s3.send(new ListBucketsCommand({}))
  const head = (ExpectedBucketOwner: string) =>
    s3.send(new HeadBucketCommand({ Bucket: 'owned-bucket', ExpectedBucketOwner }))
  await head(Owner?.ID ?? '')
  await assert.rejects(head('0'.repeat(64)), (error: S3ServiceException) => error.$metadata.httpStatusCode === 403)
  await client(cloud, { region: 'us-east-1' }).send(new ListBucketsCommand({}))
  const host = new URL(cloud.s3Url).host
  const { accessKeyId, secretAccessKey } = {
    accessKeyId: cloud.credentials.s3AccessKeyId,
    secretAccessKey: cloud.credentials.s3SecretAccessKey,
  }
  const headers = signHeaders({ method: 'GET', host, path: '/' }, UNSIGNED_PAYLOAD, {
    accessKeyId,
    secretAccessKey,
    region: 'mars-1',
  })
  const { host: _, ...sendable } = headers
  const wrong = await fetch(cloud.s3Url, { headers: sendable })
  const text = await wrong.text()
  assert.equal(wrong.status, 400)
  assert.match(text, /<Code>AuthorizationHeaderMalformed<.*<Region>eu-north-1</)
  assert.equal(wrong.headers.get('x-amz-bucket-region'), 'eu-north-1', 'an answer to HEAD has no document to say it')
})

test('a revoked key is refused at once, also by a process that remembers it', async (t) => {
  const cloud = await startCloud(t, { withoutWorker: true })
  const made = await cloud.call<{ accessKeyId: string; secretAccessKey: string }>('POST', '/havn/v1/access-keys', {
    name: 'x',
  })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  const { accessKeyId, secretAccessKey } = made.body
  const s3 = client(cloud, { id: accessKeyId, secret: secretAccessKey })
  await s3.send(new ListBucketsCommand({}))
  const revoked = await cloud.call('DELETE', `/havn/v1/access-keys/${accessKeyId}`)
  assert.ok(revoked.status < 300, JSON.stringify(revoked.body))
  const began = performance.now()
  await eventually('the refusal', () =>
    s3.send(new ListBucketsCommand({})).then(
      () => false,
      (error: S3ServiceException) => error.name === 'InvalidAccessKeyId',
    ),
  )
  assert.ok(performance.now() - began < 3_000, 'the notice did not come; the memory ran out instead')
})

test('what moves through a bucket is on record', async (t) => {
  const cloud = await startCloud(t, { withoutWorker: true })
  const s3 = client(cloud)
  await s3.send(new CreateBucketCommand({ Bucket: 'moving-bucket' }))
  await s3.send(new PutObjectCommand({ Bucket: 'moving-bucket', Key: 'k', Body: 'x'.repeat(10_000) }))
  await s3
    .send(new GetObjectCommand({ Bucket: 'moving-bucket', Key: 'k' }))
    .then(({ Body }) => Body?.transformToString())
  await cloud.s3.flush()
  const bucket = await buckets.find(cloud.db, 'moving-bucket')
  assert.ok(bucket)
  const [hour] = await hours.list(cloud.db, bucket, { limit: 1 })
  assert.deepEqual([hour?.readRequests, hour?.writeRequests], [1, 1])
  assert.ok(hour && hour.bytesIn >= 10_000 && hour.bytesOut >= 10_000, JSON.stringify(hour))
})
