import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { sql } from 'kysely'
import { testDatabase } from '../../../test/database.ts'
import { make } from '../../../test/make.ts'
import { runPolicies } from '../../jobs/backup/run-policies.ts'
import { type InstanceId, newId } from '../../model/ids.ts'
import { SCOPES } from '../../model/scopes.ts'
import * as chunks from '../../store/backup-chunks.ts'
import * as keys from '../../store/backup-keys.ts'
import * as backupRows from '../../store/backups.ts'
import { type Db, execute, now } from '../../store/db.ts'
import * as hosts from '../../store/hosts.ts'
import type { Ctx } from '../ctx.ts'
import * as images from '../images.ts'
import * as instances from '../instances.ts'
import * as backups from './backups.ts'
import * as policies from './policies.ts'
import * as templates from './templates.ts'

const DAY_MS = 86_400_000

async function world(t: TestContext) {
  const { db } = await testDatabase(t)
  const { accountId, instance } = await make(db)
  const other = await make(db)
  const hostId = newId('host')
  await hosts.report(db, {
    ...{ id: hostId, name: 'host', regionId: 'here', driver: 'simulator', vcpus: null, memoryMib: null },
    ...{ diskBytes: null, diskFreeBytes: null, diskHighWater: 1, bootSlots: null, facts: {} },
  })
  const ctxOf = (account: typeof accountId): Ctx => ({
    db,
    caller: { accountId: account, apiKeyId: null, scopes: new Set(SCOPES) },
    reach: 'account',
    requestId: 'test',
    settings: { receiptDays: 30, recoverHours: 12 } as Ctx['settings'],
    compute: {} as Ctx['compute'],
  })
  return {
    db,
    ctx: ctxOf(accountId),
    stranger: ctxOf(other.accountId),
    advance: (ms: number) => execute(db, `UPDATE clock SET time_offset = time_offset + interval '${ms} ms'`),
    async instance(state: 'running' | 'stopped' | 'provisioning' = 'running'): Promise<InstanceId> {
      const id = await instance()
      await db.updateTable('instance').set({ state, host_id: hostId }).where('id', '=', id).execute()
      return id
    },
  }
}

/** As the strand would, with chunks of 1000 bytes each. */
async function complete(db: Db, id: string, list: (chunks.ListedChunk | null)[]): Promise<string> {
  return db.transaction().execute((tx) =>
    chunks.publish(tx, id as backupRows.Backup['id'], {
      chunks: list,
      manifest: { blobId: hex(), storedBytes: 100, md5: Buffer.alloc(16) },
      point: { at: new Date(), consistency: 'crash', consistencyReason: 'no agent', frozenMs: null },
      ...{ diskBytes: 2 ** 30, dataBytes: 1, readBytes: 1, addedBytes: 1 },
    }),
  )
}
const hex = () => randomUUID().replaceAll('-', '')
const fresh = (): chunks.ListedChunk => ({
  ...{ digest: Buffer.from(hex() + hex(), 'hex'), blobId: hex(), storedBytes: 1_000 },
  ...{ md5: Buffer.alloc(16), isNew: true },
})
const again = (chunk: chunks.ListedChunk): chunks.ListedChunk => ({ ...chunk, md5: null, isNew: false })
const rows = async (db: Db) =>
  Number(
    (
      await db
        .selectFrom('backup_chunk')
        .select((eb) => eb.fn.countAll<number>().as('n'))
        .executeTakeFirst()
    )?.n,
  )
const released = async (db: Db) =>
  Number(
    (
      await db
        .selectFrom('released_blob')
        .select((eb) => eb.fn.countAll<number>().as('n'))
        .executeTakeFirst()
    )?.n,
  )

test('a backup is found by each of its names, by its owner and under its instance only', async (t) => {
  const { ctx, stranger, instance } = await world(t)
  const [id, another] = [await instance(), await instance()]
  const { backup, operation } = await backups.create(ctx, id, { label: ' before the change ' })
  assert.equal(backup.state, 'creating')
  assert.equal(backup.kind, 'manual')
  assert.equal(backup.label, 'before the change')
  assert.match(backup.shortId, /^bk-[0-9a-z]{8}$/)
  assert.equal(operation.resourceId, backup.id)
  assert.equal(operation.kind, 'backup.create')
  assert.equal(backup.origin.diskGib, 10)
  for (const ref of [backup.id, backup.uuid, backup.number, String(backup.number), backup.shortId]) {
    assert.equal((await backups.get(ctx, ref)).id, backup.id)
    assert.equal((await backups.get(ctx, ref, { instance: id })).id, backup.id)
    await assert.rejects(backups.get(ctx, ref, { instance: another }), { code: 'not_found' })
    await assert.rejects(backups.get(stranger, ref), { code: 'not_found' })
    await assert.rejects(backups.remove(stranger, ref), { code: 'not_found' })
  }
  for (const ref of ['bk-00000000', 'first', '', "bk-'; --", '99']) {
    await assert.rejects(backups.get(ctx, ref), { code: 'not_found' })
  }
  assert.equal((await backups.list(ctx, { instance: id })).total, 1)
  assert.equal((await backups.list(ctx, { instance: another })).total, 0)
  assert.equal((await backups.list(stranger)).total, 0)
})

test('one at a time, and never of what is still being made', async (t) => {
  const { ctx, db, instance } = await world(t)
  const id = await instance()
  const racing = await Promise.allSettled(Array.from({ length: 5 }, () => backups.create(ctx, id)))
  const made = racing.flatMap((one) => (one.status === 'fulfilled' ? [one.value.backup] : []))
  assert.equal(made.length, 1)
  for (const one of racing) if (one.status === 'rejected') assert.equal(one.reason.code, 'conflict')
  await complete(db, made[0]!.id, [])
  await backups.create(ctx, id)
  await assert.rejects(backups.create(ctx, await instance('provisioning')), { code: 'conflict' })
  await backups.create(ctx, await instance('stopped'))
  await assert.rejects(backups.create(ctx, 'nobody'), { code: 'not_found' })
  await assert.rejects(backups.create(ctx, id, { retentionDays: 0 }), { code: 'invalid' })
})

test('it expires when the policy says, or after 14 days, or when the caller says', async (t) => {
  const { ctx, instance } = await world(t)
  const days = ({ createdAt, expiresAt }: backups.Backup) => (expiresAt!.getTime() - createdAt.getTime()) / DAY_MS
  assert.equal(days((await backups.create(ctx, await instance())).backup), 14)
  const id = await instance()
  await policies.set(ctx, id, { retentionDays: 30 })
  assert.equal(days((await backups.create(ctx, id)).backup), 30)
  assert.equal(days((await backups.create(ctx, await instance(), { retentionDays: 3 })).backup), 3)
})

test('deleting is accepted in every state, but not of automatic ones where only manual ones may be', async (t) => {
  const { ctx, db, instance } = await world(t)
  const { backup: creating } = await backups.create(ctx, await instance())
  assert.equal((await backups.remove(ctx, creating.shortId)).state, 'deleted')
  await assert.rejects(backups.get(ctx, creating.id), { code: 'not_found' })
  await assert.rejects(backups.remove(ctx, creating.id), { code: 'not_found' })
  const operation = await db
    .selectFrom('operation')
    .selectAll()
    .where('resource_id', '=', creating.id)
    .executeTakeFirst()
  assert.equal(operation?.state, 'cancelled')
  const strand = await db.selectFrom('strand').selectAll().where('id', '=', creating.id).executeTakeFirst()
  assert.deepEqual(strand?.intents, ['delete'])
  assert.equal(await complete(db, creating.id, [fresh()]), 'over')
  assert.equal(await rows(db), 0)
  const { backup } = await backups.create(ctx, await instance())
  await db.updateTable('backup').set({ kind: 'automatic' }).where('id', '=', backup.id).execute()
  await assert.rejects(backups.remove(ctx, backup.id, { manualOnly: true }), { code: 'conflict' })
  await backups.remove(ctx, backup.id)
})

test('it outlives its instance', async (t) => {
  const { ctx, db, instance } = await world(t)
  const id = await instance()
  const { backup } = await backups.create(ctx, id)
  await complete(db, backup.id, [fresh()])
  await instances.remove(ctx, id, { purge: true })
  await assert.rejects(backups.list(ctx, { instance: id }), { code: 'not_found' })
  assert.deepEqual(
    (await backups.list(ctx)).items.map(({ id }) => id),
    [backup.id],
  )
  assert.equal((await backups.get(ctx, backup.shortId)).state, 'completed')
})

test('storage counts what is there, and what is shared once', async (t) => {
  const { ctx, stranger, db, instance } = await world(t)
  const [one, two] = [await instance(), await instance()]
  const [a, b, c] = [fresh(), fresh(), fresh()]
  const { backup: first } = await backups.create(ctx, one)
  assert.equal(await complete(db, first.id, [a, null, a, b]), 'published')
  const { backup: second } = await backups.create(ctx, two)
  assert.equal(await complete(db, second.id, [again(a), c]), 'published')
  assert.deepEqual(await backups.usage(ctx, one), { backups: 1, storedBytes: 2_100 })
  assert.deepEqual(await backups.usage(ctx, two), { backups: 1, storedBytes: 2_100 })
  assert.deepEqual(await backups.usage(ctx, null), { backups: 2, storedBytes: 3_200 })
  assert.deepEqual(await backups.usage(stranger, null), { backups: 0, storedBytes: 0 })
  assert.equal((await backups.get(ctx, first.id)).storedBytes, 2_100)
  await backups.remove(ctx, first.id)
  assert.deepEqual(await backups.usage(ctx, null), { backups: 1, storedBytes: 2_100 })
})

test('what no backup is made of any more goes after the grace, unless work counts on it', async (t) => {
  const { ctx, db, instance, advance } = await world(t)
  const [one, two] = [await instance(), await instance()]
  const { accountId } = ctx.caller
  const [a, b] = [fresh(), fresh()]
  const { backup: first } = await backups.create(ctx, one)
  await complete(db, first.id, [a, b])
  const { backup: second } = await backups.create(ctx, two)
  await complete(db, second.id, [again(a)])
  const known = async () => (await Array.fromAsync(chunks.known(db, accountId))).length
  assert.equal(await known(), 2)

  const { backup: running } = await backups.create(ctx, one)
  await advance(1_000)
  await backups.remove(ctx, first.id)
  assert.deepEqual(await chunks.accountsToSweep(db), [accountId])
  await chunks.mark(db, accountId)
  assert.equal(await known(), 1)
  await advance(3_600_001)
  await chunks.sweep(db, accountId, 60)
  assert.equal(await rows(db), 2, 'a backup that is being made may have been told of it')
  // And it was: what was noted is referred to again.
  assert.equal(await complete(db, running.id, [again(b)]), 'published')
  await chunks.sweep(db, accountId, 60)
  assert.equal(await rows(db), 2)
  assert.equal(await released(db), 1, "the first one's manifest")

  await backups.remove(ctx, running.id)
  await chunks.mark(db, accountId)
  await chunks.sweep(db, accountId, 60)
  assert.equal(await rows(db), 2, 'within the grace')
  await advance(3_600_001)
  await chunks.sweep(db, accountId, 60)
  assert.equal(await rows(db), 1)
  assert.equal(await released(db), 3)
  assert.deepEqual(await chunks.accountsToSweep(db), [])

  const { backup: late } = await backups.create(ctx, one)
  assert.equal(await complete(db, late.id, [again(b), fresh()]), 'stale')
  assert.equal(await rows(db), 1, 'nothing of it was written')
  assert.equal((await backups.get(ctx, late.id)).state, 'creating')
})

test('a damaged part is shown by every backup that it is in, and goes into no other', async (t) => {
  const { ctx, db, instance } = await world(t)
  const [one, two] = [await instance(), await instance()]
  const [a, b] = [fresh(), fresh()]
  const { backup: first } = await backups.create(ctx, one)
  await complete(db, first.id, [a])
  const { backup: second } = await backups.create(ctx, two)
  await complete(db, second.id, [again(a), b])
  const { backup: third } = await backups.create(ctx, one)
  await complete(db, third.id, [again(b)])
  await db
    .insertInto('receipt')
    .values({
      ...{ id: newId('receipt'), uuid: randomUUID(), backup_id: first.id, account_id: ctx.caller.accountId },
      ...{ machine_id: newId('instance'), is_scheduled: false, state: 'passed', finished_at: new Date() },
    })
    .execute()
  assert.equal((await backups.get(ctx, first.id)).receipt?.isFresh, true)
  assert.ok((await backups.get(ctx, first.id)).verifiedAt)
  await chunks.noteDamage(db, [a.blobId], 'a part of it is missing in the store')
  const damaged = (await backups.list(ctx)).items.filter(({ damagedAt }) => damagedAt !== null)
  assert.deepEqual(damaged.map(({ id }) => id).sort(), [first.id, second.id].sort())
  assert.equal(damaged[0]?.damage, 'a part of it is missing in the store')
  const unproven = await backups.get(ctx, first.id)
  assert.equal(unproven.receipt?.isFresh, false)
  assert.equal(unproven.verifiedAt, null)
  assert.deepEqual(
    (await Array.fromAsync(chunks.known(db, ctx.caller.accountId))).map(({ blobId }) => blobId),
    [b.blobId],
  )
  assert.equal(await backupRows.findBase(db, two), null)
  assert.equal((await backupRows.findBase(db, one))?.id, third.id)
  const { backup: late } = await backups.create(ctx, one)
  assert.equal(await complete(db, late.id, [again(a)]), 'stale')
})

test('a policy merges, and its next moment lies in the future', async (t) => {
  const { ctx, stranger, instance } = await world(t)
  const id = await instance()
  assert.equal(await policies.get(ctx, id), null)
  const first = await policies.set(ctx, id, { enabled: true, frequency: 'weekly', dayOfWeek: 'sunday', time: '23:45' })
  assert.deepEqual(first.schedule, {
    ...{ enabled: true, frequency: 'weekly', dayOfWeek: 'sunday', time: '23:45', retentionDays: 14 },
  })
  assert.ok(first.nextAt! > new Date())
  assert.equal(first.nextAt?.getUTCDay(), 0)
  assert.equal(first.nextAt?.toISOString().slice(11, 19), '23:45:00')
  const second = await policies.set(ctx, id, { retentionDays: 7 })
  assert.deepEqual(second.schedule, { ...first.schedule, retentionDays: 7 })
  assert.deepEqual(second.nextAt, first.nextAt)
  assert.deepEqual(await policies.get(ctx, id), second)
  assert.equal((await policies.set(ctx, id, { enabled: false })).nextAt, null)
  for (const bad of [
    { time: '24:00' },
    { time: '2:00' },
    { retentionDays: 8 },
    { dayOfWeek: 'Sunday' },
    { frequency: 'hourly' },
  ]) {
    await assert.rejects(policies.set(ctx, id, bad as never), { code: 'invalid' })
  }
  await assert.rejects(policies.get(stranger, id), { code: 'not_found' })
  await assert.rejects(policies.set(stranger, id, {}), { code: 'not_found' })
  await policies.remove(ctx, id)
  assert.equal(await policies.get(ctx, id), null)
})

test('automatic backups of an instance and its policy are one thing', async (t) => {
  const { ctx, instance } = await world(t)
  const id = await instance()
  const isOn = async () => (await instances.get(ctx, id)).automaticBackups
  assert.equal(await policies.setAutomatic(ctx, id, false), null)
  assert.equal((await policies.setAutomatic(ctx, id, true))?.schedule.frequency, 'daily')
  assert.equal(await isOn(), true)
  await policies.set(ctx, id, { enabled: false, retentionDays: 30 })
  assert.equal(await isOn(), false)
  await instances.update(ctx, id, { automaticBackups: true })
  assert.deepEqual((await policies.get(ctx, id))?.schedule.retentionDays, 30)
  assert.ok((await policies.get(ctx, id))?.nextAt)
  await policies.remove(ctx, id)
  assert.equal(await isOn(), false)
})

test('each firing happens once, and what was missed is made up for once', async (t) => {
  const { ctx, db, instance, advance } = await world(t)
  const id = await instance()
  const run = () => runPolicies.run({ db }, new AbortController().signal)
  const { nextAt } = await policies.set(ctx, id, { enabled: true, time: '02:00' })
  await run()
  assert.equal((await backups.list(ctx)).total, 0)
  await advance(10 * DAY_MS)
  await Promise.all([run(), run(), run()])
  const { items } = await backups.list(ctx)
  assert.equal(items.length, 1)
  assert.equal(items[0]!.kind, 'automatic')
  const row = await db.selectFrom('backup').selectAll().executeTakeFirstOrThrow()
  assert.deepEqual(row.policy_due_at, nextAt)
  const after = (await policies.get(ctx, id))!
  assert.ok(after.nextAt!.getTime() - nextAt!.getTime() >= 9 * DAY_MS)
  assert.deepEqual(after.lastAt && Math.abs(after.lastAt.getTime() - items[0]!.createdAt.getTime()) < 5_000, true)

  // Another is due while that one is still being made: it waits for it.
  await advance(DAY_MS)
  await run()
  assert.equal((await backups.list(ctx)).total, 1)
  await complete(db, items[0]!.id, [])
  await run()
  await run()
  assert.equal((await backups.list(ctx)).total, 2)
})

test('a clock that goes forth and back repeats no firing, and puts none off', async (t) => {
  const { ctx, db, instance, advance } = await world(t)
  const id = await instance()
  const run = () => runPolicies.run({ db }, new AbortController().signal)
  const { nextAt } = await policies.set(ctx, id, { enabled: true, time: '02:00' })
  await advance(DAY_MS)
  await run()
  const { items } = await backups.list(ctx)
  await complete(db, items[0]!.id, [])

  await advance(-DAY_MS)
  await policies.set(ctx, id, { time: '03:00' })
  assert.deepEqual((await policies.set(ctx, id, { time: '02:00' })).nextAt, nextAt, 'due once more')
  const other = await instance()
  await policies.set(ctx, other, { enabled: true, time: '02:00' })
  await advance(DAY_MS)
  await run()
  assert.equal((await backups.list(ctx, { instance: id })).total, 1)
  assert.equal((await backups.list(ctx, { instance: other })).total, 1, 'and nobody waits because of it')
  assert.ok((await policies.get(ctx, id))!.nextAt! > nextAt!)

  await complete(db, (await backups.list(ctx, { instance: other })).items[0]!.id, [])
  await advance(365 * DAY_MS)
  await policies.set(ctx, other, { time: '04:00' })
  await advance(-364 * DAY_MS)
  await run()
  const leftMs = (await policies.get(ctx, other))!.nextAt!.getTime() - (await now(db)).getTime()
  assert.ok(leftMs > 0 && leftMs <= DAY_MS, `${leftMs} ms`)
})

test('a backup that cannot be begun keeps no other from being made', async (t) => {
  const { ctx, db, instance, advance } = await world(t)
  const [bad, good] = [await instance(), await instance()]
  for (const id of [bad, good]) await policies.set(ctx, id, { enabled: true, time: id === bad ? '01:00' : '01:30' })
  await advance(DAY_MS)
  await sql`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.instance_id = TG_ARGV[0] THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$`.execute(db)
  await sql`CREATE TRIGGER refuse BEFORE INSERT ON backup FOR EACH ROW EXECUTE FUNCTION refuse(${sql.lit(bad)})`.execute(
    db,
  )
  await assert.rejects(runPolicies.run({ db }, new AbortController().signal), new RegExp(bad))
  assert.equal((await backups.list(ctx, { instance: good })).total, 1)
  assert.equal((await backups.list(ctx, { instance: bad })).total, 0)
})

test('nothing fires while the instance cannot be backed up; afterwards once', async (t) => {
  const { ctx, db, instance, advance } = await world(t)
  const id = await instance()
  const run = () => runPolicies.run({ db }, new AbortController().signal)
  await policies.set(ctx, id, { enabled: true })
  const { accountId } = ctx.caller
  const change = (set: object) => db.updateTable('instance').set(set).where('id', '=', id).execute()
  await change({ state: 'provisioning' })
  await advance(3 * DAY_MS)
  await run()
  await change({ state: 'deleted', delete_requested_at: new Date() })
  await run()
  assert.equal((await backups.usage({ ...ctx, caller: { ...ctx.caller, accountId } }, null)).backups, 0)
  await change({ state: 'stopped', delete_requested_at: null })
  await run()
  await run()
  assert.equal((await backups.list(ctx)).total, 1)
})

test("a template is its account's alone, and only a completed backup becomes one", async (t) => {
  const { ctx, stranger, db, instance } = await world(t)
  ctx.settings = { ...ctx.settings, compute: 'qemu' }
  const id = await instance()
  await db.updateTable('host').set({ driver: 'qemu' }).execute()
  const { backup } = await backups.create(ctx, id)
  await assert.rejects(templates.convert(ctx, backup.id), { code: 'conflict' })
  await keys.ensure(db, ctx.caller.accountId, () => Buffer.alloc(32))
  await complete(db, backup.id, [fresh()])
  await assert.rejects(templates.convert(stranger, backup.id), { code: 'not_found' })
  const { image, operation } = await templates.convert(ctx, backup.id)
  assert.equal(operation.kind, 'image.convert')
  assert.match(image.name, /^vm-1, /)
  assert.equal(image.minDiskGib, 1)
  assert.deepEqual(
    (await templates.list(ctx)).map(({ id }) => id),
    [image.id],
  )
  assert.deepEqual(await templates.list(stranger), [])
  await assert.rejects(templates.get(stranger, image.id), { code: 'not_found' })
  await assert.rejects(images.get(ctx, image.id), { code: 'not_found' }, "the catalogue's own routes do not know it")
  await assert.rejects(templates.remove(ctx, image.id), { code: 'conflict' })
  const { input } = (
    await db.selectFrom('strand').select('state').where('kind', '=', 'image').executeTakeFirstOrThrow()
  ).state as { input: { manifestBlobId: string } }
  assert.match(input.manifestBlobId, /^[0-9a-f]{32}$/)
  await db.deleteFrom('strand').where('kind', '=', 'image').execute()
  await assert.rejects(templates.remove(stranger, image.id), { code: 'not_found' })
  await templates.remove(ctx, image.number)
  await assert.rejects(templates.get(ctx, image.id), { code: 'not_found' })
})
