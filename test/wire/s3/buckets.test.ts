/** Buckets through the S3 protocol, made, listed and dropped by an unmodified SDK and by hand-signed requests. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  GetBucketLocationCommand,
  HeadBucketCommand,
  ListBucketsCommand,
  PutObjectCommand,
  paginateListBuckets,
  type S3ServiceException,
} from '@aws-sdk/client-s3'
import { sql } from 'kysely'
import { sha256 } from '../../../src/lib/secrets.ts'
import { signHeaders } from '../../../src/lib/sigv4-sign.ts'
import { type Keys, ownerKeys, s3ClientOf } from '../../s3-client.ts'
import { startWire, wireOfSuite } from '../wire.ts'

const fails = (work: Promise<unknown>, name: string, status: number) =>
  assert.rejects(work, (error: S3ServiceException) => {
    assert.deepEqual([error.name, error.$metadata.httpStatusCode], [name, status])
    return true
  })

/** An answer to HEAD has no body that could say more. */
const refused = (work: Promise<unknown>) =>
  assert.rejects(work, (error: S3ServiceException) => error.$metadata.httpStatusCode === 403)

describe('buckets through S3', () => {
  const suite = wireOfSuite({ env: { HAVN_S3_REGION: 'eu-north-1,us-east-1' } })

  const other = async (): Promise<Keys> => {
    const wire = suite()
    const { body } = await wire.call<Keys>('POST', '/havn/v1/access-keys', { name: 'k' }, wire.keys.other)
    return body
  }
  async function raw(method: string, path: string, body = '', headers: Record<string, string> = {}, region?: string) {
    const wire = suite()
    const { host } = new URL(wire.s3Url)
    const query = [...new URL(path, wire.s3Url).searchParams]
    const unsigned = { method, host, path: path.split('?')[0]!, query, headers }
    const keys = { ...ownerKeys(wire), region: region ?? 'eu-north-1' }
    const signed = signHeaders(unsigned, sha256(body).toString('hex'), keys)
    const answer = await fetch(wire.s3Url + path, { method, headers: signed, ...(body && { body }) })
    return { status: answer.status, headers: answer.headers, text: await answer.text() }
  }

  test('a bucket is made once, found, and gone for good', async () => {
    const wire = suite()
    const s3 = s3ClientOf(wire, ownerKeys(wire))
    const made = await s3.send(new CreateBucketCommand({ Bucket: 'first-bucket' }))
    assert.equal(made.Location, '/first-bucket')
    assert.equal((await s3.send(new HeadBucketCommand({ Bucket: 'first-bucket' }))).BucketRegion, 'eu-north-1')
    const where = await s3.send(new GetBucketLocationCommand({ Bucket: 'first-bucket' }))
    assert.equal(where.LocationConstraint, 'eu-north-1')
    await fails(s3.send(new CreateBucketCommand({ Bucket: 'first-bucket' })), 'BucketAlreadyOwnedByYou', 409)
    assert.equal((await raw('PUT', '/first-bucket', '', {}, 'us-east-1')).status, 200, 'as in us-east-1')
    const stranger = s3ClientOf(wire, await other())
    await fails(stranger.send(new CreateBucketCommand({ Bucket: 'first-bucket' })), 'BucketAlreadyExists', 409)
    await fails(stranger.send(new DeleteBucketCommand({ Bucket: 'first-bucket' })), 'AccessDenied', 403)
    await refused(stranger.send(new HeadBucketCommand({ Bucket: 'first-bucket' })))
    await s3.send(new DeleteBucketCommand({ Bucket: 'first-bucket' }))
    await fails(s3.send(new DeleteBucketCommand({ Bucket: 'first-bucket' })), 'NoSuchBucket', 404)
    await fails(s3.send(new CreateBucketCommand({ Bucket: 'first-bucket' })), 'BucketAlreadyExists', 409)
    await fails(stranger.send(new CreateBucketCommand({ Bucket: 'first-bucket' })), 'BucketAlreadyExists', 409)
  })

  test('names, places and words that CreateBucket does not know', async () => {
    const place = (name: string) =>
      `<CreateBucketConfiguration><LocationConstraint>${name}</LocationConstraint></CreateBucketConfiguration>`
    const cases: [path: string, body: string, headers: Record<string, string>, status: number, code: string][] = [
      ['/Bad', '', {}, 400, 'InvalidBucketName'],
      ['/ab', '', {}, 400, 'InvalidBucketName'],
      ['/1.2.3.4', '', {}, 400, 'InvalidBucketName'],
      ['/xn--a', '', {}, 400, 'InvalidBucketName'],
      ['/elsewhere', place('mars-1'), {}, 400, 'InvalidLocationConstraint'],
      ['/broken', '<CreateBucketConfiguration>', {}, 400, 'MalformedXML'],
      ['/other-root', '<Nonsense/>', {}, 400, 'MalformedXML'],
      ['/bomb-1', '<!DOCTYPE a [<!ENTITY b "c">]><CreateBucketConfiguration/>', {}, 400, 'MalformedXML'],
      ['/acl-1', '', { 'x-amz-acl': 'everything' }, 400, 'InvalidArgument'],
      ['/own-1', '', { 'x-amz-object-ownership': 'Nobody' }, 400, 'InvalidArgument'],
      [
        '/own-2',
        '',
        { 'x-amz-object-ownership': 'BucketOwnerEnforced', 'x-amz-acl': 'public-read' },
        400,
        'InvalidBucketAclWithObjectOwnership',
      ],
      ['/acl-2', '', { 'x-amz-acl': 'private', 'x-amz-grant-read': 'id="x"' }, 400, 'InvalidRequest'],
      [
        '/acl-3',
        '',
        { 'x-amz-grant-read': 'emailAddress="nobody@nowhere.example"' },
        400,
        'UnresolvableGrantByEmailAddress',
      ],
      ['/place-1', place('no-oslo-1'), {}, 200, ''],
      ['/place-2', place('eu-north-1'), {}, 200, ''],
      ['/place.3', '<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>', {}, 200, ''],
    ]
    for (const [path, body, headers, status, code] of cases) {
      const answer = await raw('PUT', path, body, headers)
      assert.equal(answer.status, status, `${path} ${answer.text}`)
      if (code) assert.match(answer.text, new RegExp(`<Code>${code}</Code>`), path)
    }
    const { buckets } = (
      await suite().call<{ buckets: { name: string; region: string }[] }>('GET', '/v1/storage/buckets')
    ).body
    const places = buckets.filter(({ name }) => name.startsWith('place')).map(({ region }) => region)
    assert.deepEqual(places, ['no-oslo-1', 'no-oslo-1', 'no-oslo-1'])
  })

  test('what is given along is set: grants, ownership, object lock; and public is said to be public', async () => {
    const everyone = 'uri="http://acs.amazonaws.com/groups/global/AllUsers"'
    await raw('PUT', '/given-acl', '', { 'x-amz-grant-read': everyone })
    await raw('PUT', '/given-canned', '', { 'x-amz-acl': 'public-read' })
    await raw('PUT', '/given-private', '', { 'x-amz-acl': 'private' })
    await raw('PUT', '/given-lock', '', {
      'x-amz-bucket-object-lock-enabled': 'true',
      'x-amz-object-ownership': 'BucketOwnerEnforced',
    })
    assert.match((await raw('GET', '/given-lock?versioning')).text, /<Status>Enabled</)
    assert.match((await raw('GET', '/given-lock?object-lock')).text, /<ObjectLockEnabled>Enabled</)
    assert.match((await raw('GET', '/given-lock?ownershipControls')).text, /BucketOwnerEnforced/)
    assert.match((await raw('GET', '/given-acl?acl')).text, /AllUsers/)
    const shown = async (name: string) =>
      (await suite().call<{ isPublic: boolean }>('GET', `/havn/v1/buckets/${name}`)).body
    const names = ['given-acl', 'given-canned', 'given-private', 'given-lock']
    const open = await Promise.all(names.map(async (name) => (await shown(name)).isPublic))
    assert.deepEqual(open, [true, true, false, false])
    const block =
      '<PublicAccessBlockConfiguration><IgnorePublicAcls>true</IgnorePublicAcls></PublicAccessBlockConfiguration>'
    assert.equal((await raw('PUT', '/given-acl?publicAccessBlock', block)).status, 200)
    assert.equal((await shown('given-acl')).isPublic, false, 'a block closes it')
    const statement = {
      Effect: 'Allow',
      Principal: '*',
      Action: 's3:GetObject',
      Resource: 'arn:aws:s3:::given-private/*',
    }
    const policy = JSON.stringify({ Version: '2012-10-17', Statement: [statement] })
    assert.ok((await raw('PUT', '/given-private?policy', policy)).status < 300)
    assert.equal((await shown('given-private')).isPublic, true, 'so does a policy the opposite')
  })

  test('a listing is the own buckets, page by page', async () => {
    const wire = suite()
    const pair = await other()
    const s3 = s3ClientOf(wire, pair)
    for (const name of ['page-c', 'page-a', 'page-b', 'else-1'])
      await s3.send(new CreateBucketCommand({ Bucket: name }))
    const names: string[][] = []
    for await (const page of paginateListBuckets({ client: s3, pageSize: 2 }, {})) {
      names.push((page.Buckets ?? []).map(({ Name }) => Name!))
    }
    assert.deepEqual(names, [
      ['else-1', 'page-a'],
      ['page-b', 'page-c'],
    ])
    const some = await s3.send(new ListBucketsCommand({ Prefix: 'page-', MaxBuckets: 1 }))
    assert.deepEqual([some.Prefix, some.Buckets?.map(({ Name }) => Name)], ['page-', ['page-a']])
    assert.deepEqual((await s3.send(new ListBucketsCommand({ BucketRegion: 'mars-1' }))).Buckets ?? [], [])
    await fails(s3.send(new ListBucketsCommand({ ContinuationToken: 'x' })), 'InvalidArgument', 400)
    for (const max of ['0', '10001', 'x', '-1'])
      assert.equal((await raw('GET', `/?max-buckets=${max}`)).status, 400, max)
  })

  test('a bucket is deleted or written into, never both', async () => {
    const wire = suite()
    const s3 = s3ClientOf(wire, ownerKeys(wire))
    for (let round = 0; round < 12; round++) {
      const Bucket = `race-${round}`
      await s3.send(new CreateBucketCommand({ Bucket }))
      const puts = ['a', 'b', 'c'].map((Key) => s3.send(new PutObjectCommand({ Bucket, Key, Body: 'x' })))
      const [removal, ...written] = await Promise.allSettled([s3.send(new DeleteBucketCommand({ Bucket })), ...puts])
      const kept = written.filter(({ status }) => status === 'fulfilled').length
      if (removal.status === 'fulfilled') assert.equal(kept, 0, 'a write was acknowledged into a bucket that went')
      for (const result of [removal, ...written]) {
        if (result.status === 'rejected') assert.match(result.reason.name, /^(NoSuchBucket|BucketNotEmpty)$/)
      }
    }
    const { rows } = await sql`SELECT 1 FROM object_version WHERE bucket_number NOT IN (SELECT number FROM bucket)
      UNION ALL SELECT 1 FROM bucket_usage WHERE bucket_number NOT IN (SELECT number FROM bucket)`.execute(wire.db)
    assert.deepEqual(rows, [], 'nothing is left of a bucket that went')
  })

  test('a limited key sees and makes no more than it opens; a revoked one nothing', async () => {
    const wire = suite()
    const owner = s3ClientOf(wire, ownerKeys(wire))
    for (const name of ['limit-1', 'limit-2']) await owner.send(new CreateBucketCommand({ Bucket: name }))
    const make = async (wish: object) => (await wire.call<Keys>('POST', '/havn/v1/access-keys', wish)).body
    const one = await make({ name: 'one', buckets: ['limit-1'] })
    const reader = await make({ name: 'reader', readOnly: true })
    const listed = await s3ClientOf(wire, one).send(new ListBucketsCommand({}))
    assert.deepEqual(
      listed.Buckets?.map(({ Name }) => Name),
      ['limit-1'],
    )
    await refused(s3ClientOf(wire, one).send(new HeadBucketCommand({ Bucket: 'limit-2' })))
    await fails(s3ClientOf(wire, one).send(new CreateBucketCommand({ Bucket: 'limit-3' })), 'AccessDenied', 403)
    await fails(s3ClientOf(wire, reader).send(new CreateBucketCommand({ Bucket: 'limit-3' })), 'AccessDenied', 403)
    await fails(s3ClientOf(wire, reader).send(new DeleteBucketCommand({ Bucket: 'limit-2' })), 'AccessDenied', 403)
    await s3ClientOf(wire, reader).send(new HeadBucketCommand({ Bucket: 'limit-2' }))
    await wire.call('DELETE', `/havn/v1/access-keys/${reader.accessKeyId}`)
    await fails(s3ClientOf(wire, reader).send(new ListBucketsCommand({})), 'InvalidAccessKeyId', 403)
  })

  test('an account has as many buckets as its quota allows', async () => {
    const wire = suite()
    const s3 = s3ClientOf(wire, await other())
    const held = (await s3.send(new ListBucketsCommand({}))).Buckets?.length ?? 0
    await wire.call('PATCH', '/havn/v1/accounts/other@example.net/quota', { buckets: held + 1 })
    const results = await Promise.allSettled(
      ['quota-1', 'quota-2', 'quota-3'].map((Bucket) => s3.send(new CreateBucketCommand({ Bucket }))),
    )
    const refused = results.flatMap((result) => (result.status === 'rejected' ? [result.reason.name] : []))
    assert.deepEqual(refused, ['TooManyBuckets', 'TooManyBuckets'])
  })
})

test('with HAVN_BUCKET_NAME_REUSE=owner the last owner gets a name back through S3, and nobody else', async (t) => {
  const wire = await startWire(t, { env: { HAVN_BUCKET_NAME_REUSE: 'owner' } })
  const s3 = s3ClientOf(wire, ownerKeys(wire))
  await s3.send(new CreateBucketCommand({ Bucket: 'again-1' }))
  await s3.send(new DeleteBucketCommand({ Bucket: 'again-1' }))
  const { body } = await wire.call<Keys>('POST', '/havn/v1/access-keys', { name: 'k' }, wire.keys.other)
  await fails(s3ClientOf(wire, body).send(new CreateBucketCommand({ Bucket: 'again-1' })), 'BucketAlreadyExists', 409)
  assert.equal((await wire.call('POST', '/v1/storage/buckets', { bucket_name: 'again-1' })).status, 409)
  assert.equal((await wire.call('POST', '/havn/v1/buckets', { name: 'again-1' })).status, 409)
  await s3.send(new CreateBucketCommand({ Bucket: 'again-1' }))
})
