/** Uploads in parts, by the AWS SDK for JavaScript. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { after, before, test } from 'node:test'
import { crc32 } from 'node:zlib'
import * as s3 from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { sql } from 'kysely'
import { miscounted } from '../../../src/store/object-usage.ts'
import { type Cloud, startCloud } from '../../cloud.ts'
import { s3ClientOf } from '../../s3-client.ts'

const MIB = 1024 * 1024
const Bucket = 'multi-part'
let cloud: Cloud
let client: s3.S3Client
const cleanups: (() => Promise<void>)[] = []

before(async () => {
  cloud = await startCloud(
    { after: (fn) => void cleanups.push(fn) },
    { withoutWorker: true, env: { HAVN_SSE_C_OVER_HTTP: 'yes' } },
  )
  client = s3ClientOf(cloud)
  await client.send(new s3.CreateBucketCommand({ Bucket }))
})
after(async () => {
  client.destroy()
  for (const fn of cleanups) await fn()
})

const begin = async (Key: string, more: Partial<s3.CreateMultipartUploadCommandInput> = {}): Promise<string> => {
  const begun = await client.send(new s3.CreateMultipartUploadCommand({ Bucket, Key, ...more }))
  return begun.UploadId as string
}
const put = async (
  Key: string,
  UploadId: string,
  PartNumber: number,
  Body: Buffer,
  more: Partial<s3.UploadPartCommandInput> = {},
): Promise<s3.CompletedPart> => {
  const answer = await client.send(new s3.UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body, ...more }))
  return { PartNumber, ETag: answer.ETag as string }
}
const complete = (
  Key: string,
  UploadId: string,
  Parts: s3.CompletedPart[],
  more: Partial<s3.CompleteMultipartUploadCommandInput> = {},
) => client.send(new s3.CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts }, ...more }))
const get = async (Key: string, more: Partial<s3.GetObjectCommandInput> = {}) => {
  const answer = await client.send(new s3.GetObjectCommand({ Bucket, Key, ...more }))
  return { ...answer, bytes: Buffer.from((await answer.Body?.transformToByteArray()) ?? []) }
}
const refused = (promise: Promise<unknown>, code: string, status: number) =>
  assert.rejects(promise, (error: s3.S3ServiceException) => {
    assert.deepEqual([error.name, error.$metadata.httpStatusCode], [code, status])
    return true
  })
const md5 = (bytes: Buffer) => createHash('md5').update(bytes).digest()
const base64Crc = (bytes: Buffer) => {
  const value = Buffer.alloc(4)
  value.writeUInt32BE(crc32(bytes))
  return value.toString('base64')
}

test('parts that came in parallel and out of order are the object, with all that was said at the beginning', async () => {
  const bodies = [randomBytes(5 * MIB), randomBytes(6 * MIB), randomBytes(12345)]
  const id = await begin('whole', { ContentType: 'text/x-test', Metadata: { colour: 'red' }, Tagging: 'a=b' })
  const parts = await Promise.all([2, 0, 1].map((index) => put('whole', id, index + 1, bodies[index] as Buffer)))
  parts.sort((a, b) => (a.PartNumber as number) - (b.PartNumber as number))
  const done = await complete('whole', id, parts)
  const etag = `"${md5(Buffer.concat(bodies.map(md5))).toString('hex')}-3"`
  assert.equal(done.ETag, etag)
  assert.equal(done.Location, `${cloud.s3Url}/${Bucket}/whole`)
  const got = await get('whole')
  assert.ok(got.bytes.equals(Buffer.concat(bodies)))
  assert.deepEqual([got.ETag, got.ContentType, got.Metadata, got.TagCount], [etag, 'text/x-test', { colour: 'red' }, 1])
  const range = await get('whole', { Range: `bytes=${5 * MIB - 2}-${5 * MIB + 1}` })
  assert.ok(range.bytes.equals(Buffer.concat(bodies).subarray(5 * MIB - 2, 5 * MIB + 2)))
  const second = await get('whole', { PartNumber: 2 })
  assert.deepEqual([second.PartsCount, second.bytes.equals(bodies[1] as Buffer)], [3, true])
})

test('lib-storage streams a body of unknown length', async () => {
  const bytes = randomBytes(11 * MIB + 7)
  const upload = new Upload({
    client,
    params: { Bucket, Key: 'streamed', Body: Readable.from([bytes.subarray(0, 3), bytes.subarray(3)]) },
    partSize: 5 * MIB,
    queueSize: 3,
  })
  await upload.done()
  assert.ok((await get('streamed')).bytes.equals(bytes))
})

test('checksums of parts combine: of all bytes, or of the checksums', async () => {
  const bodies = [randomBytes(5 * MIB), randomBytes(1000)]
  const crcs = bodies.map(base64Crc)
  const raw = Buffer.concat(crcs.map((value) => Buffer.from(value, 'base64')))
  const wanted = {
    FULL_OBJECT: base64Crc(Buffer.concat(bodies)),
    COMPOSITE: `${base64Crc(raw)}-2`,
  } as const
  for (const type of ['FULL_OBJECT', 'COMPOSITE'] as const) {
    const id = await begin(type, { ChecksumAlgorithm: 'CRC32', ChecksumType: type })
    const parts: s3.CompletedPart[] = []
    for (const [index, body] of bodies.entries()) {
      parts.push({ ...(await put(type, id, index + 1, body)), ChecksumCRC32: crcs[index] as string })
    }
    const listed = await client.send(new s3.ListPartsCommand({ Bucket, Key: type, UploadId: id }))
    assert.deepEqual(
      [listed.ChecksumAlgorithm, listed.ChecksumType, listed.Parts?.map((part) => part.ChecksumCRC32)],
      ['CRC32', type, crcs],
    )
    const wrong = [{ ...parts[0], ChecksumCRC32: 'AAAAAA==' }, parts[1] as s3.CompletedPart]
    await refused(complete(type, id, wrong), 'InvalidPart', 400)
    await refused(complete(type, id, parts, { ChecksumCRC32: 'AAAAAA==' }), 'BadDigest', 400)
    await refused(complete(type, id, parts, { MpuObjectSize: 1 }), 'InvalidRequest', 400)
    const done = await complete(type, id, parts, { ChecksumCRC32: wanted[type], ChecksumType: type })
    assert.deepEqual([done.ChecksumCRC32, done.ChecksumType], [wanted[type], type])
    const head = await client.send(new s3.HeadObjectCommand({ Bucket, Key: type, ChecksumMode: 'ENABLED' }))
    assert.deepEqual([head.ChecksumCRC32, head.ChecksumType], [wanted[type], type])
    const { ObjectParts, ETag } = await client.send(
      new s3.GetObjectAttributesCommand({
        Bucket,
        Key: type,
        ObjectAttributes: ['ETag', 'ObjectParts'],
        MaxParts: 1,
        PartNumberMarker: '1',
      }),
    )
    assert.equal(ETag, (done.ETag as string).replaceAll('"', ''))
    assert.deepEqual([ObjectParts?.TotalPartsCount, ObjectParts?.IsTruncated], [2, false])
    assert.deepEqual(ObjectParts?.Parts, [{ PartNumber: 2, Size: 1000, ChecksumCRC32: crcs[1] }])
  }
  for (const [ChecksumAlgorithm, ChecksumType] of [
    ['SHA256', 'FULL_OBJECT'],
    ['SHA1', 'FULL_OBJECT'],
    ['CRC64NVME', 'COMPOSITE'],
  ] as const) {
    await refused(begin('impossible', { ChecksumAlgorithm, ChecksumType }), 'InvalidRequest', 400)
  }
})

test('what cannot be completed is refused, and the upload stays', async () => {
  const id = await begin('refusals')
  const small = await put('refusals', id, 1, Buffer.from('small'))
  const last = await put('refusals', id, 2, Buffer.from('last'))
  await refused(complete('refusals', id, [small, last]), 'EntityTooSmall', 400)
  await refused(complete('refusals', id, [last, small]), 'InvalidPartOrder', 400)
  await refused(complete('refusals', id, [small, small]), 'InvalidPartOrder', 400)
  await refused(complete('refusals', id, [{ ...last, ETag: small.ETag as string }]), 'InvalidPart', 400)
  await refused(complete('refusals', id, [{ ...last, PartNumber: 3 }]), 'InvalidPart', 400)
  await refused(complete('refusals', id, []), 'MalformedXML', 400)
  await refused(complete('refusals', 'nonsense', [last]), 'NoSuchUpload', 404)
  await refused(complete('other-key', id, [last]), 'NoSuchUpload', 404)
  for (const number of [0, 10_001]) {
    await refused(put('refusals', id, number, Buffer.from('x')), 'InvalidArgument', 400)
  }
  await refused(
    put('refusals', id, 1, Buffer.from('x'), { ContentMD5: md5(Buffer.from('y')).toString('base64') }),
    'BadDigest',
    400,
  )
  await refused(complete('refusals', id, [last], { IfMatch: '"x"' }), 'NoSuchKey', 404)
  assert.equal((await complete('refusals', id, [last], { IfNoneMatch: '*' })).$metadata.httpStatusCode, 200)
  assert.equal((await get('refusals')).bytes.toString(), 'last')
  const again = await begin('refusals')
  const part = await put('refusals', again, 1, Buffer.from('new'))
  await refused(complete('refusals', again, [part], { IfNoneMatch: '*' }), 'PreconditionFailed', 412)
})

test('a part sent again replaces the first; what is not listed is dropped', async () => {
  const id = await begin('again')
  const first = await put('again', id, 1, Buffer.from('first'))
  const second = await put('again', id, 1, Buffer.from('second'))
  await put('again', id, 2, Buffer.from('dropped'))
  await refused(complete('again', id, [first]), 'InvalidPart', 400)
  await complete('again', id, [second])
  assert.equal((await get('again')).bytes.toString(), 'second')
})

test('of many who complete one upload, one publishes and all hear the same; repeating later changes nothing', async () => {
  await client.send(new s3.PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }))
  const id = await begin('raced')
  const part = await put('raced', id, 1, Buffer.from('raced'))
  const answers = await Promise.all(Array.from({ length: 8 }, () => complete('raced', id, [part])))
  answers.push(await complete('raced', id, [part]))
  assert.equal(new Set(answers.map(({ ETag, VersionId }) => `${ETag} ${VersionId}`)).size, 1)
  assert.match(answers[0]?.VersionId ?? '', /^[0-9a-f]+$/)
  const versions = await client.send(new s3.ListObjectVersionsCommand({ Bucket, Prefix: 'raced' }))
  assert.equal(versions.Versions?.length, 1)
  await refused(put('raced', id, 2, Buffer.from('late')), 'NoSuchUpload', 404)
  await refused(
    client.send(new s3.AbortMultipartUploadCommand({ Bucket, Key: 'raced', UploadId: id })),
    'NoSuchUpload',
    404,
  )
  await client.send(new s3.PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Suspended' } }))
})

test('an aborted upload ends its parts in flight and leaves nothing', async () => {
  const id = await begin('aborted')
  await put('aborted', id, 1, randomBytes(MIB))
  const [isFlying, mayLand] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  async function* slowly() {
    yield Buffer.alloc(MIB)
    isFlying.resolve() // the first piece is taken, so the server asked for it
    await mayLand.promise
    yield Buffer.alloc(MIB)
  }
  const Body = Readable.from(slowly())
  const flying = client.send(
    new s3.UploadPartCommand({
      Bucket,
      Key: 'aborted',
      UploadId: id,
      PartNumber: 2,
      Body,
      ContentLength: 2 * MIB,
    }),
  )
  const ended = refused(flying, 'NoSuchUpload', 404)
  await isFlying.promise
  await client.send(new s3.AbortMultipartUploadCommand({ Bucket, Key: 'aborted', UploadId: id }))
  mayLand.resolve()
  await ended
  await refused(
    client.send(new s3.AbortMultipartUploadCommand({ Bucket, Key: 'aborted', UploadId: id })),
    'NoSuchUpload',
    404,
  )
  const { rows } = await sql`SELECT FROM upload_part WHERE upload_id = ${id}`.execute(cloud.db)
  assert.equal(rows.length, 0)
})

test('uploads under way are listed by key, then by start, a page at a time', async () => {
  const ids = [await begin('list/b'), await begin('list/b'), await begin('list/a'), await begin('list/c/d')]
  const seen: string[] = []
  let page: s3.ListMultipartUploadsCommandOutput | undefined
  do {
    page = await client.send(
      new s3.ListMultipartUploadsCommand({
        Bucket,
        Prefix: 'list/',
        MaxUploads: 1,
        ...(page ? { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker } : {}),
      }),
    )
    seen.push(...(page.Uploads ?? []).map(({ UploadId }) => UploadId as string))
  } while (page.IsTruncated)
  assert.deepEqual(seen, [ids[2], ids[0], ids[1], ids[3]])
  const folded = await client.send(new s3.ListMultipartUploadsCommand({ Bucket, Prefix: 'list/', Delimiter: '/' }))
  assert.deepEqual(folded.CommonPrefixes, [{ Prefix: 'list/c/' }])
  assert.equal(folded.Uploads?.length, 3)
})

test('a thousand parts complete at the cost of rows', async () => {
  // Their bytes would be 5 GiB; here they only exist as rows, and are never read.
  const id = await begin('thousand')
  await sql`
    WITH made AS (
      SELECT n, nextval('object_seq') AS body, gen_random_uuid() AS blob FROM generate_series(1, 1000) n),
    blobs AS (INSERT INTO blob (id, plain_bytes, stored_bytes) SELECT blob, 5242880, 5242880 FROM made RETURNING id)
    INSERT INTO upload_part (upload_id, part_number, body_id, size_bytes, md5, etag)
    SELECT ${id}, n, body, 5242880, decode(md5(n::text), 'hex'), md5(n::text) FROM made`.execute(cloud.db)
  await sql`
    INSERT INTO body_segment (body_id, body_start, blob_id, blob_start, length)
    SELECT body_id, 0, b.id, 0, 5242880 FROM
      (SELECT body_id, row_number() OVER (ORDER BY part_number) AS i FROM upload_part WHERE upload_id = ${id}) p
      JOIN (SELECT id, row_number() OVER () AS i FROM blob WHERE stored_bytes = 5242880 AND plain_bytes = 5242880
        AND id NOT IN (SELECT blob_id FROM body_segment)) b USING (i)`.execute(cloud.db)
  await sql`SELECT count_usage(number, 0, 0, 0, 1000 * 5242880::bigint) FROM bucket WHERE name = ${Bucket}`.execute(
    cloud.db,
  )
  const parts = Array.from({ length: 1000 }, (_, index) => ({
    PartNumber: index + 1,
    ETag: md5(Buffer.from(String(index + 1))).toString('hex'),
  }))
  const done = await complete('thousand', id, parts)
  assert.match(done.ETag ?? '', /-1000"$/)
  const head = await client.send(new s3.HeadObjectCommand({ Bucket, Key: 'thousand', PartNumber: 1000 }))
  assert.deepEqual([head.PartsCount, head.ContentLength], [1000, 5 * MIB])
  const { rows } = await sql<{ segments: number; end: number }>`
    SELECT count(*)::int AS segments, max(body_start + length) AS end FROM body_segment
    JOIN object_version ON seq = body_id WHERE key = 'thousand'`.execute(cloud.db)
  assert.deepEqual(rows, [{ segments: 1000, end: 1000 * 5 * MIB }])
})

test('parts are sealed by the customer’s key, or by ours, and read across their borders', async () => {
  const bytes = randomBytes(32)
  const key = {
    SSECustomerAlgorithm: 'AES256',
    SSECustomerKey: bytes.toString('base64'),
    SSECustomerKeyMD5: md5(bytes).toString('base64'),
  }
  const other = randomBytes(32)
  const wrong = {
    ...key,
    SSECustomerKey: other.toString('base64'),
    SSECustomerKeyMD5: md5(other).toString('base64'),
  }
  const bodies = [randomBytes(5 * MIB + 3), randomBytes(70_000), Buffer.alloc(0)]
  const whole = Buffer.concat(bodies)
  for (const [Key, onBegin, onPart] of [
    ['sealed-c', key, key],
    ['sealed', { ServerSideEncryption: 'AES256' as const }, {}],
  ] as const) {
    const id = await begin(Key, onBegin)
    const parts: s3.CompletedPart[] = []
    for (const [index, body] of bodies.slice(0, 2).entries()) parts.push(await put(Key, id, index + 1, body, onPart))
    if (Key === 'sealed-c') {
      await refused(put(Key, id, 3, bodies[1] as Buffer), 'InvalidRequest', 400)
      await refused(put(Key, id, 3, bodies[1] as Buffer, wrong), 'AccessDenied', 403)
      assert.notEqual(parts[1]?.ETag, `"${md5(bodies[1] as Buffer).toString('hex')}"`, 'the digest stays a secret')
    } else {
      await refused(put(Key, id, 3, bodies[1] as Buffer, key), 'InvalidRequest', 400)
    }
    await complete(Key, id, parts)
    assert.ok((await get(Key, onPart)).bytes.equals(whole))
    const range = await get(Key, { ...onPart, Range: `bytes=${5 * MIB - 1}-${5 * MIB + 66_000}` })
    assert.ok(range.bytes.equals(whole.subarray(5 * MIB - 1, 5 * MIB + 66_001)))
    assert.ok((await get(Key, { ...onPart, PartNumber: 2 })).bytes.equals(bodies[1] as Buffer))
  }
})

test('an upload of one empty part is an empty object', async () => {
  const id = await begin('empty')
  const part = await put('empty', id, 1, Buffer.alloc(0))
  await complete('empty', id, [part])
  const got = await get('empty')
  assert.deepEqual([got.bytes.length, got.ContentLength], [0, 0])
})

test('lock headers of the beginning hold for the object', async () => {
  const name = 'multi-locked'
  await client.send(new s3.CreateBucketCommand({ Bucket: name, ObjectLockEnabledForBucket: true }))
  const until = new Date(Date.now() + 3_600_000)
  const lock = { ObjectLockMode: 'COMPLIANCE' as const, ObjectLockRetainUntilDate: until }
  await refused(begin('locked', lock), 'InvalidRequest', 400)
  const id = await begin('locked', { Bucket: name, ...lock, ObjectLockLegalHoldStatus: 'ON' })
  const part = await put('locked', id, 1, Buffer.from('x'), { Bucket: name })
  const { VersionId } = await complete('locked', id, [part], { Bucket: name })
  const head = await client.send(new s3.HeadObjectCommand({ Bucket: name, Key: 'locked' }))
  assert.deepEqual(
    [head.ObjectLockMode, Math.floor(Number(head.ObjectLockRetainUntilDate) / 1000), head.ObjectLockLegalHoldStatus],
    ['COMPLIANCE', Math.floor(until.getTime() / 1000), 'ON'],
  )
  await refused(
    client.send(new s3.DeleteObjectCommand({ Bucket: name, Key: 'locked', VersionId })),
    'AccessDenied',
    403,
  )
})

test('parts count against the quota until they are dropped', async () => {
  await sql`UPDATE account SET quota_bytes = (SELECT sum(bytes + upload_bytes) FROM bucket_usage) + ${6 * MIB}`.execute(
    cloud.db,
  )
  const id = await begin('quota')
  await put('quota', id, 1, randomBytes(5 * MIB))
  await refused(put('quota', id, 2, randomBytes(5 * MIB)), 'QuotaExceeded', 403)
  const replaced = await put('quota', id, 1, randomBytes(4 * MIB))
  await put('quota', id, 2, randomBytes(MIB))
  await complete('quota', id, [replaced])
  await refused(put('quota', 'none', 1, Buffer.alloc(1)), 'NoSuchUpload', 404)
  assert.deepEqual(await miscounted(cloud.db), [])
  await sql`UPDATE account SET quota_bytes = NULL`.execute(cloud.db)
})
