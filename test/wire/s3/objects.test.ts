/** Single objects by the SDK that most programs use, and by plain requests where the SDK is too polite. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  type GetObjectCommandInput,
  HeadObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  type S3Client,
  type S3ServiceException,
} from '@aws-sdk/client-s3'
import * as usage from '../../../src/store/object-usage.ts'
import { type Cloud, startCloud } from '../../cloud.ts'
import { s3ClientOf } from '../../s3-client.ts'

let cloud: Cloud
let s3: S3Client
const cleanups: (() => Promise<void>)[] = []

before(async () => {
  cloud = await startCloud(
    { after: (fn) => void cleanups.push(fn) },
    { withoutWorker: true, env: { HAVN_SSE_C_OVER_HTTP: 'yes' } },
  )
  s3 = s3ClientOf(cloud)
})
after(async () => {
  s3.destroy()
  for (const cleanup of cleanups.reverse()) await cleanup()
})

let buckets = 0
async function makeBucket(options: { versioning?: 'Enabled'; lock?: boolean } = {}): Promise<string> {
  const Bucket = `bucket-${++buckets}`
  await s3.send(new CreateBucketCommand({ Bucket, ObjectLockEnabledForBucket: options.lock }))
  if (options.versioning) await setVersioning(Bucket, options.versioning)
  return Bucket
}
const setVersioning = (Bucket: string, Status: 'Enabled' | 'Suspended') =>
  s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status } }))
const put = (input: PutObjectCommandInput) => s3.send(new PutObjectCommand(input))
/** The body is read, whatever it is wanted for: an answer left half-read would keep its connection. */
async function get(input: GetObjectCommandInput) {
  const found = await s3.send(new GetObjectCommand(input))
  return { ...found, bytes: Buffer.from((await found.Body?.transformToByteArray()) ?? []) }
}
const bytesOf = async (input: GetObjectCommandInput) => (await get(input)).bytes

const refused = (promise: Promise<unknown>, code: string, status: number) =>
  assert.rejects(promise, (error: S3ServiceException) => {
    assert.deepEqual([error.name, error.$metadata.httpStatusCode], [code, status])
    return true
  })

test('what was put comes back, with all that was said about it', async () => {
  const Bucket = await makeBucket()
  for (const size of [0, 1, 4096, 16 * 1024, 16 * 1024 + 1, 3_000_000]) {
    const Body = randomBytes(size)
    const Key = `größe/../${size}//\u0001😀`
    const { ETag, ChecksumCRC32 } = await put({
      Bucket,
      Key,
      Body,
      ContentType: 'text/x-test',
      CacheControl: 'no-cache',
      ContentDisposition: 'attachment',
      ContentLanguage: 'da',
      Metadata: { Color: 'blue' },
      Tagging: 'a=1&b=%2B',
      StorageClass: 'STANDARD_IA',
    })
    assert.equal(ETag, `"${createHash('md5').update(Body).digest('hex')}"`)
    const found = await get({ Bucket, Key, ChecksumMode: 'ENABLED' })
    assert.deepEqual(found.bytes, Body)
    assert.equal(found.ContentLength, size)
    assert.equal(found.ContentType, 'text/x-test')
    assert.equal(found.CacheControl, 'no-cache')
    assert.equal(found.ContentDisposition, 'attachment')
    assert.equal(found.ContentLanguage, 'da')
    assert.deepEqual(found.Metadata, { color: 'blue' })
    assert.equal(found.TagCount, 2)
    assert.equal(found.StorageClass, 'STANDARD_IA')
    assert.equal(found.ChecksumCRC32, ChecksumCRC32)
    assert.equal(found.ChecksumType, 'FULL_OBJECT')
    assert.equal(found.VersionId, undefined)
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key }))
    assert.deepEqual([head.ContentLength, head.ETag, head.ChecksumCRC32], [size, ETag, undefined])
  }
  await refused(get({ Bucket, Key: 'none' }), 'NoSuchKey', 404)
  await refused(get({ Bucket: 'no-such-bucket', Key: 'none' }), 'NoSuchBucket', 404)
  const overridden = await get({ Bucket, Key: 'größe/../1//\u0001😀', ResponseContentType: 'image/png' })
  assert.equal(overridden.ContentType, 'image/png')
})

test('ranges', async () => {
  const Bucket = await makeBucket()
  const Body = randomBytes(700_000)
  await put({ Bucket, Key: 'k', Body })
  await put({ Bucket, Key: 'empty', Body: '' })
  const cases: [string, number, number][] = [
    ['bytes=0-0', 0, 1],
    ['bytes=300000-', 300_000, 700_000],
    ['bytes=262143-262145', 262_143, 262_146],
    ['bytes=-5', 699_995, 700_000],
    ['bytes=-9999999', 0, 700_000],
    ['bytes=699999-9999999', 699_999, 700_000],
    [`bytes=699999-${'9'.repeat(30)}`, 699_999, 700_000],
  ]
  for (const [Range, start, end] of cases) {
    const found = await get({ Bucket, Key: 'k', Range, ChecksumMode: 'ENABLED' })
    assert.equal(found.$metadata.httpStatusCode, 206)
    assert.equal(found.ContentRange, `bytes ${start}-${end - 1}/700000`)
    assert.equal(found.ChecksumCRC32, undefined)
    assert.ok(Body.subarray(start, end).equals(found.bytes), Range)
  }
  for (const Range of ['bytes=5-2', 'bytes=0-1,3-4', 'lines=1-2', 'bytes=x']) {
    assert.equal((await get({ Bucket, Key: 'k', Range })).$metadata.httpStatusCode, 200)
  }
  for (const [Key, Range] of [
    ['k', 'bytes=700000-'],
    ['k', `bytes=${'9'.repeat(30)}-`],
    ['k', 'bytes=-0'],
    ['empty', 'bytes=0-'],
  ]) {
    await refused(get({ Bucket, Key, Range }), 'InvalidRange', 416)
  }
  assert.equal((await get({ Bucket, Key: 'k', PartNumber: 1 })).ContentLength, 700_000)
  await refused(get({ Bucket, Key: 'k', PartNumber: 2 }), 'InvalidPartNumber', 416)
  await refused(get({ Bucket, Key: 'k', PartNumber: 1, Range: 'bytes=0-1' }), 'InvalidRequest', 400)
})

test('conditional reads', async () => {
  const Bucket = await makeBucket()
  const { ETag } = await put({ Bucket, Key: 'k', Body: 'x' })
  const { LastModified } = await get({ Bucket, Key: 'k' })
  const hourAgo = new Date(Date.now() - 3_600_000)
  await refused(get({ Bucket, Key: 'k', IfMatch: '"other"' }), 'PreconditionFailed', 412)
  await refused(get({ Bucket, Key: 'k', IfUnmodifiedSince: hourAgo }), 'PreconditionFailed', 412)
  await refused(get({ Bucket, Key: 'k', IfNoneMatch: ETag }), 'Unknown', 304)
  await refused(get({ Bucket, Key: 'k', IfNoneMatch: '*' }), 'Unknown', 304)
  await refused(get({ Bucket, Key: 'k', IfModifiedSince: LastModified }), 'Unknown', 304)
  for (const input of [
    { IfMatch: ETag, IfUnmodifiedSince: hourAgo },
    { IfNoneMatch: '"other"', IfModifiedSince: LastModified },
    { IfModifiedSince: hourAgo },
  ]) {
    assert.equal((await get({ Bucket, Key: 'k', ...input })).$metadata.httpStatusCode, 200)
  }
})

test('conditional writes: one of many wins', async () => {
  const Bucket = await makeBucket()
  const tries = await Promise.allSettled(
    Array.from({ length: 24 }, (_, i) => put({ Bucket, Key: 'lock', Body: `${i}`.repeat(30_000), IfNoneMatch: '*' })),
  )
  assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1)
  for (const one of tries) if (one.status === 'rejected') assert.equal(one.reason.name, 'PreconditionFailed')
  const { ETag } = await get({ Bucket, Key: 'lock' })
  await refused(put({ Bucket, Key: 'lock', Body: 'x', IfMatch: '"other"' }), 'PreconditionFailed', 412)
  await refused(put({ Bucket, Key: 'free', Body: 'x', IfMatch: '*' }), 'NoSuchKey', 404)
  await put({ Bucket, Key: 'lock', Body: 'x', IfMatch: ETag })
  await refused(s3.send(new DeleteObjectCommand({ Bucket, Key: 'lock', IfMatch: ETag })), 'PreconditionFailed', 412)
})

test('versions and delete markers', async () => {
  const Bucket = await makeBucket()
  await put({ Bucket, Key: 'k', Body: 'null' })
  await setVersioning(Bucket, 'Enabled')
  const one = await put({ Bucket, Key: 'k', Body: 'one' })
  assert.ok(one.VersionId)
  const marker = await s3.send(new DeleteObjectCommand({ Bucket, Key: 'k' }))
  assert.equal(marker.DeleteMarker, true)
  await assert.rejects(get({ Bucket, Key: 'k' }), (error: S3ServiceException) => {
    assert.equal(error.name, 'NoSuchKey')
    assert.equal(error.$response?.headers['x-amz-delete-marker'], 'true')
    return true
  })
  await refused(get({ Bucket, Key: 'k', VersionId: marker.VersionId }), 'MethodNotAllowed', 405)
  await refused(get({ Bucket, Key: 'k', VersionId: '0'.repeat(32) }), 'NoSuchVersion', 404)
  await refused(get({ Bucket, Key: 'k', VersionId: 'no id' }), 'InvalidArgument', 400)
  assert.equal(`${await bytesOf({ Bucket, Key: 'k', VersionId: one.VersionId })}`, 'one')
  assert.equal(`${await bytesOf({ Bucket, Key: 'k', VersionId: 'null' })}`, 'null')
  const undone = await s3.send(new DeleteObjectCommand({ Bucket, Key: 'k', VersionId: marker.VersionId }))
  assert.deepEqual([undone.DeleteMarker, undone.VersionId], [true, marker.VersionId])
  assert.equal(`${await bytesOf({ Bucket, Key: 'k' })}`, 'one')
  await setVersioning(Bucket, 'Suspended')
  await put({ Bucket, Key: 'k', Body: 'two' })
  assert.equal(`${await bytesOf({ Bucket, Key: 'k', VersionId: 'null' })}`, 'two')
  assert.equal(`${await bytesOf({ Bucket, Key: 'k', VersionId: one.VersionId })}`, 'one')
})

test('many are deleted at once, each for itself', async () => {
  const Bucket = await makeBucket({ versioning: 'Enabled' })
  const keys = Array.from({ length: 230 }, (_, i) => `k${i}`)
  const puts = await Promise.all(keys.map((Key) => put({ Bucket, Key, Body: Key })))
  const answer = await s3.send(
    new DeleteObjectsCommand({
      Bucket,
      Delete: {
        Objects: [
          ...keys.map((Key) => ({ Key })),
          { Key: 'k0', VersionId: puts[0]?.VersionId },
          { Key: 'k1', VersionId: 'no id' },
          { Key: 'k2', VersionId: puts[2]?.VersionId, ETag: '"other"' },
          { Key: 'none\u0001' },
        ],
      },
    }),
  )
  assert.equal(answer.Deleted?.filter(({ DeleteMarker }) => DeleteMarker).length, 231)
  assert.deepEqual(
    answer.Errors?.map(({ Key, Code }) => [Key, Code]),
    [
      ['k1', 'InvalidArgument'],
      ['k2', 'PreconditionFailed'],
    ],
  )
  await refused(get({ Bucket, Key: 'k0', VersionId: puts[0]?.VersionId }), 'NoSuchVersion', 404)
  // Refusals stay their key's own, also when there is but one key, or one more than are deleted at once.
  for (const others of [0, 100]) {
    const Objects = [...keys.slice(0, others).map((Key) => ({ Key })), { Key: 'k1', VersionId: 'no id' }]
    const { Deleted = [], Errors } = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }))
    assert.deepEqual([Deleted.length, Errors?.length, Errors?.[0]?.Code], [others, 1, 'InvalidArgument'])
  }
  const tooMany = Array.from({ length: 1001 }, (_, i) => ({ Key: `${i}` }))
  await refused(s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: tooMany } })), 'MalformedXML', 400)
})

test('a locked version stays, whoever deletes it', async () => {
  const Bucket = await makeBucket({ lock: true })
  const until = new Date(Date.now() + 3_600_000)
  const governed = await put({
    Bucket,
    Key: 'g',
    Body: 'x',
    ObjectLockMode: 'GOVERNANCE',
    ObjectLockRetainUntilDate: until,
  })
  const compliant = await put({
    Bucket,
    Key: 'c',
    Body: 'x',
    ObjectLockMode: 'COMPLIANCE',
    ObjectLockRetainUntilDate: until,
  })
  const held = await put({ Bucket, Key: 'h', Body: 'x', ObjectLockLegalHoldStatus: 'ON' })
  const remove = (Key: string, VersionId?: string, BypassGovernanceRetention?: boolean) =>
    s3.send(new DeleteObjectCommand({ Bucket, Key, VersionId, BypassGovernanceRetention }))
  await refused(remove('g', governed.VersionId), 'AccessDenied', 403)
  await refused(remove('c', compliant.VersionId, true), 'AccessDenied', 403)
  await refused(remove('h', held.VersionId, true), 'AccessDenied', 403)
  assert.equal((await remove('c')).DeleteMarker, true)
  await remove('g', governed.VersionId, true)
  const head = await s3.send(new HeadObjectCommand({ Bucket, Key: 'c', VersionId: compliant.VersionId }))
  assert.equal(head.ObjectLockMode, 'COMPLIANCE')
  assert.equal(head.ObjectLockRetainUntilDate?.getTime(), until.getTime())
  const plain = await makeBucket()
  await refused(put({ Bucket: plain, Key: 'k', Body: 'x', ObjectLockLegalHoldStatus: 'ON' }), 'InvalidRequest', 400)
  await refused(
    put({ Bucket, Key: 'k', Body: 'x', ObjectLockMode: 'GOVERNANCE', ObjectLockRetainUntilDate: new Date(0) }),
    'InvalidArgument',
    400,
  )
})

test('encryption at rest, by us and by the customer', async () => {
  const Bucket = await makeBucket()
  for (const size of [10, 200_000]) {
    const Body = randomBytes(size)
    const ours = await put({ Bucket, Key: 'ours', Body, ServerSideEncryption: 'AES256' })
    assert.equal(ours.ServerSideEncryption, 'AES256')
    assert.ok(Body.equals(await bytesOf({ Bucket, Key: 'ours' })))
    const key = {
      SSECustomerAlgorithm: 'AES256',
      SSECustomerKey: randomBytes(32) as unknown as string,
    }
    await put({ Bucket, Key: 'theirs', Body, ...key })
    assert.ok(Body.equals(await bytesOf({ Bucket, Key: 'theirs', ...key })))
    assert.ok(Body.subarray(3, 9).equals(await bytesOf({ Bucket, Key: 'theirs', Range: 'bytes=3-8', ...key })))
    await refused(get({ Bucket, Key: 'theirs' }), 'InvalidRequest', 400)
    await refused(get({ Bucket, Key: 'ours', ...key }), 'InvalidRequest', 400)
    const other = { ...key, SSECustomerKey: randomBytes(32) as unknown as string }
    await refused(get({ Bucket, Key: 'theirs', ...other }), 'AccessDenied', 403)
  }
  await refused(put({ Bucket, Key: 'k', Body: 'x', ServerSideEncryption: 'aws:kms' }), 'NotImplemented', 501)
})

test('a wrong checksum leaves nothing, and what stood there stays', async () => {
  const Bucket = await makeBucket()
  await put({ Bucket, Key: 'k', Body: 'old' })
  for (const size of [3, 100_000]) {
    const Body = randomBytes(size)
    await refused(put({ Bucket, Key: 'k', Body, ChecksumCRC32: 'AAAAAA==' }), 'BadDigest', 400)
    await refused(put({ Bucket, Key: 'k', Body, ContentMD5: randomBytes(16).toString('base64') }), 'BadDigest', 400)
  }
  for (const ChecksumAlgorithm of ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const) {
    await put({ Bucket, Key: ChecksumAlgorithm, Body: 'x', ChecksumAlgorithm })
    const found = await get({ Bucket, Key: ChecksumAlgorithm, ChecksumMode: 'ENABLED' })
    assert.ok(found[`Checksum${ChecksumAlgorithm}`], ChecksumAlgorithm)
  }
  assert.equal(`${await bytesOf({ Bucket, Key: 'k' })}`, 'old')
})

test('a quota is kept, and said', async () => {
  const Bucket = await makeBucket()
  await cloud.db.updateTable('account').set({ quota_bytes: 10_000_000 }).execute()
  try {
    await refused(put({ Bucket, Key: 'k', Body: randomBytes(11_000_000) }), 'QuotaExceeded', 403)
    await put({ Bucket, Key: 'k', Body: randomBytes(1000) })
  } finally {
    await cloud.db.updateTable('account').set({ quota_bytes: null }).execute()
  }
})

test('readers of what is overwritten and deleted get one version, whole', async () => {
  const Bucket = await makeBucket()
  const body = (i: number) => Buffer.alloc(400_000, i)
  await put({ Bucket, Key: 'k', Body: body(0) })
  let isOver = false
  const reads = Array.from({ length: 4 }, async () => {
    while (!isOver) {
      const bytes = await bytesOf({ Bucket, Key: 'k' })
      assert.ok(bytes.equals(body(bytes[0] as number)))
    }
  })
  for (let i = 1; i < 40; i++) await put({ Bucket, Key: 'k', Body: body(i) })
  isOver = true
  await Promise.all(reads)
})

test('an object whose bytes are lost is an error, never empty', async () => {
  const Bucket = await makeBucket()
  await put({ Bucket, Key: 'k', Body: randomBytes(300_000) })
  const { blob_id: id } = await cloud.db
    .selectFrom('body_segment')
    .innerJoin('object_version', 'seq', 'body_id')
    .select('blob_id')
    .orderBy('seq', 'desc')
    .executeTakeFirstOrThrow()
  await cloud.context.objects.remove([id.replaceAll('-', '')])
  await refused(get({ Bucket, Key: 'k' }), 'InternalError', 500)
  assert.ok(cloud.s3Log.some((line) => line.includes('cannot read version')))
  await s3.send(new DeleteObjectCommand({ Bucket, Key: 'k' }))
})

test('what was counted is what there is', async () => {
  assert.deepEqual(await usage.miscounted(cloud.db), [])
})
