import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { sql } from 'kysely'
import { testDatabase } from '../../test/database.ts'
import type { Versioning } from '../model/bucket.ts'
import { type AccountId, newIdentity } from '../model/ids.ts'
import { connect, type Db } from './db.ts'
import * as objects from './objects.ts'

interface World {
  db: Db
  url: string
  accountId: AccountId
  bucket: { number: number; revision: number }
}

async function world(t: Parameters<typeof testDatabase>[0], versioning: Versioning = 'off'): Promise<World> {
  const { db, url } = await testDatabase(t)
  const account = newIdentity('account')
  await db
    .insertInto('account')
    .values({ ...account, email: 'a@example.net', name: 'a', console_password_hash: null } as never)
    .execute()
  return { db, url, accountId: account.id, bucket: await makeBucket(db, account.id, 'b', versioning) }
}

async function makeBucket(db: Db, accountId: AccountId, name: string, versioning: Versioning) {
  await db.insertInto('bucket_name').values({ name, account_id: accountId, released_at: null }).execute()
  return db
    .insertInto('bucket')
    .values({ id: newIdentity('bucket').id, name, account_id: accountId, location: 'here', versioning })
    .returning(['number', 'revision'])
    .executeTakeFirstOrThrow()
}

const setVersioning = async (w: World, versioning: Versioning): Promise<void> => {
  w.bucket = await w.db
    .updateTable('bucket')
    .set({ versioning, revision: w.bucket.revision + 1 })
    .where('number', '=', w.bucket.number)
    .returning(['number', 'revision'])
    .executeTakeFirstOrThrow()
}

function version(w: World, key: string, change: Partial<objects.NewVersion> = {}): objects.NewVersion {
  const bytes = Buffer.from('hello')
  return {
    bucket: w.bucket,
    key,
    accountId: w.accountId,
    sizeBytes: bytes.length,
    etag: randomBytes(16).toString('hex'),
    checksum: null,
    encryption: null,
    properties: {
      headers: { 'content-type': 'text/plain' },
      metadata: {},
      tags: {},
      storageClass: 'STANDARD',
      acl: null,
      retention: null,
      legalHold: false,
    },
    body: { kind: 'inline', bytes, wrappedKey: null },
    ...change,
  }
}
async function put(w: World, key: string, change: Partial<objects.NewVersion> = {}, db = w.db) {
  const published = await objects.publish(db, version(w, key, change))
  assert.equal(published.outcome, 'published')
  return published as Extract<objects.Published, { outcome: 'published' }>
}
async function remove(w: World, ...deletions: objects.Deletion[]): Promise<objects.Deleted[]> {
  const removed = await objects.remove(w.db, { bucket: w.bucket, accountId: w.accountId, deletions })
  assert.notEqual(removed, 'stale')
  return removed as objects.Deleted[]
}
const newBlob = (): objects.NewBody => ({
  kind: 'blob',
  blob: { id: randomBytes(16).toString('hex'), storedBytes: 5, md5: randomBytes(16), wrappedKey: null },
})

/** What the key has, newest first, as `id` or `id!` for a delete marker; the current one with a `*`. */
async function versions(w: World, key: string): Promise<string[]> {
  const rows = await w.db
    .selectFrom('object_version')
    .select(['version_id', 'is_latest', 'is_delete_marker'])
    .where('key', '=', key)
    .orderBy('seq', 'desc')
    .execute()
  return rows.map((row) => `${row.is_latest ? '*' : ''}${row.version_id}${row.is_delete_marker ? '!' : ''}`)
}

async function assertCounted(w: World): Promise<void> {
  const { rows } = await sql<Record<string, number>>`
    SELECT u.*, r.* FROM
      (SELECT coalesce(sum(objects), 0)::bigint objects, coalesce(sum(versions), 0)::bigint versions,
        coalesce(sum(bytes), 0)::bigint bytes FROM bucket_usage WHERE bucket_number = ${w.bucket.number}) u,
      (SELECT count(*) FILTER (WHERE is_latest AND NOT is_delete_marker) r_objects, count(*) r_versions,
        coalesce(sum(size_bytes), 0)::bigint r_bytes FROM object_version WHERE bucket_number = ${w.bucket.number}) r
  `.execute(w.db)
  const { objects, versions, bytes, r_objects, r_versions, r_bytes } = rows[0]!
  assert.deepEqual([objects, versions, bytes], [r_objects, r_versions, r_bytes])
}

test('a bucket that never made versions keeps one', async (t) => {
  const w = await world(t)
  assert.equal((await put(w, 'k')).versionId, 'null')
  await put(w, 'k')
  assert.deepEqual(await versions(w, 'k'), ['*null'])
  assert.deepEqual(await remove(w, { key: 'k' }, { key: 'none' }), [
    { outcome: 'deleted', versionId: 'null', isMarker: false },
    { outcome: 'absent', versionId: null, isMarker: false },
  ])
  assert.deepEqual(await versions(w, 'k'), [])
  await assertCounted(w)
})

test('versions, markers, and a null version below them', async (t) => {
  const w = await world(t)
  await put(w, 'k')
  await setVersioning(w, 'enabled')
  const { versionId: first, seq } = await put(w, 'k')
  assert.match(first, /^[0-9a-f]{32}$/)
  const [marker] = await remove(w, { key: 'k' })
  assert.equal(marker?.outcome, 'marked')
  assert.deepEqual(await versions(w, 'k'), [`*${marker?.versionId}!`, first, 'null'])
  await assertCounted(w)

  await setVersioning(w, 'suspended')
  await put(w, 'k')
  assert.deepEqual(await versions(w, 'k'), ['*null', `${marker?.versionId}!`, first])
  await remove(w, { key: 'k' })
  assert.deepEqual(await versions(w, 'k'), ['*null!', `${marker?.versionId}!`, first])
  await assertCounted(w)

  const [gone] = await remove(w, { key: 'k', version: { id: 'null', seq: null } })
  assert.deepEqual(gone, { outcome: 'deleted', versionId: 'null', isMarker: true })
  await remove(w, { key: 'k', version: { id: marker?.versionId ?? '', seq: seq + 1 } })
  assert.deepEqual(await versions(w, 'k'), [`*${first}`])
  await assertCounted(w)
})

test('preconditions', async (t) => {
  const w = await world(t)
  const outcome = async (key: string, preconditions: objects.Preconditions) =>
    (await objects.publish(w.db, version(w, key, { preconditions }))).outcome
  await put(w, 'k', { etag: 'aa' })
  assert.equal(await outcome('k', { ifNoneMatch: ['*'] }), 'precondition_failed')
  assert.equal(await outcome('k', { ifNoneMatch: ['bb', 'aa'] }), 'precondition_failed')
  assert.equal(await outcome('k', { ifMatch: ['bb'] }), 'precondition_failed')
  assert.equal(await outcome('free', { ifMatch: ['*'] }), 'no_such_key')
  assert.equal(await outcome('free', { ifNoneMatch: ['*'] }), 'published')
  assert.equal(await outcome('k', { ifMatch: ['bb', 'aa'] }), 'published')
  await put(w, 'k', { etag: 'cc' })
  assert.equal((await remove(w, { key: 'k', ifMatch: ['aa'] }))[0]?.outcome, 'precondition_failed')
  assert.equal((await remove(w, { key: 'none', ifMatch: ['aa'] }))[0]?.outcome, 'absent')
  assert.equal((await remove(w, { key: 'k', ifMatch: ['cc'] }))[0]?.outcome, 'deleted')
  await setVersioning(w, 'enabled')
  await put(w, 'm')
  await remove(w, { key: 'm' })
  assert.equal(await outcome('m', { ifNoneMatch: ['*'] }), 'published')
})

test('a bucket that changed, or is gone, is stale', async (t) => {
  const w = await world(t)
  const old = w.bucket
  await setVersioning(w, 'enabled')
  assert.equal((await objects.publish(w.db, version(w, 'k', { bucket: old }))).outcome, 'stale')
  assert.equal(await objects.remove(w.db, { ...w, bucket: old, deletions: [{ key: 'k' }] }), 'stale')
})

test('one of many wins, and all is counted', async (t) => {
  const w = await world(t, 'enabled')
  const many = connect(w.url, { max: 40 })
  t.after(() => many.destroy())
  const won = await Promise.all(
    Array.from({ length: 40 }, () =>
      objects.publish(many, version(w, 'lock', { preconditions: { ifNoneMatch: ['*'] } })),
    ),
  )
  assert.equal(won.filter(({ outcome }) => outcome === 'published').length, 1)

  const keys = ['a', 'b', 'ключ\u0001😀', 'x'.repeat(1024)]
  await Promise.all(
    Array.from({ length: 300 }, async (_, i) => {
      const key = keys[i % keys.length]!
      if (i % 5 === 0) await objects.remove(many, { ...w, deletions: keys.map((k) => ({ key: k })).reverse() })
      else if (i % 7 === 0) await objects.remove(many, { ...w, deletions: keys.map((k) => ({ key: k })) })
      else await put(w, key, i % 3 === 0 ? { body: newBlob() } : {}, many)
    }),
  )
  await assertCounted(w)
  const { rows } = await sql`
    SELECT key FROM (SELECT key, is_latest, row_number() OVER (PARTITION BY key ORDER BY seq DESC) n FROM object_version) v
      WHERE is_latest <> (n = 1)`.execute(w.db)
  assert.deepEqual(rows, [])
})
