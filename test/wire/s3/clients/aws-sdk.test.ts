/** The AWS SDK for JavaScript, version 3, over HTTP and over TLS. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { request as requestPlain } from 'node:http'
import { request as requestSecure } from 'node:https'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { describe, test } from 'node:test'
import { setDefaultCACertificates } from 'node:tls'
import {
  AbortMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  paginateListObjectsV2,
  S3Client,
  S3ServiceException,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { assertSameBytes, bytesOf } from '../../../bytes.ts'
import { type Stage, stageOfSuite } from './stage.ts'

const Bucket = 'sdk-bucket'
const MIB = 1024 * 1024

describe('AWS SDK for JavaScript', () => {
  const stage = stageOfSuite()
  for (const scheme of ['http', 'https'] as const) {
    describe(`over ${scheme}`, () => {
      const bucket = `${Bucket}-${scheme}`
      let client: S3Client | undefined
      const s3 = () => (client ??= clientOf(stage(), scheme))
      const get = async (Key: string, more: object = {}) => {
        const answer = await s3().send(new GetObjectCommand({ Bucket: bucket, Key, ...more }))
        return { ...answer, bytes: Buffer.from(await answer.Body!.transformToByteArray()) }
      }
      const put = (Key: string, Body: string | Buffer | Readable, more: object = {}) =>
        s3().send(new PutObjectCommand({ Bucket: bucket, Key, Body, ...more }))

      test('a bucket', async () => {
        await s3().send(new CreateBucketCommand({ Bucket: bucket }))
        const { Buckets } = await s3().send(new ListBucketsCommand({}))
        assert.ok(Buckets?.some(({ Name }) => Name === bucket))
        await s3().send(new HeadBucketCommand({ Bucket: bucket }))
        await assert.rejects(s3().send(new HeadBucketCommand({ Bucket: `${bucket}-not` })), hasStatus(404))
      })

      test('a string, a Buffer and a stream of unknown length', async () => {
        await put('string', 'blåbærsyltetøy', { ContentType: 'text/plain; charset=utf-8', Metadata: { who: 'me' } })
        const text = await get('string')
        assert.equal(text.bytes.toString(), 'blåbærsyltetøy')
        assert.deepEqual([text.ContentType, text.Metadata], ['text/plain; charset=utf-8', { who: 'me' }])

        const bytes = bytesOf('buffer', 3 * MIB + 1)
        const { ETag } = await put('buffer', bytes)
        assert.equal(ETag, `"${createHash('md5').update(bytes).digest('hex')}"`)
        assertSameBytes((await get('buffer')).bytes, bytes, 'buffer')

        await stage().file(`stream-${scheme}`, bytes)
        const stream = createReadStream(join(stage().home, `stream-${scheme}`), { highWaterMark: 40_000 })
        await put('stream', stream, { ContentLength: bytes.length })
        assertSameBytes((await get('stream')).bytes, bytes, 'stream')
        await put('stream-again', Readable.from([bytes.subarray(0, 7), bytes.subarray(7, 90_000)]), {
          ContentLength: 90_000,
        })
        assertSameBytes((await get('stream-again')).bytes, bytes.subarray(0, 90_000), 'stream-again')
        await put('empty', '')
        assert.equal((await get('empty')).bytes.length, 0)
      })

      test('every checksum', async () => {
        const bytes = bytesOf('sums', 200_000)
        for (const ChecksumAlgorithm of ['CRC32', 'CRC32C', 'SHA1', 'SHA256'] as const) {
          await put(`sum-${ChecksumAlgorithm}`, bytes, { ChecksumAlgorithm })
          const got = await get(`sum-${ChecksumAlgorithm}`, { ChecksumMode: 'ENABLED' })
          assert.ok(got[`Checksum${ChecksumAlgorithm}`], ChecksumAlgorithm)
          assertSameBytes(got.bytes, bytes, ChecksumAlgorithm)
        }
        await assert.rejects(put('sum-wrong', bytes, { ChecksumCRC32: 'AAAAAA==' }), hasName('BadDigest'))
        await assert.rejects(get('sum-wrong'), hasName('NoSuchKey'))
      })

      test('lib-storage uploads in parts what has no length', async () => {
        const bytes = bytesOf('parts', 12 * MIB + 345)
        const Body = Readable.from(slices(bytes, 100_000))
        const upload = new Upload({ client: s3(), params: { Bucket: bucket, Key: 'parts', Body }, partSize: 5 * MIB })
        const { ETag } = (await upload.done()) as { ETag: string }
        assert.match(ETag, /^"[0-9a-f]{32}-3"$/)
        assertSameBytes((await get('parts')).bytes, bytes, 'parts')
        const second = await get('parts', { PartNumber: 2 })
        assert.equal(second.PartsCount, 3)
        assertSameBytes(second.bytes, bytes.subarray(5 * MIB, 10 * MIB), 'part 2')
        const attributes = await s3().send(
          new GetObjectAttributesCommand({
            Bucket: bucket,
            Key: 'parts',
            ObjectAttributes: ['ETag', 'ObjectSize', 'ObjectParts'],
          }),
        )
        assert.equal(attributes.ObjectSize, bytes.length)
        assert.equal(attributes.ObjectParts?.TotalPartsCount, 3)
      })

      test('an aborted upload is gone', async () => {
        const { UploadId } = await s3().send(new CreateMultipartUploadCommand({ Bucket: bucket, Key: 'aborted' }))
        const part = { Bucket: bucket, Key: 'aborted', UploadId, PartNumber: 1 }
        await s3().send(new UploadPartCommand({ ...part, Body: 'x' }))
        await s3().send(new AbortMultipartUploadCommand({ Bucket: bucket, Key: 'aborted', UploadId }))
        const { Uploads } = await s3().send(new ListMultipartUploadsCommand({ Bucket: bucket }))
        assert.equal(Uploads, undefined)
        await assert.rejects(s3().send(new UploadPartCommand({ ...part, Body: 'x' })), hasName('NoSuchUpload'))
      })

      test('heads, ranges and conditions', async () => {
        const bytes = bytesOf('range', 50_000)
        const { ETag } = await put('range', bytes, { CacheControl: 'max-age=60' })
        const head = await s3().send(new HeadObjectCommand({ Bucket: bucket, Key: 'range' }))
        assert.deepEqual([head.ContentLength, head.ETag, head.CacheControl], [50_000, ETag, 'max-age=60'])
        const part = await get('range', { Range: 'bytes=100-199' })
        assert.equal(part.ContentRange, 'bytes 100-199/50000')
        assertSameBytes(part.bytes, bytes.subarray(100, 200), 'range')
        assertSameBytes((await get('range', { Range: 'bytes=-9' })).bytes, bytes.subarray(-9), 'the last bytes')
        await assert.rejects(get('range', { Range: 'bytes=50000-' }), hasName('InvalidRange'))
        await assert.rejects(get('range', { IfNoneMatch: ETag }), hasStatus(304))
        await assert.rejects(get('range', { IfMatch: '"other"' }), hasName('PreconditionFailed'))
        await assert.rejects(put('range', 'again', { IfNoneMatch: '*' }), hasName('PreconditionFailed'))
        await put('range', 'mine', { IfMatch: ETag })
        await assert.rejects(put('range', 'late', { IfMatch: ETag }), hasName('PreconditionFailed'))
        assert.equal((await get('range')).bytes.toString(), 'mine')
      })

      test('copies, tags', async () => {
        await put('a folder/søurce+1.txt', 'to be copied', { Tagging: 'colour=blue', Metadata: { m: '1' } })
        const CopySource = `${bucket}/${encodeURIComponent('a folder/søurce+1.txt')}`
        await s3().send(new CopyObjectCommand({ Bucket: bucket, Key: 'copy', CopySource }))
        const copy = await get('copy')
        assert.deepEqual([copy.bytes.toString(), copy.Metadata, copy.TagCount], ['to be copied', { m: '1' }, 1])
        const Tagging = { TagSet: [{ Key: 'colour', Value: 'red & <green>' }].slice(0, 0) }
        await s3().send(new PutObjectTaggingCommand({ Bucket: bucket, Key: 'copy', Tagging }))
        const { TagSet } = await s3().send(new GetObjectTaggingCommand({ Bucket: bucket, Key: 'copy' }))
        assert.deepEqual(TagSet, [])
      })

      test('presigned addresses need nothing but HTTP', async () => {
        const bytes = bytesOf('presigned', 100_000)
        const command = { Bucket: bucket, Key: 'pre signed/æ.bin' }
        const up = await getSignedUrl(s3(), new PutObjectCommand(command), { expiresIn: 60 })
        assert.deepEqual(await send('PUT', up, bytes), { status: 200, body: Buffer.alloc(0) })
        const down = await getSignedUrl(s3(), new GetObjectCommand(command), { expiresIn: 60 })
        const answer = await send('GET', down)
        assert.equal(answer.status, 200)
        assertSameBytes(answer.body, bytes, 'presigned')
        const forged = await send('GET', down.replace('signed/', 'signed/x'))
        assert.equal(forged.status, 403)
        assert.match(forged.body.toString(), /<Code>SignatureDoesNotMatch<\/Code>/)
      })

      test('pages of a listing, deleting many, and the bucket', async () => {
        const keys = Array.from({ length: 25 }, (_, index) => `list/${String(index).padStart(2, '0')} <&>"'é`)
        await Promise.all(keys.map((key) => put(key, key)))
        const found: string[] = []
        for await (const page of paginateListObjectsV2(
          { client: s3(), pageSize: 7 },
          { Bucket: bucket, Prefix: 'list/' },
        ))
          found.push(...(page.Contents ?? []).map(({ Key }) => Key!))
        assert.deepEqual(found, keys)
        const all: { Key: string }[] = []
        for await (const page of paginateListObjectsV2({ client: s3() }, { Bucket: bucket }))
          all.push(...(page.Contents ?? []).map(({ Key }) => ({ Key: Key! })))
        await assert.rejects(s3().send(new DeleteBucketCommand({ Bucket: bucket })), hasName('BucketNotEmpty'))
        const { Deleted, Errors } = await s3().send(
          new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: all } }),
        )
        assert.deepEqual([Deleted?.length, Errors], [all.length, undefined])
        await s3().send(new DeleteBucketCommand({ Bucket: bucket }))
      })

      test('versions', async () => {
        const Versioned = { Bucket: `${bucket}-versioned` }
        await s3().send(new CreateBucketCommand(Versioned))
        const VersioningConfiguration = { Status: 'Enabled' as const }
        await s3().send(new PutBucketVersioningCommand({ ...Versioned, VersioningConfiguration }))
        const write = (Body: string) => s3().send(new PutObjectCommand({ ...Versioned, Key: 'k', Body }))
        const [one, two] = [await write('one'), await write('two')]
        const marker = await s3().send(new DeleteObjectCommand({ ...Versioned, Key: 'k' }))
        assert.equal(marker.DeleteMarker, true)
        const read = async (VersionId?: string) => {
          const id = VersionId === undefined ? {} : { VersionId }
          const answer = await s3().send(new GetObjectCommand({ ...Versioned, Key: 'k', ...id }))
          return await answer.Body!.transformToString()
        }
        await assert.rejects(read(), hasName('NoSuchKey'))
        assert.deepEqual([await read(one.VersionId), await read(two.VersionId)], ['one', 'two'])
        await s3().send(new DeleteObjectCommand({ ...Versioned, Key: 'k', VersionId: marker.VersionId }))
        assert.equal(await read(), 'two')
        const { Versions, DeleteMarkers } = await s3().send(new ListObjectVersionsCommand(Versioned))
        assert.deepEqual(
          Versions?.map(({ VersionId, IsLatest }) => [VersionId, IsLatest]),
          [
            [two.VersionId, true],
            [one.VersionId, false],
          ],
        )
        assert.equal(DeleteMarkers, undefined)
        const Objects = Versions!.map(({ Key, VersionId }) => ({ Key: Key!, VersionId: VersionId! }))
        await s3().send(new DeleteObjectsCommand({ ...Versioned, Delete: { Objects, Quiet: true } }))
        await s3().send(new DeleteBucketCommand(Versioned))
      })
    })
  }
})

function clientOf({ url, secure, region, accessKeyId, secretAccessKey }: Stage, scheme: 'http' | 'https'): S3Client {
  // For the whole process: where it waits for 100 Continue the SDK uses another agent than the one it was given.
  setDefaultCACertificates([secure.ca])
  return new S3Client({
    endpoint: scheme === 'http' ? url : secure.url,
    region,
    credentials: { accessKeyId, secretAccessKey },
    maxAttempts: 1,
  })
}

const hasName = (name: string) => (error: unknown) => error instanceof S3ServiceException && error.name === name
const hasStatus = (status: number) => (error: unknown) =>
  error instanceof S3ServiceException && error.$metadata.httpStatusCode === status

function* slices(bytes: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function send(method: string, url: string, body?: Buffer) {
  const isSecure = url.startsWith('https:')
  const request = isSecure ? requestSecure(url, { method }) : requestPlain(url, { method })
  const answered = new Promise<{ status: number; body: Buffer }>((resolve, reject) => {
    request.once('response', (response) => {
      buffer(response).then((bytes) => resolve({ status: response.statusCode!, body: bytes }), reject)
    })
    request.once('error', reject)
  })
  request.end(body)
  return await answered
}
