/** Copies, by the AWS SDK for JavaScript: they name bytes that are there, and read or move them only when they must. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { crc32 } from 'node:zlib'
import * as s3 from '@aws-sdk/client-s3'
import { type Cloud, startCloud } from '../../cloud.ts'
import { s3ClientOf } from '../../s3-client.ts'

const MIB = 1024 * 1024
const Bucket = 'copies'
let cloud: Cloud
let client: s3.S3Client
const cleanups: (() => Promise<void>)[] = []

before(async () => {
  cloud = await startCloud(
    { after: (fn) => void cleanups.push(fn) },
    { withoutWorker: true, env: { HAVN_SSE_C_OVER_HTTP: 'yes' } },
  )
  client = s3ClientOf(cloud)
  for (const name of [Bucket, 'other-bucket']) await client.send(new s3.CreateBucketCommand({ Bucket: name }))
})
after(async () => {
  client.destroy()
  for (const fn of cleanups) await fn()
})

const put = (Key: string, Body: Buffer, more: Partial<s3.PutObjectCommandInput> = {}) =>
  client.send(new s3.PutObjectCommand({ Bucket, Key, Body, ...more }))
const copy = (CopySource: string, Key: string, more: Partial<s3.CopyObjectCommandInput> = {}) =>
  client.send(new s3.CopyObjectCommand({ Bucket, Key, CopySource, ...more }))
const get = async (Key: string, more: Partial<s3.GetObjectCommandInput> = {}) => {
  const answer = await client.send(new s3.GetObjectCommand({ Bucket, Key, ...more }))
  return { ...answer, bytes: Buffer.from((await answer.Body?.transformToByteArray()) ?? []) }
}
const refused = (promise: Promise<unknown>, code: string, status: number) =>
  assert.rejects(promise, (error: s3.S3ServiceException) => {
    assert.deepEqual([error.name, error.$metadata.httpStatusCode], [code, status])
    return true
  })
const blobs = async (): Promise<number> => {
  const row = await cloud.db
    .selectFrom('blob')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow()
  return row.count
}
const base64Crc = (bytes: Buffer) => {
  const value = Buffer.alloc(4)
  value.writeUInt32BE(crc32(bytes))
  return value.toString('base64')
}
const customerKey = () => {
  const key = randomBytes(32)
  const md5 = createHash('md5').update(key).digest('base64')
  return { algorithm: 'AES256', key: key.toString('base64'), md5 }
}

test('a copy has the bytes, the metadata, the tags and the checksum, and no bytes were written', async () => {
  for (const [name, bytes] of [
    ['small', Buffer.from('small')],
    ['empty', Buffer.alloc(0)],
    ['large', randomBytes(3 * MIB)],
  ] as const) {
    const from = `from/${name} å?+%`
    await put(from, bytes, {
      ContentType: 'text/x-test',
      Metadata: { colour: 'red' },
      Tagging: 'a=b',
      CacheControl: 'no-store',
    })
    const before = await blobs()
    const copied = await copy(`/${Bucket}/${encodeURIComponent(from)}`, `to/${name}`)
    assert.equal(await blobs(), before)
    assert.equal(copied.CopyObjectResult?.ChecksumCRC32, base64Crc(bytes))
    const got = await get(`to/${name}`)
    assert.ok(got.bytes.equals(bytes))
    assert.equal(got.ETag, copied.CopyObjectResult?.ETag)
    assert.deepEqual(
      [got.ContentType, got.Metadata, got.TagCount, got.CacheControl],
      ['text/x-test', { colour: 'red' }, 1, 'no-store'],
    )
    // The source may go; its bytes stay for the copy.
    await client.send(new s3.DeleteObjectCommand({ Bucket, Key: from }))
    assert.ok((await get(`to/${name}`)).bytes.equals(bytes))
  }
})

test('metadata and tags are replaced when asked for', async () => {
  await put('source', Buffer.from('x'), { ContentType: 'text/a', Metadata: { a: '1' }, Tagging: 'a=1&b=2' })
  await copy(`${Bucket}/source`, 'replaced', {
    MetadataDirective: 'REPLACE',
    ContentType: 'text/b',
    Metadata: { b: '2' },
    TaggingDirective: 'REPLACE',
    Tagging: 'c=3',
  })
  const got = await get('replaced')
  assert.deepEqual([got.ContentType, got.Metadata, got.TagCount], ['text/b', { b: '2' }, 1])
})

test('an object is copied onto itself only to change something', async () => {
  await put('self', Buffer.from('x'), { Metadata: { a: '1' } })
  await refused(copy(`${Bucket}/self`, 'self'), 'InvalidRequest', 400)
  await copy(`${Bucket}/self`, 'self', { MetadataDirective: 'REPLACE', Metadata: { a: '2' } })
  assert.deepEqual((await get('self')).Metadata, { a: '2' })
  const digested = await copy(`${Bucket}/self`, 'self', { ChecksumAlgorithm: 'SHA256' })
  assert.equal(digested.CopyObjectResult?.ChecksumSHA256, createHash('sha256').update('x').digest('base64'))
})

test('conditions on the source and on the target', async () => {
  const { ETag } = await put('condition', Buffer.from('x'))
  const [past, future] = [new Date(Date.now() - 86_400_000), new Date(Date.now() + 86_400_000)]
  const from = `${Bucket}/condition`
  const failing: Partial<s3.CopyObjectCommandInput>[] = [
    { CopySourceIfMatch: '"other"' },
    { CopySourceIfNoneMatch: ETag as string },
    { CopySourceIfModifiedSince: future },
    { CopySourceIfUnmodifiedSince: past },
    { CopySourceIfNoneMatch: ETag as string, CopySourceIfModifiedSince: past },
  ]
  for (const more of failing) await refused(copy(from, 'never', more), 'PreconditionFailed', 412)
  await copy(from, 'target', { CopySourceIfMatch: ETag as string, CopySourceIfUnmodifiedSince: past, IfNoneMatch: '*' })
  await refused(copy(from, 'target', { IfNoneMatch: '*' }), 'PreconditionFailed', 412)
  await refused(copy(from, 'target', { IfMatch: '"other"' }), 'PreconditionFailed', 412)
})

test('sources that are not there, or are not sources', async () => {
  await refused(copy('no-such-bucket-here/k', 'k'), 'NoSuchBucket', 404)
  await refused(copy(`${Bucket}/no-such-key`, 'k'), 'NoSuchKey', 404)
  await refused(copy(Bucket, 'k'), 'InvalidArgument', 400)
  await refused(copy(`${Bucket}/`, 'k'), 'InvalidArgument', 400)
  await refused(copy(`${Bucket}/%zz`, 'k'), 'InvalidArgument', 400)
  await refused(copy(`${Bucket}/k?versionId=nonsense`, 'k'), 'InvalidArgument', 400)
})

test('a version is copied by its id, a delete marker is not', async () => {
  const name = 'copied-versions'
  await client.send(new s3.CreateBucketCommand({ Bucket: name }))
  const versioning = { Bucket: name, VersioningConfiguration: { Status: 'Enabled' as const } }
  await client.send(new s3.PutBucketVersioningCommand(versioning))
  const old = await put('k', Buffer.from('old'), { Bucket: name })
  await put('k', Buffer.from('new'), { Bucket: name })
  const copied = await copy(`${name}/k?versionId=${old.VersionId}`, 'k', { Bucket: name })
  assert.equal(copied.CopySourceVersionId, old.VersionId)
  assert.notEqual(copied.VersionId, old.VersionId)
  assert.equal((await get('k', { Bucket: name })).bytes.toString(), 'old')
  const marker = await client.send(new s3.DeleteObjectCommand({ Bucket: name, Key: 'k' }))
  await refused(copy(`${name}/k`, 'k2', { Bucket: name }), 'NoSuchKey', 404)
  await refused(copy(`${name}/k?versionId=${marker.VersionId}`, 'k2', { Bucket: name }), 'InvalidRequest', 400)
})

test('a copy of an object in parts keeps its parts', async () => {
  const bodies = [randomBytes(5 * MIB), randomBytes(1000)]
  const { UploadId } = await client.send(new s3.CreateMultipartUploadCommand({ Bucket, Key: 'parts' }))
  const Parts: s3.CompletedPart[] = []
  for (const [index, Body] of bodies.entries()) {
    const PartNumber = index + 1
    const { ETag } = await client.send(new s3.UploadPartCommand({ Bucket, Key: 'parts', UploadId, PartNumber, Body }))
    Parts.push({ PartNumber, ETag: ETag as string })
  }
  await client.send(
    new s3.CompleteMultipartUploadCommand({ Bucket, Key: 'parts', UploadId, MultipartUpload: { Parts } }),
  )
  const before = await blobs()
  await copy(`${Bucket}/parts`, 'parts-copy')
  assert.equal(await blobs(), before)
  assert.ok((await get('parts-copy')).bytes.equals(Buffer.concat(bodies)))
  const second = await get('parts-copy', { PartNumber: 2 })
  assert.deepEqual([second.PartsCount, second.bytes.equals(bodies[1] as Buffer)], [2, true])
})

test('bytes move when they are to be encrypted otherwise', async () => {
  for (const [name, bytes] of [
    ['tiny', Buffer.from('tiny')],
    ['larger', randomBytes(2 * MIB + 5)],
  ] as const) {
    await put(name, bytes)
    const sealed = await copy(`${Bucket}/${name}`, `${name}-sealed`, { ServerSideEncryption: 'AES256' })
    assert.equal(sealed.ServerSideEncryption, 'AES256')
    assert.ok((await get(`${name}-sealed`)).bytes.equals(bytes))
    // Sealed by the same key on both sides: as it lies there.
    const before = await blobs()
    const again = await copy(`${Bucket}/${name}-sealed`, `${name}-sealed-2`)
    assert.deepEqual([again.ServerSideEncryption, await blobs()], ['AES256', before])
    assert.ok((await get(`${name}-sealed-2`)).bytes.equals(bytes))

    const [one, two] = [customerKey(), customerKey()]
    const withKey = ({ algorithm, key, md5 }: typeof one) => ({
      SSECustomerAlgorithm: algorithm,
      SSECustomerKey: key,
      SSECustomerKeyMD5: md5,
    })
    const fromKey = ({ algorithm, key, md5 }: typeof one) => ({
      CopySourceSSECustomerAlgorithm: algorithm,
      CopySourceSSECustomerKey: key,
      CopySourceSSECustomerKeyMD5: md5,
    })
    await copy(`${Bucket}/${name}`, `${name}-c`, withKey(one))
    await refused(copy(`${Bucket}/${name}-c`, 'never'), 'InvalidRequest', 400)
    await refused(copy(`${Bucket}/${name}-c`, 'never', fromKey(two)), 'AccessDenied', 403)
    await copy(`${Bucket}/${name}-c`, `${name}-c2`, { ...fromKey(one), ...withKey(two) })
    await copy(`${Bucket}/${name}-c2`, `${name}-c3`, { ...fromKey(two), ...withKey(two) })
    for (const key of ['c2', 'c3']) assert.ok((await get(`${name}-${key}`, withKey(two))).bytes.equals(bytes))
    await copy(`${Bucket}/${name}-c3`, `${name}-open`, fromKey(two))
    assert.ok((await get(`${name}-open`)).bytes.equals(bytes))
  }
})

test('parts are copied from ranges of objects, small ones and large ones', async () => {
  const source = randomBytes(12 * MIB)
  await put('ranges', source)
  await put('ranges-small', Buffer.from('0123456789'))
  for (const algorithm of [undefined, 'CRC32', 'SHA256'] as const) {
    const Key = `from-ranges-${algorithm}`
    const { UploadId } = await client.send(
      new s3.CreateMultipartUploadCommand({ Bucket, Key, ...(algorithm ? { ChecksumAlgorithm: algorithm } : {}) }),
    )
    const before = await blobs()
    const part = async (PartNumber: number, from: string, CopySourceRange?: string): Promise<s3.CompletedPart> => {
      const { CopyPartResult } = await client.send(
        new s3.UploadPartCopyCommand({
          Bucket,
          Key,
          UploadId,
          PartNumber,
          CopySource: `${Bucket}/${from}`,
          ...(CopySourceRange ? { CopySourceRange } : {}),
        }),
      )
      const { ETag, ChecksumCRC32, ChecksumSHA256 } = CopyPartResult as s3.CopyPartResult
      return {
        PartNumber,
        ETag: ETag as string,
        ...(ChecksumCRC32 ? { ChecksumCRC32 } : {}),
        ...(ChecksumSHA256 ? { ChecksumSHA256 } : {}),
      }
    }
    const Parts = [
      await part(1, 'ranges', `bytes=1-${6 * MIB}`),
      await part(2, 'ranges'),
      await part(3, 'ranges-small', 'bytes=2-4'),
    ]
    assert.equal(await blobs(), before + 1, 'only the bytes of a row became a blob')
    await refused(part(4, 'ranges', `bytes=0-${12 * MIB}`), 'InvalidRange', 416)
    await refused(part(4, 'ranges', 'bytes=5-'), 'InvalidArgument', 400)
    await refused(part(4, 'ranges', 'bytes=5-4'), 'InvalidArgument', 400)
    const done = await client.send(
      new s3.CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }),
    )
    const whole = Buffer.concat([source.subarray(1, 6 * MIB + 1), source, Buffer.from('234')])
    assert.ok((await get(Key)).bytes.equals(whole))
    if (algorithm === 'CRC32') {
      assert.equal(Parts[0]?.ChecksumCRC32, base64Crc(source.subarray(1, 6 * MIB + 1)))
      assert.match(done.ChecksumCRC32 ?? '', /-3$/)
    }
  }
})

test('an object that is overwritten and deleted all the time is copied whole or not at all', async () => {
  const bodies = Array.from({ length: 4 }, (_, index) => Buffer.alloc(64 * 1024, index))
  let isOver = false
  const churn = (async () => {
    for (let round = 0; !isOver; round++) {
      await put('churned', bodies[round % bodies.length] as Buffer)
      if (round % 3 === 2) await client.send(new s3.DeleteObjectCommand({ Bucket, Key: 'churned' }))
    }
  })()
  let copies = 0
  for (let round = 0; round < 60; round++) {
    try {
      await copy(`${Bucket}/churned`, `churned-${round}`)
    } catch (error) {
      assert.equal((error as Error).name, 'NoSuchKey')
      continue
    }
    copies++
    const { bytes } = await get(`churned-${round}`)
    assert.ok(bodies.some((body) => body.equals(bytes)))
  }
  isOver = true
  await churn
  assert.ok(copies > 0)
})
