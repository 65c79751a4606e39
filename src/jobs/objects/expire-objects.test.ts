import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { testDatabase } from '../../../test/database.ts'
import type { Bucket, Versioning } from '../../model/bucket.ts'
import { newIdentity } from '../../model/ids.ts'
import type { LifecycleRule } from '../../model/lifecycle.ts'
import type { ObjectProperties } from '../../model/object.ts'
import * as buckets from '../../store/buckets.ts'
import { execute } from '../../store/db.ts'
import * as expiry from '../../store/expiry.ts'
import * as multipart from '../../store/multipart.ts'
import * as objects from '../../store/objects.ts'
import { expireObjects } from './expire-objects.ts'

const DAY_MS = 86_400_000

async function world(t: TestContext, versioning: Versioning, ...rules: Partial<LifecycleRule>[]) {
  const { db } = await testDatabase(t)
  const account = newIdentity('account')
  await db
    .insertInto('account')
    .values({ ...account, email: 'a@example.net', name: 'a', console_password_hash: null } as never)
    .execute()
  const lifecycle = rules.map((rule, index) => ({ id: `r${index}`, isEnabled: true, filter: {}, ...rule }))
  const made = (await buckets.insert(
    db,
    { name: 'b-1', accountId: account.id, tier: 'standard', location: 'here', versioning, settings: { lifecycle } },
    false,
  )) as Bucket

  const properties = (more: Partial<ObjectProperties>): ObjectProperties => ({
    headers: {},
    metadata: {},
    tags: {},
    storageClass: 'STANDARD',
    acl: null,
    retention: null,
    legalHold: false,
    ...more,
  })
  return {
    db,
    bucket: made,
    async put(key: string, more: Partial<ObjectProperties> = {}) {
      const bytes = Buffer.from('hello')
      const published = await objects.publish(db, {
        bucket: made,
        key,
        accountId: account.id,
        sizeBytes: bytes.length,
        etag: randomBytes(16).toString('hex'),
        checksum: null,
        encryption: null,
        properties: properties(more),
        body: { kind: 'inline', bytes, wrappedKey: null },
      })
      assert.equal(published.outcome, 'published')
      return published as Extract<objects.Published, { outcome: 'published' }>
    },
    async drop(key: string, version?: { id: string; seq: number }) {
      await objects.remove(db, {
        bucket: made,
        accountId: account.id,
        deletions: [{ key, ...(version && { version }) }],
      })
    },
    async begin(key: string) {
      return multipart.insert(db, {
        bucket: made,
        key,
        accountId: account.id,
        ownerId: account.id,
        accessKeyId: null,
        properties: properties({}),
        checksumAlgorithm: null,
        checksumType: null,
        encryption: null,
      })
    },
    round: () => expireObjects(1).run({ db }, new AbortController().signal),
    async pass(days: number) {
      await execute(db, `UPDATE clock SET time_offset = time_offset + interval '${days} days'`)
    },
    /** What there is: `key`, `key+` for what is not the latest, `key!` for a delete marker. */
    async shown() {
      const rows = await db
        .selectFrom('object_version')
        .select(['key', 'is_latest', 'is_delete_marker'])
        .orderBy('key')
        .orderBy('seq', 'desc')
        .execute()
      return rows.map((row) => `${row.key}${row.is_delete_marker ? '!' : ''}${row.is_latest ? '' : '+'}`)
    },
    async counted() {
      const { objects, versions, bytes } = (await buckets.usage(db, [made.number]))(made.number)
      return { objects, versions, bytes }
    },
  }
}

test('objects go when their days are over, and the counters know', async (t) => {
  const w = await world(t, 'off', { filter: { prefix: 'tmp/' }, expiration: { days: 2 } })
  await w.put('a')
  await w.put('tmp/a')
  await w.put('tmp/b', { tags: { keep: 'no' } })
  await w.round()
  assert.deepEqual(await w.shown(), ['a', 'tmp/a', 'tmp/b'])
  await w.pass(3)
  await w.put('tmp/new')
  await w.round()
  await w.round()
  assert.deepEqual(await w.shown(), ['a', 'tmp/new'])
  assert.deepEqual(await w.counted(), { objects: 2, versions: 2, bytes: 10 })
})

test('with versioning the current version hides behind a marker; noncurrent ones go; then the marker', async (t) => {
  const w = await world(
    t,
    'enabled',
    { expiration: { days: 1 } },
    { noncurrentExpiration: { days: 1, newerNoncurrentVersions: 1 } },
    { expiration: { expiredObjectDeleteMarker: true } },
  )
  for (let count = 0; count < 4; count++) await w.put('k')
  await w.pass(2)
  await w.put('young')
  await w.round()
  // One noncurrent version stays by its number; what was current became noncurrent only now.
  assert.deepEqual(await w.shown(), ['k!', 'k+', 'k+', 'young'])
  await w.pass(2)
  await w.round()
  assert.deepEqual(await w.shown(), ['k!', 'k+', 'young!', 'young+'])
  const [version] = await expiry.walkVersions(w.db, w.bucket.number, 'k', null, 2).then((rows) => rows.slice(1))
  assert.ok(version)
  await w.drop('k', { id: version.versionId, seq: version.seq })
  await w.round()
  assert.deepEqual(await w.shown(), ['young!', 'young+'])
  assert.deepEqual(await w.counted(), { objects: 0, versions: 2, bytes: 5 })
})

test('what is locked stays, and does not hold up the rest', async (t) => {
  const w = await world(t, 'enabled', { noncurrentExpiration: { days: 1 } })
  const until = new Date(Date.now() + 30 * DAY_MS)
  await w.put('hold', { legalHold: true })
  await w.put('kept', { retention: { mode: 'GOVERNANCE', until } })
  await w.put('loose')
  for (const key of ['hold', 'kept', 'loose']) await w.put(key)
  await w.pass(3)
  await w.round()
  assert.deepEqual(await w.shown(), ['hold', 'hold+', 'kept', 'kept+', 'loose'])
  await w.pass(30)
  await w.round()
  assert.deepEqual(await w.shown(), ['hold', 'hold+', 'kept', 'loose'])
})

test('tags and sizes narrow a rule', async (t) => {
  const w = await world(t, 'off', { filter: { tags: { team: 'red' }, sizeLessThanBytes: 6 }, expiration: { days: 1 } })
  await w.put('red', { tags: { team: 'red', more: 'x' } })
  await w.put('blue', { tags: { team: 'blue' } })
  await w.pass(2)
  await w.round()
  assert.deepEqual(await w.shown(), ['blue'])
})

test('a version that became current again meanwhile is not thrown away', async (t) => {
  const w = await world(t, 'enabled', { noncurrentExpiration: { days: 1 } })
  const old = await w.put('k')
  const young = await w.put('k')
  await w.drop('k', { id: young.versionId, seq: young.seq })
  const seen = { key: 'k', seq: old.seq, versionId: old.versionId, fate: 'remove' as const, wasLatest: false }
  const bucket = { ...w.bucket, accountId: w.bucket.accountId }
  assert.equal(await expiry.expire(w.db, bucket, [seen]), 0)
  assert.deepEqual(await w.shown(), ['k'])
  const stale = { ...bucket, revision: bucket.revision + 1 }
  assert.equal(await expiry.expire(w.db, stale, [{ ...seen, wasLatest: true }]), undefined)
  assert.deepEqual(await w.shown(), ['k'])
})

test('uploads that nobody finishes are aborted', async (t) => {
  const w = await world(t, 'off', { filter: { prefix: 'up/' }, abortIncompleteUploadDays: 2 })
  const ids = [await w.begin('up/a'), await w.begin('other')]
  await w.round()
  await w.pass(3)
  ids.push(await w.begin('up/b'))
  await w.round()
  const left = await w.db.selectFrom('multipart_upload').select('key').orderBy('key').execute()
  assert.deepEqual(
    left.map(({ key }) => key),
    ['other', 'up/b'],
  )
  assert.equal(new Set(ids).size, 3)
})

test('pages of versions join up, wherever they are cut', async (t) => {
  const w = await world(t, 'enabled', { expiration: { days: 1 } })
  for (const key of ['a', 'a', 'a', 'a/b', 'b', 'b', randomUUID()]) await w.put(key)
  const walk = async (limit: number, prefix = '') => {
    const seen: string[] = []
    let place: expiry.Place = null
    for (;;) {
      const page: expiry.WalkedVersion[] = await expiry.walkVersions(w.db, w.bucket.number, prefix, place, limit)
      seen.push(...page.map(({ key, seq }) => `${key}:${seq}`))
      if (page.length < limit) return seen
      place = page.at(-1) ?? null
    }
  }
  const whole = await walk(100)
  assert.equal(whole.length, 7)
  for (const limit of [1, 2, 3, 4, 7, 8]) assert.deepEqual(await walk(limit), whole)
  assert.equal((await walk(2, 'a')).length, whole.filter((line) => line.startsWith('a')).length)
})
