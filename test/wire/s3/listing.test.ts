/** Listings, by the AWS SDK for JavaScript and by bare requests. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as s3 from '@aws-sdk/client-s3'
import { type Cloud, startCloud } from '../../cloud.ts'
import { s3ClientOf } from '../../s3-client.ts'

const Bucket = 'listings'
// In byte order, which is neither UTF-16's (U+FFFD before the emoji there is wrong) nor any language's.
const KEYS = ['A', 'a', 'a b+c%', 'a/1', 'a/2', 'a//', 'a/b/1', 'b', 'x\u0001y', 'é', '\ufffd', '😀'].sort((x, y) =>
  Buffer.compare(Buffer.from(x), Buffer.from(y)),
)
let cloud: Cloud
let client: s3.S3Client
const cleanups: (() => Promise<void>)[] = []

before(async () => {
  cloud = await startCloud({ after: (fn) => void cleanups.push(fn) }, { withoutWorker: true })
  client = s3ClientOf(cloud)
  await client.send(new s3.CreateBucketCommand({ Bucket }))
  for (const Key of KEYS) await client.send(new s3.PutObjectCommand({ Bucket, Key, Body: Key }))
})
after(async () => {
  client.destroy()
  for (const fn of cleanups) await fn()
})

const list = (more: Partial<s3.ListObjectsV2CommandInput> = {}) =>
  client.send(new s3.ListObjectsV2Command({ Bucket, ...more }))
const keysOf = ({ Contents }: { Contents?: s3._Object[] | undefined }) => (Contents ?? []).map(({ Key }) => Key)
const prefixesOf = ({ CommonPrefixes }: { CommonPrefixes?: s3.CommonPrefix[] | undefined }) =>
  (CommonPrefixes ?? []).map(({ Prefix }) => Prefix)
const refused = (promise: Promise<unknown>, code: string) =>
  assert.rejects(promise, (error: s3.S3ServiceException) => {
    assert.deepEqual([error.name, error.$metadata.httpStatusCode], [code, 400])
    return true
  })

/** A query that the SDK would not send, signed by it all the same. */
function listWith(query: Record<string, string>): Promise<unknown> {
  const command = new s3.ListObjectsV2Command({ Bucket })
  command.middlewareStack.add(
    (next) => (args) => {
      Object.assign((args.request as { query: Record<string, string> }).query, query)
      return next(args)
    },
    { step: 'build' },
  )
  return client.send(command)
}

test('every key, in the order of its bytes, with its facts', async () => {
  const page = await list()
  assert.deepEqual(keysOf(page), KEYS)
  assert.deepEqual([page.KeyCount, page.IsTruncated, page.MaxKeys], [KEYS.length, false, 1000])
  const [first] = page.Contents ?? []
  assert.equal(first?.Size, 1)
  assert.equal(first?.ETag, '"7fc56270e7a70fa81a5935b72eacbe29"')
  assert.equal(first?.StorageClass, 'STANDARD')
  assert.deepEqual([first?.ChecksumAlgorithm, first?.ChecksumType], [['CRC32'], 'FULL_OBJECT'])
  assert.ok(Math.abs(Number(first?.LastModified) - Date.now()) < 60_000)
  assert.equal(first?.Owner, undefined)
  const [owned] = (await list({ FetchOwner: true })).Contents ?? []
  assert.match(owned?.Owner?.ID ?? '', /^[0-9a-f]{64}$/)
})

test('pages of every size end where the list does', async () => {
  for (const Delimiter of [undefined, '/'] as const) {
    const whole = await list({ ...(Delimiter && { Delimiter }) })
    for (let MaxKeys = 1; MaxKeys <= KEYS.length + 1; MaxKeys++) {
      const [keys, prefixes]: [unknown[], unknown[]] = [[], []]
      let token: string | undefined
      do {
        const page = await list({
          MaxKeys,
          ...(Delimiter && { Delimiter }),
          ...(token && { ContinuationToken: token }),
        })
        const count = keysOf(page).length + prefixesOf(page).length
        assert.equal(page.KeyCount, count)
        assert.ok(count === MaxKeys || !page.IsTruncated)
        assert.ok(count > 0, 'no page is empty')
        keys.push(...keysOf(page))
        prefixes.push(...prefixesOf(page))
        token = page.NextContinuationToken
        assert.equal(token !== undefined, page.IsTruncated)
      } while (token)
      assert.deepEqual([keys, prefixes], [keysOf(whole), prefixesOf(whole)])
    }
  }
  const none = await list({ MaxKeys: 0 })
  assert.deepEqual([none.KeyCount, none.IsTruncated], [0, false])
})

test('delimiters fold, of one character and of several', async () => {
  const folded = await list({ Delimiter: '/' })
  assert.deepEqual(prefixesOf(folded), ['a/'])
  assert.equal(folded.KeyCount, KEYS.length - 3)
  const inside = await list({ Delimiter: '/', Prefix: 'a/' })
  assert.deepEqual(
    [keysOf(inside), prefixesOf(inside)],
    [
      ['a/1', 'a/2'],
      ['a//', 'a/b/'],
    ],
  )
  assert.deepEqual(prefixesOf(await list({ Delimiter: '/b' })), ['a/b'])
  assert.deepEqual(prefixesOf(await list({ Delimiter: '😀' })), ['😀'])
  assert.deepEqual(prefixesOf(await list({ Delimiter: '' })), [])
  const behind = await list({ Delimiter: '/', StartAfter: 'a/1' })
  assert.deepEqual([prefixesOf(behind), keysOf(behind)[0]], [[], 'b'])
})

test('V1 goes on from a marker, and says which with a delimiter', async () => {
  const seen: unknown[] = []
  let Marker: string | undefined
  for (;;) {
    const page: s3.ListObjectsCommandOutput = await client.send(
      new s3.ListObjectsCommand({ Bucket, Delimiter: '/', MaxKeys: 2, ...(Marker && { Marker }) }),
    )
    seen.push(...keysOf(page), ...prefixesOf(page))
    assert.match(page.Contents?.[0]?.Owner?.ID ?? '0'.repeat(64), /^[0-9a-f]{64}$/)
    assert.equal(page.NextMarker !== undefined, page.IsTruncated)
    if (!page.IsTruncated) break
    Marker = page.NextMarker
  }
  assert.deepEqual(
    seen,
    KEYS.flatMap((key) => (key === 'a/1' ? [] : key === 'a//' ? ['a/'] : key.startsWith('a/') ? [] : [key])),
  )
  const plain = await client.send(new s3.ListObjectsCommand({ Bucket, MaxKeys: 1 }))
  assert.deepEqual([plain.IsTruncated, plain.NextMarker], [true, undefined])
})

test('names are percent-encoded when asked for, and readable XML when not', async () => {
  const encoded = await list({ EncodingType: 'url', Prefix: 'a b', Delimiter: '%', StartAfter: 'a ' })
  assert.deepEqual(
    [encoded.EncodingType, encoded.Prefix, encoded.Delimiter, encoded.StartAfter, prefixesOf(encoded)],
    ['url', 'a%20b', '%25', 'a%20', ['a%20b%2Bc%25']],
  )
  assert.deepEqual(keysOf(await list({ EncodingType: 'url', Prefix: 'x' })), ['x%01y'])
  assert.deepEqual(keysOf(await list({ Prefix: 'x' })), ['x\u0001y'])
  assert.deepEqual(keysOf(await list({ EncodingType: 'url', Prefix: 'a/' }))[0], 'a//')
})

test('what no page can be made of is refused', async () => {
  const { NextContinuationToken: token } = await list({ MaxKeys: 1 })
  assert.ok(token)
  await refused(list({ ContinuationToken: 'nonsense' }), 'InvalidArgument')
  await refused(list({ ContinuationToken: `${token.slice(0, -2)}AA` }), 'InvalidArgument')
  await refused(list({ ContinuationToken: `${token}=` }), 'InvalidArgument')
  await client.send(new s3.CreateBucketCommand({ Bucket: 'listings-2' }))
  await refused(list({ Bucket: 'listings-2', ContinuationToken: token }), 'InvalidArgument')
  await refused(list({ MaxKeys: -1 }), 'InvalidArgument')
  await refused(list({ EncodingType: 'other' as 'url' }), 'InvalidArgument')
  for (const query of [{ 'max-keys': 'many' }, { 'continuation-token': '' }, { 'list-type': '3' }]) {
    await refused(listWith(query), 'InvalidArgument')
  }
  await refused(client.send(new s3.ListObjectVersionsCommand({ Bucket, VersionIdMarker: 'null' })), 'InvalidArgument')
  await refused(
    client.send(new s3.ListObjectVersionsCommand({ Bucket, KeyMarker: 'a', VersionIdMarker: 'nonsense' })),
    'InvalidArgument',
  )
})

test('versions and delete markers stand together, the newest first, and are purged page by page', async () => {
  const name = 'listed-versions'
  await client.send(new s3.CreateBucketCommand({ Bucket: name }))
  await client.send(new s3.PutObjectCommand({ Bucket: name, Key: 'a', Body: 'unversioned' }))
  await client.send(new s3.PutBucketVersioningCommand({ Bucket: name, VersioningConfiguration: { Status: 'Enabled' } }))
  const made: string[] = ['a null']
  for (const Key of ['a', 'a', 'b', 'b', 'c/1', 'c/2']) {
    const { VersionId } = await client.send(new s3.PutObjectCommand({ Bucket: name, Key, Body: 'x' }))
    made.push(`${Key} ${VersionId}`)
  }
  const marker = await client.send(new s3.DeleteObjectCommand({ Bucket: name, Key: 'b' }))
  const expected = [made[2], made[1], made[0], `b ${marker.VersionId}`, made[4], made[3], made[5], made[6]]

  const page = (more: Partial<s3.ListObjectVersionsCommandInput>) =>
    client.send(new s3.ListObjectVersionsCommand({ Bucket: name, ...more }))
  const whole = await page({})
  assert.deepEqual(
    whole.Versions?.filter(({ IsLatest }) => IsLatest).map(({ Key }) => Key),
    ['a', 'c/1', 'c/2'],
  )
  assert.deepEqual(
    whole.DeleteMarkers?.map(({ Key, VersionId, IsLatest }) => [Key, VersionId, IsLatest]),
    [['b', marker.VersionId, true]],
  )
  assert.deepEqual(prefixesOf(await page({ Delimiter: '/' })), ['c/'])
  const rest = await page({ KeyMarker: 'a' })
  assert.equal((rest.Versions?.length ?? 0) + (rest.DeleteMarkers?.length ?? 0), 5)

  // One at a time, and each is gone before the page behind it is asked for.
  const seen: string[] = []
  let markers: Partial<s3.ListObjectVersionsCommandInput> = {}
  for (;;) {
    const next = await page({ MaxKeys: 1, ...markers })
    const one = next.Versions?.[0] ?? next.DeleteMarkers?.[0]
    assert.ok(one)
    seen.push(`${one.Key} ${one.VersionId}`)
    const { Key, VersionId } = one as { Key: string; VersionId: string }
    await client.send(new s3.DeleteObjectCommand({ Bucket: name, Key, VersionId }))
    if (!next.IsTruncated) break
    markers = { KeyMarker: next.NextKeyMarker, VersionIdMarker: next.NextVersionIdMarker }
  }
  assert.deepEqual(seen, expected)
  assert.deepEqual((await page({})).Versions, undefined)
})
