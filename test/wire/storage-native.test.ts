/** Buckets, access keys and quotas through the native API: what is refused, what is told, and to whom. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { AccessKey } from '../../src/dialects/native/contract/access-keys.ts'
import type { Bucket, BucketUsage } from '../../src/dialects/native/contract/buckets.ts'
import type { StorageQuota } from '../../src/dialects/native/contract/storage-quota.ts'
import { wireOfSuite } from './wire.ts'

interface Refused {
  error: { code: string; message: string }
}

describe('object storage in the native API', () => {
  const suite = wireOfSuite()

  test('what is wrong is refused in words, whatever it is', async () => {
    const { call } = suite()
    assert.equal((await call('POST', '/havn/v1/buckets', { name: 'taken-1' })).status, 201)
    const cases: [method: string, path: string, body: unknown, status: number, code: string][] = [
      ['POST', '/havn/v1/buckets', { name: 'Big' }, 400, 'invalid'],
      ['POST', '/havn/v1/buckets', { name: 'taken-1' }, 409, 'already_exists'],
      ['POST', '/havn/v1/buckets', { name: 'tier-1', tier: 'gold' }, 400, 'invalid'],
      ['POST', '/havn/v1/buckets', { name: 'place-1', location: 'mars' }, 400, 'invalid'],
      ['GET', '/havn/v1/buckets/%00', undefined, 404, 'not_found'],
      ['GET', '/havn/v1/buckets/taken-1/usage?limit=0', undefined, 400, 'invalid'],
      [
        'GET',
        '/havn/v1/buckets/taken-1/usage?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z',
        undefined,
        400,
        'invalid',
      ],
      ['POST', '/havn/v1/access-keys', { name: 'k', buckets: ['nowhere'] }, 400, 'invalid'],
      ['POST', '/havn/v1/access-keys', { name: 'k', buckets: [] }, 400, 'invalid'],
      ['DELETE', '/havn/v1/access-keys/HAVN0000000000000000', undefined, 404, 'not_found'],
      ['PATCH', '/havn/v1/accounts/nobody/quota', { bytes: 1 }, 404, 'not_found'],
      ['PATCH', '/havn/v1/accounts/10001/quota', { buckets: 99_999_999_999 }, 400, 'invalid'],
      ['PATCH', '/havn/v1/accounts/10001/quota', { bytes: -1 }, 400, 'invalid'],
    ]
    for (const [method, path, body, status, code] of cases) {
      const answer = await call<Refused>(method, path, body)
      assert.deepEqual([answer.status, answer.body.error.code], [status, code], `${method} ${path}`)
      assert.ok(answer.body.error.message.length > 5)
    }
  })

  test('a bucket by its name or id; for an operator also another account’s, on request in lists', async () => {
    const { call, keys } = suite()
    const { body: theirs } = await call<Bucket>('POST', '/havn/v1/buckets', { name: 'theirs-1' }, keys.other)
    assert.deepEqual((await call<Bucket>('GET', `/havn/v1/buckets/${theirs.id}`, undefined, keys.other)).body, theirs)
    assert.equal((await call('GET', '/havn/v1/buckets/theirs-1')).status, 200)
    const names = async (query: string) =>
      (await call<{ items: Bucket[] }>('GET', `/havn/v1/buckets${query}`)).body.items.map(({ name }) => name)
    assert.deepEqual(await names('?prefix=theirs'), [])
    assert.deepEqual(await names('?prefix=theirs&all=true'), ['theirs-1'])
    const { body: usage } = await call<BucketUsage>('GET', '/havn/v1/buckets/theirs-1/usage', undefined, keys.other)
    assert.deepEqual([usage.bucket.name, usage.hours], ['theirs-1', []])
  })

  test('an access key can be seen again by who may make one', async () => {
    const { call, keys } = suite()
    const wish = { name: 'ci', readOnly: true, buckets: ['taken-1'] }
    const { body: made } = await call<AccessKey & { secretAccessKey: string }>('POST', '/havn/v1/access-keys', wish)
    assert.deepEqual([made.readOnly, made.buckets, made.lastUsedAt], [true, ['taken-1'], null])
    assert.deepEqual((await call('GET', `/havn/v1/access-keys/${made.accessKeyId}`)).body, made)
    assert.equal((await call('GET', `/havn/v1/access-keys/${made.accessKeyId}`, undefined, keys.reader)).status, 403)
    const { secretAccessKey: _, ...shown } = made
    const { body: list } = await call<{ items: AccessKey[] }>('GET', '/havn/v1/access-keys', undefined, keys.reader)
    assert.deepEqual(
      list.items.find(({ accessKeyId }) => accessKeyId === made.accessKeyId),
      shown,
    )
    assert.ok(!JSON.stringify(list).includes('secret'))
  })

  test('a quota changes only in what is said, and everybody sees the own one', async () => {
    const { call, keys } = suite()
    const path = '/havn/v1/accounts/other@example.net/quota'
    await call('PATCH', path, { bytes: 5000, objects: 10 })
    await call('PATCH', path, { objects: null })
    const { body } = await call<StorageQuota>('GET', '/havn/v1/account/quota', undefined, keys.other)
    assert.deepEqual(body.quota, { bytes: 5000, objects: null, buckets: null })
    assert.equal(body.used.buckets, 1)
    assert.equal((await call('PATCH', path, { bytes: null }, keys.other)).status, 403)
  })
})
