import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { sql } from 'kysely'
import { testDatabase } from '../../test/database.ts'
import type { Bucket } from '../model/bucket.ts'
import { newIdentity } from '../model/ids.ts'
import * as buckets from './buckets.ts'
import { connect, type Db } from './db.ts'
import * as multipart from './multipart.ts'
import * as objects from './objects.ts'

async function world(t: Parameters<typeof testDatabase>[0]) {
  const { db, url } = await testDatabase(t)
  const account = newIdentity('account')
  await db
    .insertInto('account')
    .values({ ...account, email: 'a@example.net', name: 'a', console_password_hash: null } as never)
    .execute()
  const bucket = (await buckets.insert(
    db,
    { name: 'b-1', accountId: account.id, tier: 'standard', location: 'here', versioning: 'off', settings: {} },
    false,
  )) as Bucket
  return { db, url, accountId: account.id, bucket }
}
type World = Awaited<ReturnType<typeof world>>

const PROPERTIES = {
  headers: {},
  metadata: {},
  tags: {},
  storageClass: 'STANDARD',
  acl: null,
  retention: { mode: 'GOVERNANCE' as const, until: new Date('2040-01-01T00:00:00Z') },
  legalHold: false,
}

async function begin(w: World, key = 'k'): Promise<multipart.UploadRef> {
  const id = await multipart.insert(w.db, {
    bucket: w.bucket,
    key,
    accountId: w.accountId,
    ownerId: w.accountId,
    accessKeyId: null,
    properties: PROPERTIES,
    checksumAlgorithm: null,
    checksumType: null,
    encryption: null,
  })
  assert.ok(id)
  return { bucketNumber: w.bucket.number, key, id }
}

const part = (upload: multipart.UploadRef, number: number, sizeBytes: number): multipart.NewPart => ({
  upload,
  number,
  sizeBytes,
  md5: randomBytes(16),
  etag: 'e',
  checksum: null,
  body:
    sizeBytes === 0
      ? { kind: 'segments', segments: [] }
      : { kind: 'blob', blob: { id: randomUUID(), storedBytes: sizeBytes, md5: null, wrappedKey: null } },
})
const blobOf = (made: multipart.NewPart) => (made.body as { blob: objects.NewBlob }).blob.id

async function complete(db: Db, w: World, upload: multipart.UploadRef, numbers: number[]): Promise<number | null> {
  return db.transaction().execute(async (tx) => {
    const locked = await multipart.lock(tx, upload)
    if (!locked || locked.outcome !== null) return null
    const parts = await multipart.parts(tx, upload.id, { after: 0, limit: 10_000 })
    const bytes = (some: multipart.Part[]) => some.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    const published = await objects.publish(tx, {
      bucket: w.bucket,
      key: upload.key,
      accountId: w.accountId,
      sizeBytes: bytes(parts.filter(({ number }) => numbers.includes(number))),
      etag: 'x',
      checksum: null,
      encryption: null,
      properties: locked.properties,
      body: { kind: 'segments', segments: [] },
      uploadBytes: bytes(parts),
    })
    assert.equal(published.outcome, 'published')
    const { seq } = published as Extract<objects.Published, { outcome: 'published' }>
    await multipart.finish(tx, { uploadId: upload.id, seq, numbers, outcome: { seq } })
    return seq
  })
}

const one = async <T>(db: Db, query: ReturnType<typeof sql<T>>): Promise<T> => (await query.execute(db)).rows[0] as T
const usage = (w: World) =>
  one(
    w.db,
    sql<{ bytes: number; uploadBytes: number; objects: number }>`
      SELECT coalesce(sum(bytes), 0)::bigint AS bytes, coalesce(sum(upload_bytes), 0)::bigint AS "uploadBytes",
        coalesce(sum(objects), 0)::bigint AS objects FROM bucket_usage WHERE bucket_number = ${w.bucket.number}`,
  )
const released = async (w: World) =>
  (await w.db.selectFrom('released_blob').select('blob_id').distinct().execute()).map(({ blob_id }) => blob_id).sort()

test('the listed parts become the body, in order, and all others go', async (t) => {
  const w = await world(t)
  const upload = await begin(w)
  const made = [part(upload, 7, 70), part(upload, 2, 20), part(upload, 5, 0), part(upload, 3, 30), part(upload, 2, 21)]
  for (const one of made) assert.equal((await multipart.putPart(w.db, one)).outcome, 'put')
  assert.deepEqual(await usage(w), { bytes: 0, uploadBytes: 121, objects: 0 })
  assert.deepEqual(await released(w), [blobOf(made[1]!)])

  const seq = await complete(w.db, w, upload, [2, 5, 7])
  const { rows } = await sql`SELECT body_start AS start, blob_id AS blob, length FROM body_segment
    WHERE body_id = ${seq} ORDER BY body_start`.execute(w.db)
  assert.deepEqual(rows, [
    { start: 0, blob: blobOf(made[4]!), length: 21 },
    { start: 21, blob: blobOf(made[0]!), length: 70 },
  ])
  assert.deepEqual(await usage(w), { bytes: 91, uploadBytes: 0, objects: 1 })
  assert.deepEqual(await released(w), [blobOf(made[1]!), blobOf(made[3]!)].sort())
  assert.deepEqual((await multipart.find(w.db, upload))?.outcome, { seq })
  assert.deepEqual((await multipart.find(w.db, upload))?.properties, PROPERTIES)
  assert.equal((await multipart.putPart(w.db, part(upload, 8, 1))).outcome, 'no_such_upload')
  assert.equal(await multipart.abort(w.db, upload), false)
})

test('an aborted upload leaves nothing, and its late parts find nothing', async (t) => {
  const w = await world(t)
  const upload = await begin(w)
  const made = [part(upload, 1, 10), part(upload, 2, 20)]
  for (const one of made) await multipart.putPart(w.db, one)
  assert.equal(await multipart.abort(w.db, { ...upload, key: 'other' }), false)
  assert.equal(await multipart.abort(w.db, upload), true)
  assert.equal(await multipart.abort(w.db, upload), false)
  assert.equal((await multipart.putPart(w.db, part(upload, 3, 30))).outcome, 'no_such_upload')
  assert.deepEqual(await usage(w), { bytes: 0, uploadBytes: 0, objects: 0 })
  assert.deepEqual(await released(w), made.map(blobOf).sort())
  assert.equal(await multipart.find(w.db, upload), undefined)
})

test('of parts, completes and aborts at the same time, what remains always adds up', async (t) => {
  const w = await world(t)
  const db = connect(w.url, { max: 12 })
  t.after(() => db.destroy())
  for (let round = 0; round < 12; round++) {
    const upload = await begin(w, `k${round}`)
    await multipart.putPart(db, part(upload, 1, 100))
    const late = [1, 1, 2, 2, 3, 3].map((number) => multipart.putPart(db, part(upload, number, number)))
    const ends = [complete(db, w, upload, [1]), complete(db, w, upload, [1]), multipart.abort(db, upload)]
    const [first, second, aborted] = (await Promise.all(ends)) as [number | null, number | null, boolean]
    await Promise.all(late)
    assert.equal([first !== null, second !== null, aborted].filter(Boolean).length, 1, 'just one of them ended it')
  }
  const held = await one(
    db,
    sql<{ bytes: number; parts: number; segments: number }>`
      SELECT (SELECT coalesce(sum(size_bytes), 0)::bigint FROM object_version) AS bytes,
        (SELECT count(*) FROM upload_part) AS parts, (SELECT coalesce(sum(length), 0)::bigint FROM body_segment) AS segments`,
  )
  assert.equal(held.parts, 0)
  assert.equal(held.segments, held.bytes)
  const counted = await usage(w)
  assert.equal(counted.uploadBytes, 0)
  assert.equal(counted.bytes, held.bytes)
  const unaccounted = await one(
    db,
    sql<{ count: number }>`SELECT count(*) FROM blob WHERE id NOT IN (SELECT blob_id FROM body_segment)
      AND id NOT IN (SELECT blob_id FROM released_blob)`,
  )
  assert.equal(unaccounted.count, 0, 'every blob is in use, or left to the sweeper')
})

test('no part comes above the quota, and replacing one counts the difference', async (t) => {
  const w = await world(t)
  await sql`UPDATE account SET quota_bytes = 1000`.execute(w.db)
  const upload = await begin(w)
  assert.equal((await multipart.putPart(w.db, part(upload, 1, 900))).outcome, 'put')
  assert.equal((await multipart.putPart(w.db, part(upload, 2, 200))).outcome, 'quota')
  assert.equal((await multipart.putPart(w.db, part(upload, 1, 1000))).outcome, 'put')
  assert.notEqual(await complete(w.db, w, upload, [1]), null)
  assert.deepEqual(await usage(w), { bytes: 1000, uploadBytes: 0, objects: 1 })
})

test('a bucket that changed begins no upload', async (t) => {
  const w = await world(t)
  const upload = multipart.insert(w.db, {
    bucket: { number: w.bucket.number, revision: w.bucket.revision + 1 },
    key: 'k',
    accountId: w.accountId,
    ownerId: w.accountId,
    accessKeyId: null,
    properties: PROPERTIES,
    checksumAlgorithm: null,
    checksumType: null,
    encryption: null,
  })
  assert.equal(await upload, undefined)
})
