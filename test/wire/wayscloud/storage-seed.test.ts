/**
 * The curl lines of WAYSCloud's published Storage page, as they are printed there; only host, key, name and the body that
 * the page leaves out are put in. What they answer has the fields that the page lists.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { ListBucketsCommand, S3Client } from '@aws-sdk/client-s3'
import { s3ClientOf } from '../../s3-client.ts'
import { type Wire, wireOfSuite } from '../wire.ts'

const HEADER = '-H "X-API-Key: YOUR_API_KEY"'
const LINES = {
  list: `curl https://api.wayscloud.services/v1/storage/buckets \\
  ${HEADER}`,
  create: `curl -X POST https://api.wayscloud.services/v1/storage/buckets \\
  ${HEADER} \\
  -H "Content-Type: application/json" \\
  -d '{...}'`,
  get: `curl https://api.wayscloud.services/v1/storage/buckets/{bucket_name} \\
  ${HEADER}`,
  remove: `curl -X DELETE https://api.wayscloud.services/v1/storage/buckets/{bucket_name} \\
  ${HEADER}`,
  credentials: `curl https://api.wayscloud.services/v1/storage/credentials \\
  ${HEADER}`,
  guide: `curl https://api.wayscloud.services/storage/s3 \\
  ${HEADER}`,
}

// biome-ignore lint/suspicious/noExplicitAny: what comes is what is looked at
type Json = any

describe('the curl lines of the published Storage page', () => {
  const suite = wireOfSuite()
  let wire: Wire
  let key: string
  before(async () => {
    wire = suite()
    const made = await wire.call<{ apiKey: string }>('POST', '/havn/v1/keys', { name: 's', service: 'storage' })
    key = made.body.apiKey
  })

  async function run(line: string, { bucket = '', body = {} } = {}): Promise<{ status: number; json: Json }> {
    const command = line
      .replaceAll('https://api.wayscloud.services', wire.apiUrl)
      .replaceAll('YOUR_API_KEY', key)
      .replaceAll('{bucket_name}', bucket)
      .replace('{...}', JSON.stringify(body))
    const { stdout } = await promisify(execFile)('sh', ['-c', `${command} -s -w '\\n%{http_code}'`])
    const at = stdout.lastIndexOf('\n')
    return { status: Number(stdout.slice(at + 1)), json: JSON.parse(stdout.slice(0, at)) }
  }
  const create = (body: object) => run(LINES.create, { body })
  const has = (object: Json, types: Record<string, string>) => {
    for (const [field, type] of Object.entries(types)) assert.equal(typeof object[field], type, field)
  }

  test('Create bucket', async () => {
    const { status, json } = await create({ bucket_name: 'my-bucket', tier: 'enterprise', region: 'no-oslo-1' })
    assert.equal(status, 201)
    const { success, bucket_name, endpoint, region, tier } = json
    assert.deepEqual([success, bucket_name, endpoint, region], [true, 'my-bucket', wire.s3Url, 'no-oslo-1'])
    assert.equal(tier, 'enterprise', 'its Terraform provider compares')
    has(json, { message: 'string', access_key: 'string', secret_key: 'string' })
  })

  test('Get bucket and List buckets', async () => {
    const { status, json } = await run(LINES.get, { bucket: 'my-bucket' })
    assert.equal(status, 200)
    const { name, region, size_bytes, object_count, is_public } = json
    assert.deepEqual([name, region, size_bytes, object_count, is_public], ['my-bucket', 'no-oslo-1', 0, 0, false])
    assert.match(json.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    const { bucket_name, storage_tier, is_active, total_storage_gb, total_objects } = json
    assert.deepEqual(
      [bucket_name, storage_tier, json.tier, is_active, total_storage_gb, total_objects],
      ['my-bucket', 'enterprise', 'enterprise', true, 0, 0],
    )
    const list = await run(LINES.list)
    assert.deepEqual([list.status, list.json], [200, { buckets: [json], total: 1 }])
    const slashed = await fetch(`${wire.apiUrl}/v1/storage/buckets/`, { headers: { authorization: `Bearer ${key}` } })
    assert.deepEqual(await slashed.json(), list.json, 'with a slash, by Bearer')
  })

  test('Get S3 credentials, and they open the S3 protocol', async () => {
    const { status, json } = await run(LINES.credentials)
    assert.equal(status, 200)
    const { access_key_id, secret_access_key, endpoint_url, region } = json
    assert.deepEqual([endpoint_url, region], [wire.s3Url, 'eu-north-1'])
    assert.deepEqual(
      [json.access_key, json.secret_key, json.endpoint],
      [access_key_id, secret_access_key, endpoint_url],
    )
    assert.deepEqual((await run(LINES.credentials)).json, json, 'the same again')
    const s3 = new S3Client({
      endpoint: endpoint_url,
      region,
      forcePathStyle: true,
      credentials: { accessKeyId: access_key_id, secretAccessKey: secret_access_key },
    })
    const { Buckets } = await s3.send(new ListBucketsCommand({}))
    assert.deepEqual(
      Buckets?.map(({ Name }) => Name),
      ['my-bucket'],
    )
  })

  test('S3 protocol guide', async () => {
    const { status, json } = await run(LINES.guide)
    assert.equal(status, 200)
    assert.deepEqual([json.protocol, json.endpoint, json.region], ['s3', wire.s3Url, 'eu-north-1'])
    assert.ok(json.guide.includes(`--endpoint-url ${wire.s3Url}`))
  })

  test('refusals', async () => {
    const cases: [object, number][] = [
      [{}, 422],
      [{ bucket_name: 7 }, 422],
      [{ bucket_name: 'Bad_Name' }, 400],
      [{ bucket_name: 'with.dots' }, 400],
      [{ bucket_name: '-edge' }, 400],
      [{ bucket_name: 'ab' }, 400],
      [{ bucket_name: 'x'.repeat(64) }, 400],
      [{ bucket_name: 'other-tier', tier: 'platinum' }, 400],
      [{ bucket_name: 'other-region', region: 'mars-1' }, 400],
      [{ bucket_name: 'my-bucket' }, 409],
    ]
    for (const [body, expected] of cases) {
      const { status, json } = await create(body)
      assert.equal(status, expected, `${JSON.stringify(body)}: ${JSON.stringify(json)}`)
      assert.equal(Array.isArray(json.detail), expected === 422)
    }
    const missing = await run(LINES.get, { bucket: 'nowhere' })
    assert.deepEqual([missing.status, missing.json], [404, { detail: 'Bucket not found' }])
    assert.equal((await run(LINES.remove, { bucket: 'nowhere' })).status, 404)
    const theirs = await wire.call('GET', '/v1/storage/buckets/my-bucket', undefined, wire.keys.other)
    assert.equal(theirs.status, 404)
  })

  test('keys of a bucket open that bucket only, and go at once', async () => {
    await create({ bucket_name: 'key-other' })
    const path = '/v1/storage/buckets/my-bucket/keys'
    const made = await wire.call<Json>('POST', path, { name: 'ci' }, key)
    assert.equal(made.status, 201)
    has(made.body, { id: 'string', access_key: 'string', secret_key: 'string', created_at: 'string' })
    const listed = await wire.call<Json>('GET', path, undefined, key)
    const { secret_key, ...shown } = made.body
    assert.deepEqual(listed.body, { keys: [shown], total: 1 })
    const s3 = s3ClientOf(wire, { accessKeyId: made.body.access_key, secretAccessKey: secret_key })
    assert.deepEqual(
      (await s3.send(new ListBucketsCommand({}))).Buckets?.map(({ Name }) => Name),
      ['my-bucket'],
    )
    assert.equal(
      (await wire.call('DELETE', `/v1/storage/buckets/key-other/keys/${shown.id}`, undefined, key)).status,
      404,
    )
    assert.equal((await wire.call('DELETE', `${path}/${shown.id}`, undefined, key)).status, 200)
    assert.equal((await wire.call('DELETE', `${path}/${shown.id}`, undefined, key)).status, 404)
    await assert.rejects(s3.send(new ListBucketsCommand({})), { name: 'InvalidAccessKeyId' })
    await run(LINES.remove, { bucket: 'key-other' })
  })

  test('storage tiers have the catalogue’s prices', async () => {
    const { status, body } = await wire.call<Json>('GET', '/v1/storage/tiers', undefined, key)
    assert.equal(status, 200)
    assert.deepEqual(
      body.map(({ id, price_per_gb, currency }: Json) => [id, price_per_gb, currency]),
      [
        ['standard', 0.25, 'NOK'],
        ['enterprise', 0.6, 'NOK'],
      ],
    )
    has(body[0], { name: 'string', description: 'string' })
  })

  test('Delete bucket, whose name is used up', async () => {
    const { status, json } = await run(LINES.remove, { bucket: 'my-bucket' })
    assert.equal(status, 200)
    assert.equal(json.success, true)
    has(json, { message: 'string' })
    assert.equal((await run(LINES.get, { bucket: 'my-bucket' })).status, 404)
    assert.equal((await create({ bucket_name: 'my-bucket' })).status, 409)
  })
})
