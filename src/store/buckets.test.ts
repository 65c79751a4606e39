import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testDatabase } from '../../test/database.ts'
import { make } from '../../test/make.ts'
import type { Bucket } from '../model/bucket.ts'
import type { AccountId } from '../model/ids.ts'
import * as buckets from './buckets.ts'
import { type Db, execute } from './db.ts'

const wish = (name: string, accountId: AccountId): buckets.NewBucket => ({
  name,
  accountId,
  tier: 'standard',
  location: 'no-oslo-1',
  versioning: 'off',
  settings: {},
})
const made = async (db: Db, name: string, accountId: AccountId): Promise<Bucket> => {
  const bucket = await buckets.insert(db, wish(name, accountId), false)
  assert.ok(typeof bucket === 'object', `${name} is taken: ${bucket as string}`)
  return bucket
}

test('a name belongs to one bucket, and to none after it is gone', async (t) => {
  const { db } = await testDatabase(t)
  const [{ accountId: me }, { accountId: other }] = [await make(db), await make(db)]
  const insert = (accountId: AccountId, reuses: boolean) => buckets.insert(db, wish('media', accountId), reuses)
  const first = await made(db, 'media', me)
  assert.deepEqual([await insert(me, true), await insert(other, true)], ['own', 'other'])
  assert.equal(await buckets.remove(db, first), 'removed')
  assert.equal(await buckets.remove(db, first), 'gone')
  assert.equal(await buckets.find(db, 'media'), undefined)
  assert.deepEqual(
    [await insert(me, false), await insert(other, true), await insert(other, false)],
    ['burnt', 'burnt', 'burnt'],
  )
  const again = await insert(me, true)
  assert.ok(typeof again === 'object' && again.id !== first.id && again.number !== first.number)
  assert.equal(await insert(me, true), 'own')
})

test('of many who take a name at once one gets it', async (t) => {
  const { db } = await testDatabase(t)
  const { accountId } = await make(db)
  const results = await Promise.all(Array.from({ length: 8 }, () => buckets.insert(db, wish('one', accountId), true)))
  assert.deepEqual(results.filter((result) => result === 'own').length, 7)
})

test('only an empty bucket goes, and its unfinished uploads with it', async (t) => {
  const { db } = await testDatabase(t)
  const { accountId } = await make(db)
  const bucket = await made(db, 'full', accountId)
  const blob = '0197a0c0-0000-7000-8000-000000000001'
  await execute(
    db,
    `INSERT INTO object_version (bucket_number, key, seq, version_id, is_latest, is_delete_marker, size_bytes, etag,
       modified_at, account_id) VALUES (${bucket.number}, 'k', 1, 'null', true, true, 0, '', now(), '${accountId}');
     INSERT INTO blob (id, plain_bytes, stored_bytes) VALUES ('${blob}', 5, 5);
     INSERT INTO multipart_upload (id, bucket_number, key, account_id, properties)
       VALUES ('u', ${bucket.number}, 'k', '${accountId}', '{}');
     INSERT INTO upload_part (upload_id, part_number, body_id, size_bytes, md5, etag) VALUES ('u', 1, 7, 5, '', '');
     INSERT INTO body_segment VALUES (7, 0, '${blob}', 0, 5)`,
  )
  assert.equal(await buckets.remove(db, bucket), 'not empty', 'a delete marker is something')
  await execute(db, 'DELETE FROM object_version')
  assert.equal(await buckets.remove(db, bucket), 'removed')
  for (const table of ['multipart_upload', 'upload_part', 'body_segment'] as const) {
    assert.deepEqual(await db.selectFrom(table).selectAll().execute(), [], table)
  }
  assert.deepEqual((await db.selectFrom('released_blob').select('blob_id').execute())[0]?.blob_id, blob)
})

test('lists go by name, in bytes, from where the last page ended', async (t) => {
  const { db } = await testDatabase(t)
  const [{ accountId }, { accountId: other }] = [await make(db), await make(db)]
  for (const name of ['b-2', 'a-1', 'b.1', 'b-1', 'c-1']) await made(db, name, accountId)
  await made(db, 'b-3', other)
  const names = async (query: Omit<buckets.ListQuery, 'accountId' | 'limit'>, limit = 10) =>
    (await buckets.list(db, { accountId, limit, ...query })).map(({ name }) => name)
  assert.deepEqual(await names({}), ['a-1', 'b-1', 'b-2', 'b.1', 'c-1'])
  assert.deepEqual(await names({ prefix: 'b' }, 2), ['b-1', 'b-2'])
  assert.deepEqual(await names({ prefix: 'b', after: 'b-2' }), ['b.1'])
  assert.deepEqual(await names({ prefix: '%' }), [])
  assert.equal(await buckets.count(db, accountId), 5)
})

test('a change counts, and reads what it changes under the lock', async (t) => {
  const { db } = await testDatabase(t)
  const { accountId } = await make(db)
  const bucket = await made(db, 'tagged', accountId)
  const add = (name: string) =>
    buckets.change(db, bucket, ({ settings }) => ({
      settings: { ...settings, tags: { ...settings.tags, [name]: '1' } },
    }))
  await Promise.all(['a', 'b', 'c', 'd'].map(add))
  const now = await buckets.find(db, 'tagged')
  assert.deepEqual(Object.keys(now?.settings.tags ?? {}).sort(), ['a', 'b', 'c', 'd'])
  assert.equal(now?.revision, 5)
  await buckets.remove(db, bucket)
  assert.equal(await add('e'), undefined)
})

test('usage is the sum of the shards', async (t) => {
  const { db } = await testDatabase(t)
  const { accountId } = await make(db)
  const [one, two] = [await made(db, 'one', accountId), await made(db, 'two', accountId)]
  const add = (number: number, shard: number, bytes: number) =>
    db.insertInto('bucket_usage').values({ bucket_number: number, shard, objects: 1, versions: 2, bytes }).execute()
  await add(one.number, 1, 100)
  await add(one.number, 2, 2 ** 40)
  await add(two.number, 1, 1)
  const held = await buckets.usage(db, [one.number, two.number, 999])
  assert.deepEqual(held(one.number), { objects: 2, versions: 4, bytes: 2 ** 40 + 100, uploadBytes: 0 })
  assert.deepEqual(held(999), { objects: 0, versions: 0, bytes: 0, uploadBytes: 0 })
  assert.deepEqual(await buckets.usageOfAccount(db, accountId), {
    buckets: 2,
    objects: 3,
    versions: 6,
    bytes: 2 ** 40 + 101,
    uploadBytes: 0,
  })
})
