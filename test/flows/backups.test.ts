/** Backups of the whole cloud in this process: simulated machines, but real tasks and a real object store. */
import assert from 'node:assert/strict'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { startWorker } from '../../src/main/worker.ts'
import type { InstanceId } from '../../src/model/ids.ts'
import * as backups from '../../src/services/backups/backups.ts'
import * as policies from '../../src/services/backups/policies.ts'
import type { Ctx } from '../../src/services/ctx.ts'
import * as instances from '../../src/services/instances.ts'
import { type Cloud, startCloud } from '../cloud.ts'
import { eventually } from '../eventually.ts'
import { ownerOf } from '../owner.ts'

const DAY_MS = 86_400_000

async function world(t: TestContext) {
  const cloud = await startCloud(t, {
    simulator: { bootMs: 5, shutdownMs: 5 },
    env: { HAVN_BACKUP_GRACE_MINUTES: '10' },
  })
  const ctx = await ownerOf(cloud.context)
  const { instance } = await instances.create(ctx, { hostname: 'vm' })
  await eventually('it runs', async () => (await instances.get(ctx, instance.id)).state === 'running')
  return { cloud, ctx, id: instance.id }
}

const comesTo = (ctx: Ctx, id: string, state: string) =>
  eventually(`${id} is ${state}`, async () => (await backups.get(ctx, id)).state === state)
async function backUp(ctx: Ctx, id: InstanceId): Promise<backups.Backup> {
  const { backup } = await backups.create(ctx, id)
  await comesTo(ctx, backup.id, 'completed')
  return backups.get(ctx, backup.id)
}
async function blobFiles({ context }: Cloud): Promise<string[]> {
  const found = await readdir(context.paths.objects, { recursive: true, withFileTypes: true })
  return found.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}
const blobIds = async ({ context }: Cloud) => {
  const ids: string[] = []
  for await (const { id } of context.objects.list()) ids.push(id)
  return ids
}

test('a disk goes into the store once, and leaves it with its last backup', async (t) => {
  const { cloud, ctx, id } = await world(t)
  cloud.simulator.write(id, 'something to keep')
  const first = await backUp(ctx, id)
  assert.equal(first.consistency, 'crash')
  assert.ok(first.pointAt && first.completedAt && first.diskBytes && first.dataBytes)
  assert.equal(first.addedBytes, first.storedBytes)
  assert.equal((await blobIds(cloud)).length, 2, 'one chunk and the manifest')
  const second = await backUp(ctx, id)
  assert.equal((await blobIds(cloud)).length, 3, 'only a manifest came')
  assert.ok(second.addedBytes! < second.storedBytes!)
  const onDisk = (await backups.usage(ctx, id)).storedBytes
  assert.equal(onDisk, first.storedBytes! + second.addedBytes!)

  await backups.remove(ctx, first.id)
  await cloud.advance(11 * 60_000)
  const sweep = async () => {
    for (const name of ['backups.sweep', 'objects.audit']) await cloud.worker.reconcilers.runNow(name)
    // What a reader may still hold is released a minute ago at least, by the machine's own clock.
    await cloud.db
      .updateTable('released_blob')
      .set({ released_at: new Date(0) })
      .execute()
    await cloud.worker.reconcilers.runNow('objects.sweep')
  }
  await sweep()
  await cloud.advance(11 * 60_000)
  await sweep()
  assert.equal((await blobIds(cloud)).length, 2)
  await cloud.advance(15 * DAY_MS)
  await eventually('they expire', async () => (await backups.list(ctx)).total === 0)
  await sweep()
  await cloud.advance(11 * 60_000)
  await sweep()
  assert.deepEqual(await blobIds(cloud), [])
  assert.deepEqual(await cloud.db.selectFrom('blob').select('id').execute(), [])
  assert.deepEqual(await cloud.db.selectFrom('incident').selectAll().execute(), [])
  assert.deepEqual(await readdir(cloud.context.paths.tasks), [])
  assert.deepEqual(await readdir(cloud.context.paths.backups), [])
})

test('a worker that dies in the middle leaves the work to the next one', async (t) => {
  const { cloud, ctx, id } = await world(t)
  const { backup } = await backups.create(ctx, id)
  await cloud.worker.stop()
  await cloud.simulator.open()
  cloud.worker = await startWorker(cloud.context, { log: () => {} })
  await comesTo(ctx, backup.id, 'completed')
})

test('what the scrub finds spoilt is told of the backups that it hits', async (t) => {
  const { cloud, ctx, id } = await world(t)
  cloud.simulator.write(id, 'something to keep')
  const first = await backUp(ctx, id)
  const files = await blobFiles(cloud)
  const { blob_id } = await cloud.db.selectFrom('backup_chunk').select('blob_id').executeTakeFirstOrThrow()
  const file = files.find((path) => path.includes(blob_id.replaceAll('-', '')))!
  await writeFile(file, Buffer.alloc(100))
  await cloud.worker.reconcilers.runNow('objects.scrub')
  const incident = await cloud.db.selectFrom('incident').selectAll().executeTakeFirstOrThrow()
  assert.match(incident.message, new RegExp(`backup ${first.shortId}`))
  assert.ok((await backups.get(ctx, first.id)).damagedAt)
  // The next one brings the same bytes again.
  const second = await backUp(ctx, id)
  assert.equal(second.damagedAt, null)
  assert.equal(second.addedBytes, second.storedBytes)
  await rm(file)
  await cloud.worker.reconcilers.runNow('objects.audit')
  assert.equal((await backups.get(ctx, second.id)).damagedAt, null)
})

test('a policy makes backups by itself', async (t) => {
  const { cloud, ctx, id } = await world(t)
  await policies.setAutomatic(ctx, id, true)
  await cloud.advance(DAY_MS)
  await cloud.worker.reconcilers.runNow('backups.policies')
  const { items } = await backups.list(ctx, { instance: id })
  assert.equal(items.length, 1)
  assert.equal(items[0]!.kind, 'automatic')
  await comesTo(ctx, items[0]!.id, 'completed')
})
