import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { sql } from 'kysely'
import { testDatabase } from '../../test/database.ts'
import type { Versioning } from '../model/bucket.ts'
import { type AccountId, newIdentity } from '../model/ids.ts'
import * as bodies from './bodies.ts'
import * as buckets from './buckets.ts'
import { connect, type Db } from './db.ts'
import * as usage from './object-usage.ts'
import * as versions from './object-versions.ts'
import * as objects from './objects.ts'
import { seqOfVersionId } from './version-ids.ts'

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
async function history(w: World, key: string): Promise<string[]> {
  const rows = await w.db
    .selectFrom('object_version')
    .select(['version_id', 'is_latest', 'is_delete_marker'])
    .where('key', '=', key)
    .orderBy('seq', 'desc')
    .execute()
  return rows.map((row) => `${row.is_latest ? '*' : ''}${row.version_id}${row.is_delete_marker ? '!' : ''}`)
}

async function assertCounted(w: World): Promise<void> {
  assert.deepEqual(await usage.miscounted(w.db), [])
}

test('a bucket that never made versions keeps one', async (t) => {
  const w = await world(t)
  assert.equal((await put(w, 'k')).versionId, 'null')
  await put(w, 'k')
  assert.deepEqual(await history(w, 'k'), ['*null'])
  assert.deepEqual(await remove(w, { key: 'k' }, { key: 'none' }), [
    { outcome: 'deleted', versionId: 'null', isMarker: false },
    { outcome: 'absent', versionId: null, isMarker: false },
  ])
  assert.deepEqual(await history(w, 'k'), [])
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
  assert.deepEqual(await history(w, 'k'), [`*${marker?.versionId}!`, first, 'null'])
  await assertCounted(w)

  await setVersioning(w, 'suspended')
  await put(w, 'k')
  assert.deepEqual(await history(w, 'k'), ['*null', `${marker?.versionId}!`, first])
  await remove(w, { key: 'k' })
  assert.deepEqual(await history(w, 'k'), ['*null!', `${marker?.versionId}!`, first])
  await assertCounted(w)

  const [gone] = await remove(w, { key: 'k', version: { id: 'null', seq: null } })
  assert.deepEqual(gone, { outcome: 'deleted', versionId: 'null', isMarker: true })
  await remove(w, { key: 'k', version: { id: marker?.versionId ?? '', seq: seq + 1 } })
  assert.deepEqual(await history(w, 'k'), [`*${first}`])
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

test('a version is found by its id, the null one wherever it is', async (t) => {
  const w = await world(t)
  const key = 'a/\u0001😀'
  await put(w, key, { etag: 'one' })
  await setVersioning(w, 'enabled')
  const two = await put(w, key, { etag: 'two' })
  const find = async (id?: string, withBody = false) => {
    const seq = id === undefined ? undefined : seqOfVersionId(id)
    const version = id === undefined || seq === undefined ? undefined : { id, seq }
    return versions.find(w.db, { bucket: w.bucket, key, version, withBody })
  }
  const latest = await find(undefined, true)
  assert.ok(latest && latest !== 'stale')
  assert.equal(latest.etag, 'two')
  assert.deepEqual(latest.inlineBody, Buffer.from('hello'))
  assert.equal(latest.headers['content-type'], 'text/plain')
  const etagOf = (found: Awaited<ReturnType<typeof find>>) => found && found !== 'stale' && found.etag
  assert.equal(etagOf(await find('null')), 'one')
  assert.equal(etagOf(await find(two.versionId)), 'two')
  assert.equal(await find(two.versionId.replace(/.$/, (digit) => (digit === '0' ? '1' : '0'))), null)
  assert.equal(seqOfVersionId(two.versionId), two.seq)
  assert.equal(seqOfVersionId('3HL4kqtJlcpXrof3vjVBH40Nr8X8gdRQ'), undefined)
  assert.equal(await versions.find(w.db, { bucket: { ...w.bucket, revision: 1 }, key }), 'stale')
  assert.equal(await versions.find(w.db, { bucket: w.bucket, key: 'none' }), null)
})

test('many who look for the latest at once find each his own', async (t) => {
  const w = await world(t)
  const keys = Array.from({ length: 50 }, (_, index) => `k${index}`)
  for (const key of keys) await put(w, key, { etag: `e-${key}` })
  const { bucket } = w
  const stale = { ...bucket, revision: bucket.revision + 1 }
  const found = await Promise.all(
    keys.map((key, index) => {
      if (index % 7 === 1) return versions.find(w.db, { bucket: stale, key })
      return versions.find(w.db, { bucket, key: index % 7 === 2 ? `no-${key}` : key, withBody: index % 2 === 0 })
    }),
  )
  for (const [index, version] of found.entries()) {
    if (index % 7 === 1) assert.equal(version, 'stale')
    else if (index % 7 === 2) assert.equal(version, null)
    else {
      assert.ok(version && version !== 'stale')
      assert.deepEqual([version.key, version.etag], [keys[index], `e-${keys[index]}`])
      assert.deepEqual(version.inlineBody, index % 2 === 0 ? Buffer.from('hello') : null)
    }
  }
})

test('a range of a body of several pieces', async (t) => {
  const w = await world(t)
  const [a, b] = [newBlob(), newBlob()] as [objects.NewBody & { kind: 'blob' }, objects.NewBody & { kind: 'blob' }]
  await put(w, 'a', { body: a, sizeBytes: 100 })
  await put(w, 'b', { body: b, sizeBytes: 100 })
  const copy = await put(w, 'c', {
    sizeBytes: 60,
    body: {
      kind: 'segments',
      segments: [
        { blobId: a.blob.id, start: 10, length: 20 },
        { blobId: b.blob.id, start: 0, length: 30 },
        { blobId: a.blob.id, start: 90, length: 10 },
      ],
    },
  })
  const range = async (start: number, length: number) =>
    (await bodies.segments(w.db, copy.seq, start, length)).map((s) => [s.blobId === a.blob.id, s.start, s.length])
  assert.deepEqual(await range(0, 60), [
    [true, 10, 20],
    [false, 0, 30],
    [true, 90, 10],
  ])
  assert.deepEqual(await range(25, 1), [[false, 5, 1]])
  assert.deepEqual(await range(19, 32), [
    [true, 29, 1],
    [false, 0, 30],
    [true, 90, 1],
  ])
  await assert.rejects(
    put(w, 'd', { body: { kind: 'segments', segments: [{ blobId: '0'.repeat(32), start: 0, length: 5 }] } }),
    objects.isForeignKeyViolation,
  )
})

test('a quota holds to the byte, whoever writes at once', async (t) => {
  const w = await world(t)
  const many = connect(w.url, { max: 30 })
  t.after(() => many.destroy())
  const fill = async (count: number, size: number) => {
    const outcomes = await Promise.all(
      Array.from({ length: count }, (_, i) =>
        objects.publish(many, version(w, `${size}-${i}`, { sizeBytes: size, etag: 'x' })),
      ),
    )
    return outcomes.filter(({ outcome }) => outcome === 'published').length
  }
  await w.db.updateTable('account').set({ quota_bytes: 50_000, quota_objects: 1_000_000 }).execute()
  assert.equal(await fill(400, 10), 400)
  assert.equal(await fill(100, 1000), 46)
  assert.equal(await fill(20, 5), 0)
  // What replaces as much is no more than before.
  assert.equal(await fill(40, 10), 40)
  await w.db.updateTable('account').set({ quota_objects: 480, quota_bytes: null }).execute()
  assert.equal(await fill(80, 7), 34)
  await assertCounted(w)
})

test('byte seconds fall into the hours they belong to', async (t) => {
  const w = await world(t)
  const passes = async (hours: number) => {
    await sql`UPDATE clock SET time_offset = time_offset + ${`${hours} hours`}::interval`.execute(w.db)
  }
  await sql`UPDATE clock SET time_offset = date_trunc('hour', now()) - now()`.execute(w.db)
  await put(w, 'k', { sizeBytes: 1000 })
  await passes(2.5)
  await put(w, 'k', { sizeBytes: 3000 })
  await passes(1)
  await usage.closeHours(w.db)
  const hours = await w.db.selectFrom('bucket_hour').select('byte_seconds').orderBy('hour').execute()
  const seconds = hours.map(({ byte_seconds }) => Math.round(Number(byte_seconds) / 3_600_0) / 100)
  assert.deepEqual(seconds, [1, 1, 2])
})

test('a bucket that is deleted while others write into it leaves nothing behind', async (t) => {
  const w = await world(t)
  const many = connect(w.url, { max: 20 })
  t.after(() => many.destroy())
  for (let round = 0; round < 10; round++) {
    const name = `going-${round}`
    const made = await buckets.insert(
      many,
      { name, accountId: w.accountId, tier: 'standard', location: 'here', versioning: 'off', settings: {} },
      false,
    )
    assert.ok(typeof made === 'object')
    const [removed, ...outcomes] = await Promise.all([
      buckets.remove(many, made),
      ...Array.from({ length: 8 }, async (_, i) => {
        const published = await objects.publish(many, version(w, `k${i}`, { bucket: made }))
        return published.outcome
      }),
    ])
    const rows = await w.db
      .selectFrom('object_version')
      .select('key')
      .where('bucket_number', '=', made.number)
      .execute()
    const published = outcomes.filter((outcome) => outcome === 'published').length
    assert.ok(outcomes.every((outcome) => outcome === 'published' || outcome === 'stale'))
    assert.equal(rows.length, published)
    assert.equal(removed, published === 0 ? 'removed' : removed)
    if (removed === 'removed') assert.equal(published, 0)
  }
})

test('one refused key of many does not hold up the others, and a lock protects', async (t) => {
  const w = await world(t, 'enabled')
  const until = new Date(Date.now() + 3_600_000)
  const properties = { ...version(w, 'x').properties, retention: { mode: 'GOVERNANCE' as const, until } }
  const kept = await put(w, 'kept', { properties })
  const free = await put(w, 'free')
  const byDefault = await put(w, 'default', { defaultRetention: { mode: 'COMPLIANCE', days: 1 } })
  const deletion = (
    key: string,
    { versionId: id, seq }: { versionId: string; seq: number },
    bypassGovernance = false,
  ) => ({
    key,
    version: { id, seq },
    bypassGovernance,
  })
  const outcomes = await remove(
    w,
    deletion('kept', kept),
    deletion('free', free),
    deletion('default', byDefault, true),
    deletion('kept', kept, true),
  )
  assert.deepEqual(
    outcomes.map(({ outcome }) => outcome),
    ['protected', 'deleted', 'protected', 'deleted'],
  )
  const late = { ...properties, retention: { mode: 'GOVERNANCE' as const, until: new Date(0) } }
  assert.equal((await objects.publish(w.db, version(w, 'k', { properties: late }))).outcome, 'past_retention')
  await assertCounted(w)
})
