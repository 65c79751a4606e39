/** The sweepers of object storage, on a real database and real files. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { sql } from 'kysely'
import { testDatabase } from '../../../test/database.ts'
import { createFilesystemObjects } from '../../drivers/objects/filesystem.ts'
import { newIdentity } from '../../model/ids.ts'
import * as readers from '../../store/object-readers.ts'
import * as objects from '../../store/objects.ts'
import type { ObjectTools } from '../tools.ts'
import { auditBlobs } from './audit-blobs.ts'
import { scrubBlobs } from './scrub-blobs.ts'
import { sweepObjects } from './sweep-objects.ts'

const signal = new AbortController().signal

async function world(t: TestContext) {
  const { db } = await testDatabase(t)
  const folder = await mkdtemp(join(tmpdir(), 'havn-objects-'))
  t.after(() => rm(folder, { recursive: true }))
  const driver = createFilesystemObjects({ folder })
  await driver.open()
  const account = newIdentity('account')
  await db
    .insertInto('account')
    .values({ ...account, email: 'a@example.net', name: 'a', console_password_hash: null } as never)
    .execute()
  await db.insertInto('bucket_name').values({ name: 'b', account_id: account.id, released_at: null }).execute()
  const bucket = await db
    .insertInto('bucket')
    .values({ id: newIdentity('bucket').id, name: 'b', account_id: account.id, location: 'here' })
    .returning(['number', 'revision'])
    .executeTakeFirstOrThrow()
  const logged: string[] = []
  const tools: ObjectTools = {
    db,
    objects: driver,
    storage: { releasedGraceSeconds: 0, orphanGraceSeconds: 0, scrubBytes: 1_000_000, backupGraceMinutes: 60 },
    log: (message) => void logged.push(message),
  }

  async function write(bytes = randomBytes(1000)): Promise<objects.NewBlob> {
    const writer = await driver.create(bytes.length)
    await writer.write(bytes)
    await writer.finish()
    const md5 = createHash('md5').update(bytes).digest()
    return { id: writer.id, storedBytes: bytes.length, md5, wrappedKey: null }
  }
  async function publish(key: string, body: objects.NewBody) {
    const published = await objects.publish(db, {
      bucket,
      key,
      accountId: account.id,
      sizeBytes: 1000,
      etag: 'x',
      checksum: null,
      encryption: null,
      properties: {
        headers: {},
        metadata: {},
        tags: {},
        storageClass: 'STANDARD',
        acl: null,
        retention: null,
        legalHold: false,
      },
      body,
    })
    assert.equal(published.outcome, 'published')
  }
  const copy = (key: string, { id }: objects.NewBlob) =>
    publish(key, { kind: 'segments', segments: [{ blobId: id, start: 0, length: 1000 }] })
  const remove = (key: string) => objects.remove(db, { bucket, accountId: account.id, deletions: [{ key }] })
  const stored = async () => (await Array.fromAsync(driver.list())).map(({ id }) => id).sort()
  return { db, driver, folder, tools, logged, write, publish, copy, remove, stored }
}

test('a blob goes with its last segment, and not while somebody reads', async (t) => {
  const w = await world(t)
  const blob = await w.write()
  await w.publish('a', { kind: 'blob', blob })
  await w.copy('b', blob)
  await w.remove('a')
  await sweepObjects.run(w.tools, signal)
  assert.deepEqual(await w.stored(), [blob.id])

  await readers.report(w.db, 'reader', 1000)
  await w.remove('b')
  await sweepObjects.run(w.tools, signal)
  assert.deepEqual(await w.stored(), [blob.id])
  await readers.report(w.db, 'reader', null)
  await sweepObjects.run(w.tools, signal)
  assert.deepEqual(await w.stored(), [])
  await assert.rejects(w.copy('c', blob), objects.isForeignKeyViolation)
})

test('a copy under way keeps its blob', async (t) => {
  const w = await world(t)
  const blob = await w.write()
  await w.publish('a', { kind: 'blob', blob })
  await w.remove('a')
  await w.db.transaction().execute(async (tx) => {
    await sql`INSERT INTO body_segment VALUES (0, 0, ${blob.id}, 0, 1000)`.execute(tx)
    await sweepObjects.run(w.tools, signal)
    assert.deepEqual(await w.stored(), [blob.id])
  })
  await sweepObjects.run(w.tools, signal)
  assert.deepEqual(await w.stored(), [blob.id])
})

test('files of nobody go, and rows without a file are reported', async (t) => {
  const w = await world(t)
  const [kept, lost] = [await w.write(), await w.write()]
  await w.publish('kept', { kind: 'blob', blob: kept })
  await w.publish('lost', { kind: 'blob', blob: lost })
  await w.write()
  await w.driver.create(null) // an upload that broke off
  await w.driver.remove([lost.id])
  assert.equal((await w.stored()).length, 3)
  await auditBlobs.run(w.tools, signal)
  assert.deepEqual(await w.stored(), [kept.id])
  assert.match(w.logged.join(), new RegExp(`missing .*${lost.id} \\(b/lost\\)`))
  const incident = await w.db.selectFrom('incident').selectAll().executeTakeFirstOrThrow()
  assert.equal(incident.kind, 'blobs-missing')

  const young = await w.write()
  w.tools.storage.orphanGraceSeconds = 60
  await auditBlobs.run(w.tools, signal)
  assert.deepEqual(await w.stored(), [kept.id, young.id].sort())
})

test('the scrub finds the blob that changed, round after round', async (t) => {
  const w = await world(t)
  const blobs = await Promise.all(Array.from({ length: 5 }, () => w.write()))
  for (const [i, blob] of blobs.entries()) await w.publish(`${i}`, { kind: 'blob', blob })
  const { id } = blobs[3] as objects.NewBlob
  await writeFile(join(w.folder, 'blobs', id.slice(0, 1), id.slice(1, 3), id), randomBytes(1000))
  w.tools.storage.scrubBytes = 1000
  // One blob a round, each once: a round more would begin anew, with whichever comes first.
  for (let round = 0; round < blobs.length; round++) await scrubBlobs.run(w.tools, signal)
  assert.equal(w.logged.length, 1)
  assert.match(w.logged[0] ?? '', new RegExp(`damaged .*${id} \\(b/3\\)`))
})
