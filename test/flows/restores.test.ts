/** Restores and receipts of the whole cloud in this process: simulated machines, but real tasks and a real object store. */
import assert from 'node:assert/strict'
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { HostFacts } from '../../src/drivers/compute/compute.ts'
import { CloudError, type ErrorCode } from '../../src/model/errors.ts'
import { type InstanceId, newIdentity } from '../../src/model/ids.ts'
import * as backups from '../../src/services/backups/backups.ts'
import * as receipts from '../../src/services/backups/receipts.ts'
import * as restores from '../../src/services/backups/restores.ts'
import type { Ctx } from '../../src/services/ctx.ts'
import * as instances from '../../src/services/instances.ts'
import * as operations from '../../src/services/operations.ts'
import * as hosts from '../../src/store/hosts.ts'
import { type Cloud, startCloud } from '../cloud.ts'
import { eventually } from '../eventually.ts'
import { ownerOf } from '../owner.ts'

async function world(t: TestContext, env: NodeJS.ProcessEnv = {}, facts: Partial<HostFacts> = {}) {
  const cloud = await startCloud(t, { simulator: { bootMs: 5, shutdownMs: 5, facts }, env })
  const ctx = await ownerOf(cloud.context)
  const { instance } = await instances.create(ctx, { hostname: 'vm' })
  await comesTo(ctx, instance.id, 'running')
  cloud.simulator.write(instance.id, 'before')
  const backup = await backUp(ctx, instance.id)
  return { cloud, ctx, id: instance.id, backup }
}
const comesTo = (ctx: Ctx, id: InstanceId, state: string) =>
  eventually(`${id} is ${state}`, async () => (await instances.get(ctx, id)).state === state, 60_000)
async function backUp(ctx: Ctx, id: InstanceId): Promise<backups.Backup> {
  const { backup } = await backups.create(ctx, id)
  await eventually('it is completed', async () => (await backups.get(ctx, backup.id)).state === 'completed', 60_000)
  return backups.get(ctx, backup.id)
}
async function stop(ctx: Ctx, id: InstanceId): Promise<void> {
  await instances.stop(ctx, id)
  await comesTo(ctx, id, 'stopped')
}
const ends = (ctx: Ctx, operation: string) =>
  eventually(
    `${operation} ends`,
    async () => {
      const { state } = await operations.get(ctx, operation)
      return state !== 'pending' && state !== 'running' && state
    },
    120_000,
  )
const refuses = (work: Promise<unknown>, code: ErrorCode) =>
  assert.rejects(work, (error: unknown) => error instanceof CloudError && error.code === code)
const isClear = (cloud: Cloud) =>
  eventually('nothing is left of it', async () => (await readdir(cloud.context.paths.tasks)).length === 0, 60_000)
async function blobFiles({ context }: Cloud): Promise<string[]> {
  const found = await readdir(context.paths.objects, { recursive: true, withFileTypes: true })
  return found.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}

test('in place: the disk as it was, once the instance is stopped, and nothing else meanwhile', async (t) => {
  const { cloud, ctx, id, backup } = await world(t)
  cloud.simulator.write(id, 'after')
  await refuses(restores.restore(ctx, id, backup.shortId), 'conflict')
  await stop(ctx, id)
  await refuses(restores.restore(ctx, id, 'bk-00000000'), 'not_found')
  const { instance, operation } = await restores.restore(ctx, id, backup.shortId)
  assert.equal(instance.state, 'restoring')
  await refuses(instances.start(ctx, id), 'conflict')
  await refuses(restores.restore(ctx, id, backup.shortId), 'conflict')
  assert.equal(await ends(ctx, operation.id), 'succeeded')
  assert.equal(cloud.simulator.read(id), 'before')
  assert.equal((await instances.get(ctx, id)).state, 'stopped')
  await isClear(cloud)
  await instances.start(ctx, id)
  await comesTo(ctx, id, 'running')
})

test('another instance, another account, and what is not completed', async (t) => {
  const { ctx, id, backup } = await world(t)
  const { instance: other } = await instances.create(ctx, { hostname: 'other' })
  await comesTo(ctx, other.id, 'running')
  await stop(ctx, other.id)
  await refuses(restores.restore(ctx, other.id, backup.id), 'not_found')
  const stranger: Ctx = { ...ctx, caller: { ...ctx.caller, accountId: 'acct_00000000000000000000000000' } }
  await refuses(instances.create(stranger, { backupId: backup.id }), 'not_found')
  await refuses(receipts.verify(stranger, backup.id), 'not_found')
  await refuses(receipts.list(stranger, backup.id), 'not_found')
  await refuses(receipts.get(stranger, 'rcpt_00000000000000000000000000'), 'not_found')
  await stop(ctx, id)
  await ctx.db.updateTable('backup').set({ state: 'failed' }).where('id', '=', backup.id).execute()
  await refuses(restores.restore(ctx, id, backup.id), 'conflict')
  await refuses(instances.create(ctx, { backupId: backup.id }), 'conflict')
  await refuses(receipts.verify(ctx, backup.id), 'conflict')
})

test('to a new instance, when the old one is gone', async (t) => {
  const { cloud, ctx, id, backup } = await world(t)
  await instances.remove(ctx, id, { purge: true })
  const { instance } = await instances.create(ctx, { backupId: backup.shortId })
  assert.equal(instance.hostname, 'vm')
  await comesTo(ctx, instance.id, 'running')
  assert.equal(cloud.simulator.read(instance.id), 'before')
  await isClear(cloud)
  const plans = await ctx.db.selectFrom('plan').select(['id', 'disk_gib']).orderBy('disk_gib').execute()
  await ctx.db
    .updateTable('backup')
    .set({ disk_bytes: (plans[0]!.disk_gib + 1) * 2 ** 30 })
    .where('id', '=', backup.id)
    .execute()
  await refuses(instances.create(ctx, { backupId: backup.id, planId: plans[0]!.id }), 'invalid')
})

test('damaged bytes fail the restore and leave the old disk', async (t) => {
  const { cloud, ctx, id, backup } = await world(t)
  cloud.simulator.write(id, 'after')
  await stop(ctx, id)
  for (const file of await blobFiles(cloud)) {
    const bytes = await readFile(file)
    if (!/^HVN[CM]/.test(bytes.toString('latin1', 0, 4))) continue // the store's own
    bytes[bytes.length - 1]! ^= 1
    await writeFile(file, bytes)
  }
  const { operation } = await restores.restore(ctx, id, backup.id)
  assert.equal(await ends(ctx, operation.id), 'failed')
  assert.equal(cloud.simulator.read(id), 'after')
  assert.equal((await instances.get(ctx, id)).state, 'stopped')
  await isClear(cloud)
  const verified = await receipts.verify(ctx, backup.id)
  assert.equal(await ends(ctx, verified.operation.id), 'failed')
  const receipt = await receipts.get(ctx, verified.receipt.id)
  assert.equal(receipt.state, 'failed')
  assert.ok(receipt.stateReason)
  assert.equal((await backups.get(ctx, backup.id)).verifiedAt, null)
  const incidents = await ctx.db.selectFrom('incident').selectAll().where('kind', '=', 'receipt').execute()
  assert.equal(incidents.length, 1)
})

test('damage that a receipt meets is noted, goes into no later backup, and is over when the bytes are back', async (t) => {
  const { cloud, ctx, id, backup } = await world(t)
  const chunk = await ctx.db.selectFrom('backup_chunk').selectAll().executeTakeFirstOrThrow()
  const name = chunk.blob_id.replaceAll('-', '')
  const file = (await blobFiles(cloud)).find((path) => path.endsWith(name))!
  const whole = await readFile(file)
  const proved = async (ref: string) => ends(ctx, (await receipts.verify(ctx, ref)).operation.id)
  assert.equal(await proved(backup.id), 'succeeded')
  await writeFile(file, Buffer.concat([whole.subarray(0, -1), Buffer.of(whole.at(-1)! ^ 1)]))

  assert.equal(await proved(backup.id), 'failed')
  const bad = await backups.get(ctx, backup.id)
  assert.match(bad.damage ?? '', /a part of it is damaged/)
  assert.deepEqual([bad.receipt?.state, bad.verifiedAt], ['failed', null])
  const later = await backUp(ctx, id)
  assert.equal(later.addedBytes, later.storedBytes, 'the chunk was brought once more')
  assert.equal(await proved(later.id), 'succeeded')
  assert.notEqual((await backups.get(ctx, backup.id)).damage, null, 'the other one is as it was')

  await writeFile(file, whole)
  assert.equal(await proved(backup.id), 'succeeded')
  const mended = await backups.get(ctx, backup.id)
  assert.deepEqual([mended.damage, mended.damagedAt, mended.receipt?.isFresh], [null, null, true])
  const rows = await ctx.db.selectFrom('backup_chunk').select('damaged_at').execute()
  assert.ok(rows.every(({ damaged_at }) => damaged_at === null))
})

test('a download that meets damage notes it too', async (t) => {
  const { cloud, ctx, backup } = await world(t)
  const { url } = (await cloud.call<{ url: string }>('GET', `/havn/v1/backups/${backup.id}/download`)).body
  assert.equal((await fetch(url)).status, 200)
  const chunk = await ctx.db.selectFrom('backup_chunk').selectAll().executeTakeFirstOrThrow()
  const name = chunk.blob_id.replaceAll('-', '')
  await rm((await blobFiles(cloud)).find((path) => path.endsWith(name))!)
  const cut = await fetch(url).then(
    (answer) =>
      answer.arrayBuffer().then(
        () => answer.status,
        () => 'cut',
      ),
    () => 'cut',
  )
  assert.ok(cut === 500 || cut === 'cut', String(cut))
  await eventually('it is noted', async () => (await backups.get(ctx, backup.id)).damagedAt !== null)
})

test('a host in trouble says nothing about a backup: what proved it before still holds', async (t) => {
  const facts: { diskFreeBytes?: number } = {}
  const { ctx, id, backup } = await world(t, {}, facts)
  const verify = async () => {
    const { receipt, operation } = await receipts.verify(ctx, backup.id)
    await ends(ctx, operation.id)
    return receipts.get(ctx, receipt.id)
  }
  facts.diskFreeBytes = 1024
  const first = await verify()
  assert.equal(first.state, 'failed')
  assert.match(first.stateReason ?? '', /^it could not be verified: the host has 0 MiB of disk left/)
  assert.deepEqual(first.checks[0]?.outcome, 'unknown')
  assert.equal((await backups.get(ctx, backup.id)).receipt, null, 'unproven, not bad')

  delete facts.diskFreeBytes
  assert.equal((await verify()).state, 'passed')
  const proven = await backups.get(ctx, backup.id)
  facts.diskFreeBytes = 1024
  assert.equal((await verify()).state, 'failed')
  const after = await backups.get(ctx, backup.id)
  assert.deepEqual([after.receipt, after.verifiedAt], [proven.receipt, proven.verifiedAt])

  await stop(ctx, id)
  const { operation } = await restores.restore(ctx, id, backup.id)
  assert.equal(await ends(ctx, operation.id), 'failed')
  assert.match((await instances.get(ctx, id)).stateReason ?? '', /^the restore failed: the host has 0 MiB of disk left/)
})

test('what no host has room for keeps nothing else from being proved', async (t) => {
  const { cloud, ctx, backup } = await world(t, { HAVN_VERIFY: 'on' }, { memoryMib: 3 * 2048 })
  const { origin, ...row } = await ctx.db.selectFrom('backup').selectAll().executeTakeFirstOrThrow()
  for (let count = 0; count < 25; count++) {
    const { number: _, ...copy } = row
    await ctx.db
      .insertInto('backup')
      .values({
        ...copy,
        ...newIdentity('backup'),
        short_id: `bk-large${String(count).padStart(3, '0')}`,
        origin: JSON.stringify({ ...origin, memoryMib: 1_000_000 }),
        completed_at: new Date(Date.now() + 60_000),
      })
      .execute()
  }
  await eventually(
    'it is proved',
    async () => {
      await cloud.worker.reconcilers.runNow('backups.verify')
      return (await backups.get(ctx, backup.id)).receipt?.isFresh
    },
    120_000,
  )
})

test('a store that is away for a moment is waited for', async (t) => {
  const { cloud, ctx, id, backup } = await world(t)
  await stop(ctx, id)
  cloud.simulator.write(id, 'after')
  const { objects } = cloud.context.paths
  await rename(objects, `${objects}.away`)
  const { operation } = await restores.restore(ctx, id, backup.id)
  await eventually('its task is at work', async () => (await readdir(cloud.context.paths.tasks)).length > 0)
  await rename(`${objects}.away`, objects).catch(async () => {
    // Whoever opened the store meanwhile made an empty one.
    await rename(objects, `${objects}.empty`)
    await rename(`${objects}.away`, objects)
  })
  const end = await ends(ctx, operation.id)
  assert.equal(cloud.simulator.read(id), end === 'succeeded' ? 'before' : 'after', `it ${end}`)
  assert.equal((await instances.get(ctx, id)).state, 'stopped')
})

test('a receipt: what was restored, booted and checked, with a picture', async (t) => {
  const { cloud, ctx, backup } = await world(t)
  assert.equal(backup.verifiedAt, null)
  const { receipt, operation } = await receipts.verify(ctx, backup.shortId)
  await refuses(receipts.verify(ctx, backup.id), 'conflict')
  assert.equal(await ends(ctx, operation.id), 'succeeded')
  const made = await receipts.get(ctx, receipt.number)
  assert.equal(made.state, 'passed')
  assert.deepEqual(
    made.checks.map(({ name, outcome }) => `${name} ${outcome}`),
    ['digests passed', 'image passed', 'boot passed', 'agent unknown', 'filesystem passed'],
  )
  assert.match(made.serialTail ?? '', /vm login:/)
  assert.equal(made.consistency, backup.consistency)
  assert.ok(made.restoredBytes! > 0 && made.restoreMs! >= 0 && made.bootMs! >= 0 && made.finishedAt)
  assert.equal((await receipts.screenshot(ctx, receipt.id)).toString('latin1', 1, 4), 'PNG')
  const shown = await backups.get(ctx, backup.id)
  assert.deepEqual(shown.verifiedAt, made.finishedAt)
  assert.equal(shown.receipt?.isFresh, true)
  await cloud.advance(31 * 86_400_000)
  assert.equal((await receipts.list(ctx, backup.id).catch(() => null))?.items.length ?? 1, 1)
  await isClear(cloud)
})

test('the schedule proves what is not proved, one at a time, and says when it failed', async (t) => {
  const { cloud, ctx, id, backup } = await world(t, { HAVN_VERIFY: 'on' })
  cloud.simulator.write(id, '!panic')
  const bad = await backUp(ctx, id)
  const round = () => cloud.worker.reconcilers.runNow('backups.verify')
  const running = () => ctx.db.selectFrom('receipt').selectAll().where('state', '=', 'running').execute()
  await eventually(
    'both were looked at',
    async () => {
      await round()
      assert.ok((await running()).length <= 1)
      const done = await ctx.db.selectFrom('receipt').selectAll().where('state', '<>', 'running').execute()
      return done.length === 2
    },
    120_000,
  )
  const stateOf = async (ref: string) => (await receipts.list(ctx, ref)).items.map(({ state }) => state)
  assert.deepEqual(await stateOf(backup.id), ['passed'])
  assert.deepEqual(await stateOf(bad.id), ['failed'])
  await round()
  assert.deepEqual(await running(), [], 'neither is looked at again at once')
  await eventually('the machines are gone', async () => (await cloud.simulator.list()).size === 1)
  const open = async () =>
    (await ctx.db.selectFrom('incident').selectAll().where('resolved_at', 'is', null).execute()).length
  assert.equal(await open(), 1)
  await backups.remove(ctx, bad.id)
  await round()
  assert.equal(await open(), 0)
})

test("a machine that proves a backup takes its room, and is nobody else's", async (t) => {
  const { cloud, ctx, id, backup } = await world(t)
  cloud.simulator.write(id, '!silent')
  const silent = await backUp(ctx, id)
  const { receipt, operation } = await receipts.verify(ctx, silent.id)
  await eventually('its machine runs', async () => (await cloud.simulator.list()).size === 2, 60_000)
  const host = (await hosts.list(ctx.db)).find(({ instances: count }) => count > 0)!
  const { memoryMib } = await instances.get(ctx, id)
  assert.equal(host.usedMemoryMib, 2 * memoryMib)
  assert.equal(host.instances, 1)
  await cloud.worker.reconcilers.runNow('instances.reconcile')
  await cloud.worker.reconcilers.runNow('hosts.report')
  const [reported] = await hosts.list(ctx.db, { id: host.id })
  assert.deepEqual(reported!.facts.orphans, [])
  const waiting = await receipts.verify(ctx, backup.id)
  await eventually('the next one waits', async () => {
    return /another backup/.test((await operations.get(ctx, waiting.operation.id)).message ?? '')
  })
  await cloud.advance(16 * 60_000)
  assert.equal(await ends(ctx, operation.id), 'failed')
  assert.match((await receipts.get(ctx, receipt.id)).stateReason ?? '', /no agent answered/)
  assert.equal(await ends(ctx, waiting.operation.id), 'succeeded')
  const after = (await hosts.list(ctx.db)).find(({ id }) => id === host.id)!
  assert.equal(after.usedMemoryMib, memoryMib)
})
