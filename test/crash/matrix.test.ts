/**
 * Every step of every strand × {crash before, crash after, crash after the commit, run twice, driver error before and
 * after the effect}: the story comes to the same end, each operation ends exactly once, and nothing is left over. The
 * short run takes a seeded sample; `./havn test --all` runs the whole.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { DEFINITIONS } from '../../src/jobs/definitions.ts'
import type { InstanceId } from '../../src/model/ids.ts'
import * as credentials from '../../src/services/credentials.ts'
import * as images from '../../src/services/images.ts'
import * as instances from '../../src/services/instances.ts'
import * as snapshots from '../../src/services/snapshots.ts'
import { testDatabase } from '../database.ts'
import { BACKUP_STORIES } from './backup-stories.ts'
import { RESTORE_STORIES } from './restore-stories.ts'
import {
  create,
  createRunning,
  createStopped,
  forgetOperations,
  isIdle,
  reaches,
  type Story,
  state,
  strandEnds,
} from './story.ts'
import { createWorld, FAULTS, type World } from './world.ts'

const instanceRow = (world: World, id: InstanceId) =>
  world.db.selectFrom('instance').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
const statesOfSnapshots = async (world: World, id: InstanceId) =>
  (await snapshots.list(world.ctx, id)).items.map(({ name, state }) => `${name} ${state}`)
const ROOT = { type: 'operating_system', username: 'root' } as const
const TAKE = { needs: 'any', uniqueName: true, max: 10 } as const

const STORIES: readonly Story[] = [
  {
    name: 'create',
    ends: 'running',
    operations: { 'instance.create': 'succeeded' },
    tell: createRunning,
  },
  {
    name: 'stop, start, reboot',
    ends: 'running',
    operations: {
      'instance.create': 'succeeded',
      'instance.stop': 'succeeded',
      'instance.start': 'succeeded',
      'instance.reboot': 'succeeded',
    },
    async tell(world) {
      const id = await createRunning(world)
      await instances.stop(world.ctx, id)
      await reaches(world, id, 'stopped')
      await instances.start(world.ctx, id)
      await reaches(world, id, 'running')
      await instances.reboot(world.ctx, id)
      await reaches(world, id, 'running')
      return id
    },
  },
  {
    name: 'the machine dies and gets up again',
    ends: 'running',
    operations: { 'instance.create': 'succeeded' },
    async tell(world) {
      const id = await createRunning(world)
      await world.until('it rests', async () => world.visited.at(-1) === 'settle')
      world.simulator.crash(id)
      await world.reconcile()
      await world.until('it was revived', async () => world.visited.includes('revive'))
      await reaches(world, id, 'running')
      return id
    },
  },
  {
    name: 'the guest powers itself off',
    ends: 'stopped',
    operations: { 'instance.create': 'succeeded' },
    async tell(world) {
      const id = await createRunning(world)
      world.simulator.powerOffFromInside(id)
      await world.reconcile()
      await reaches(world, id, 'stopped')
      return id
    },
  },
  {
    name: 'a guest that ignores the power button is stopped',
    ends: 'stopped',
    operations: { 'instance.create': 'succeeded', 'instance.stop': 'succeeded' },
    async tell(world) {
      const id = await createRunning(world)
      world.simulator.hang(id)
      await instances.stop(world.ctx, id)
      await reaches(world, id, 'stopped')
      return id
    },
  },
  {
    name: 'delete for good',
    ends: 'deleted',
    operations: { 'instance.create': 'succeeded', 'instance.delete': 'succeeded' },
    async tell(world) {
      const id = await createRunning(world)
      await instances.remove(world.ctx, id, { purge: true })
      await strandEnds(world, id)
      return id
    },
  },
  {
    name: 'delete while it boots',
    ends: 'deleted',
    operations: { 'instance.create': 'cancelled', 'instance.delete': 'succeeded' },
    interrupted: 'ready',
    async tell(world) {
      const id = await create(world)
      world.simulator.neverReady(id)
      await world.until('it boots', async () => world.visited.includes('ready'))
      await instances.remove(world.ctx, id, { purge: true })
      await strandEnds(world, id)
      return id
    },
  },
  {
    name: 'snapshots of a stopped instance',
    ends: 'stopped',
    operations: {
      'instance.create': 'succeeded',
      'instance.stop': 'succeeded',
      'snapshot.create': 'succeeded',
      'snapshot.rollback': 'succeeded',
      'snapshot.delete': 'succeeded',
    },
    async tell(world) {
      const id = await createStopped(world)
      world.simulator.write(id, 'then')
      await snapshots.create(world.ctx, id, { ...TAKE, name: 'one', withMemory: false })
      await isIdle(world, id)
      assert.deepEqual(await statesOfSnapshots(world, id), ['one ready'])
      world.simulator.write(id, 'now')
      await snapshots.rollback(world.ctx, id, 'one', { needs: 'stopped' })
      await isIdle(world, id)
      assert.equal(world.simulator.read(id), 'then')
      await snapshots.remove(world.ctx, id, 'one')
      await isIdle(world, id)
      assert.deepEqual(await statesOfSnapshots(world, id), [])
      assert.deepEqual(await world.simulator.listSnapshots(id), [])
      return id
    },
  },
  {
    name: 'snapshots of a running instance, with memory',
    ends: 'running',
    operations: {
      'instance.create': 'succeeded',
      'snapshot.create': 'succeeded',
      'snapshot.rollback': 'succeeded',
      'snapshot.delete': 'succeeded',
    },
    async tell(world) {
      const id = await createRunning(world)
      world.simulator.write(id, 'then')
      await snapshots.create(world.ctx, id, { ...TAKE, name: 'one', withMemory: true })
      await isIdle(world, id)
      world.simulator.write(id, 'now')
      await snapshots.rollback(world.ctx, id, 'one', { needs: 'running' })
      await isIdle(world, id)
      assert.equal(world.simulator.read(id), 'then')
      assert.deepEqual(await statesOfSnapshots(world, id), ['one ready'])
      const { startedAt } = await instances.get(world.ctx, id)
      assert.deepEqual(startedAt, (await world.simulator.observe(id)).startedAt)
      await snapshots.remove(world.ctx, id, 'one')
      await isIdle(world, id)
      assert.deepEqual(await world.simulator.listSnapshots(id), [])
      return id
    },
  },
  {
    name: 'a stopped instance wakes up where it was',
    ends: 'running',
    operations: {
      'instance.create': 'succeeded',
      'snapshot.create': 'succeeded',
      'instance.stop': 'succeeded',
      'snapshot.rollback': 'succeeded',
    },
    async tell(world) {
      const id = await createRunning(world)
      await snapshots.create(world.ctx, id, { ...TAKE, name: 'awake', withMemory: true })
      await isIdle(world, id)
      await instances.stop(world.ctx, id)
      await reaches(world, id, 'stopped')
      await snapshots.rollback(world.ctx, id, 'awake', { needs: 'any' })
      await isIdle(world, id)
      return id
    },
  },
  {
    name: 'a snapshot that the host refuses',
    ends: 'stopped',
    operations: { 'instance.create': 'succeeded', 'instance.stop': 'succeeded', 'snapshot.create': 'failed' },
    async tell(world) {
      const id = await createStopped(world)
      await world.db.updateTable('instance').set({ generation: 99 }).where('id', '=', id).execute() // has no disk
      await snapshots.create(world.ctx, id, { ...TAKE, name: 'never', withMemory: false })
      await isIdle(world, id)
      assert.deepEqual(await statesOfSnapshots(world, id), ['never failed'])
      return id
    },
  },
  {
    name: 'delete with snapshots, one of them under way',
    ends: 'deleted',
    operations: {
      'instance.create': 'succeeded',
      'snapshot.create': 'cancelled|succeeded', // a host that was started anew takes it at once
      'instance.delete': 'succeeded',
    },
    interrupted: 'snapshot',
    async tell(world) {
      const id = await createRunning(world)
      world.simulator.fault({ verb: 'ensureSnapshot', instanceId: id, when: 'before', delayMs: 60_000 })
      await snapshots.create(world.ctx, id, { ...TAKE, name: 'never', withMemory: false })
      await world.until('it is being taken', async () => world.visited.includes('snapshot'))
      await instances.remove(world.ctx, id, { purge: true })
      await strandEnds(world, id)
      const rows = await world.db.selectFrom('snapshot').select('id').where('instance_id', '=', id).execute()
      assert.deepEqual(rows, [])
      return id
    },
  },
  {
    name: 'rebuild',
    ends: 'running',
    operations: {
      'instance.create': 'succeeded',
      'snapshot.create': 'succeeded',
      'instance.rebuild': 'succeeded',
    },
    async tell(world) {
      const id = await createRunning(world)
      const before = await instances.get(world.ctx, id)
      world.simulator.write(id, 'old')
      await snapshots.create(world.ctx, id, { ...TAKE, name: 'old', withMemory: true })
      await isIdle(world, id)
      await credentials.put(world.ctx, id, { ...ROOT, password: 'old' })
      await instances.rebuild(world.ctx, id, { imageId: 'micro', generatePassword: true })
      await isIdle(world, id)
      assert.notEqual((await credentials.reveal(world.ctx, id, ROOT)).password, 'old')
      const after = await instances.get(world.ctx, id)
      const same = ({ uuid, number, ipv4, ipv6, mac, hostname }: instances.Instance) =>
        [uuid, number, ipv4, ipv6, mac, hostname].join()
      assert.equal(same(after), same(before))
      assert.ok(after.provisionedAt! > before.provisionedAt!, 'its banner was seen again')
      const { generation } = await instanceRow(world, id)
      assert.equal(generation, 2, 'once')
      assert.equal(world.simulator.read(id), '')
      assert.deepEqual(await statesOfSnapshots(world, id), [])
      const disks = (await world.simulator.resources()).filter(
        ({ kind, instanceId }) => kind === 'disk' && instanceId === id,
      )
      assert.deepEqual(
        disks.map(({ name }) => name),
        [`${id}/disk-2`],
      )
      return id
    },
  },
  {
    name: 'rebuild a stopped instance from an image that is removed meanwhile',
    ends: 'stopped',
    operations: { 'instance.create': 'succeeded', 'instance.stop': 'succeeded', 'instance.rebuild': 'failed' },
    async tell(world) {
      const id = await createStopped(world)
      await credentials.put(world.ctx, id, { ...ROOT, password: 'of what is installed' })
      const other = { id: 'other', number: 99, position: 99, name: 'Other', family: 'other', version: '1' }
      await world.db
        .insertInto('image')
        .values({ ...other, is_windows: false, min_memory_mib: 1, min_disk_gib: 1, builder: null })
        .onConflict((conflict) => conflict.column('id').doNothing())
        .execute()
      await world.db.transaction().execute(async (tx) => {
        await tx.updateTable('image').set({ state: 'available' }).where('id', '=', 'other').execute()
        await instances.rebuild({ ...world.ctx, db: tx }, id, { imageId: 'other', generatePassword: true })
        await tx.updateTable('image').set({ state: 'absent' }).where('id', '=', 'other').execute()
      })
      await isIdle(world, id)
      const row = await instanceRow(world, id)
      assert.deepEqual([row.generation, row.image_id, row.rebuild_image_id], [1, 'micro', null])
      assert.equal(row.rebuild_password_sealed, null)
      assert.equal((await credentials.reveal(world.ctx, id, ROOT)).password, 'of what is installed')
      return id
    },
  },
  {
    name: 'delete while it is rebuilt',
    ends: 'deleted',
    operations: {
      'instance.create': 'succeeded',
      'instance.rebuild': 'cancelled',
      'instance.delete': 'succeeded',
    },
    interrupted: 'ready',
    async tell(world) {
      const id = await createRunning(world)
      world.simulator.neverReady(id)
      const booted = world.visited.filter((step) => step === 'ready').length
      await instances.rebuild(world.ctx, id, { imageId: 'micro' })
      await world.until('it boots', async () => world.visited.filter((step) => step === 'ready').length > booted)
      await instances.remove(world.ctx, id, { purge: true })
      await strandEnds(world, id)
      return id
    },
  },
  {
    name: 'build an image',
    ends: 'available',
    operations: { 'image.build': 'succeeded' },
    async tell(world) {
      await images.build(world.ctx, 'micro')
      await strandEnds(world, 'image_micro')
      return 'image_micro'
    },
  },
  {
    name: 'a task that dies is started again',
    ends: 'available',
    operations: { 'image.build': 'succeeded' },
    async tell(world) {
      world.tasks.endWith('vanished once')
      await images.build(world.ctx, 'micro')
      await strandEnds(world, 'image_micro')
      world.tasks.endWith('done')
      return 'image_micro'
    },
  },
  {
    name: 'a task that fails fails the operation and keeps the image that was there',
    ends: 'available',
    operations: { 'image.build': 'failed' },
    async tell(world) {
      await images.build(world.ctx, 'micro')
      await strandEnds(world, 'image_micro')
      await forgetOperations(world.db)
      world.tasks.endWith('failed')
      await images.build(world.ctx, 'micro')
      await strandEnds(world, 'image_micro')
      world.tasks.endWith('done')
      return 'image_micro'
    },
  },
  ...BACKUP_STORIES,
  ...RESTORE_STORIES,
]

const SAMPLE_EVERY = 6
const runsAll = process.env.HAVN_TEST_ALL === '1'
/** A new sample every day, and the same one all day: what failed this morning fails again. */
const seed = process.env.HAVN_TEST_SEED ?? new Date().toISOString().slice(0, 10)
const isInSample = (...words: string[]): boolean =>
  createHash('sha256')
    .update([seed, ...words].join())
    .digest()[0]! %
    SAMPLE_EVERY ===
  0

const seenSteps = new Set<string>()
for (const story of STORIES) {
  describe(story.name, () => {
    let world: World
    let steps: string[] = []

    const cleanups: (() => Promise<void>)[] = []

    after(async () => {
      await world?.close()
      for (const clean of cleanups) await clean()
    })
    before(async () => {
      const { db } = await testDatabase({ after: (fn) => void cleanups.push(fn) })
      world = await createWorld(db)
      await told()
      steps = [...new Set(world.visited)]
      for (const step of steps) seenSteps.add(step)
    })

    /** Tells the story and demands its end. */
    async function told(): Promise<void> {
      world.visited.length = 0
      await forgetOperations(world.db)
      const id = await story.tell(world)
      assert.equal(await state(world.db, id), story.ends)
      const operations = await world.db.selectFrom('operation').selectAll().where('resource_id', '=', id).execute()
      const ends = operations.map(({ kind, state }) => `${kind} ${state}`).sort()
      const right = Object.entries(story.operations).map(([kind, states]) => `${kind} (${states})`)
      const isRight =
        ends.length === right.length && right.sort().every((one, i) => new RegExp(`^${one}$`).test(ends[i]!))
      assert.ok(isRight, `ended ${ends.join(', ')} instead of ${right.join(', ')}`)
      await world.until('everything rests', async () => {
        const busy = await world.db.selectFrom('strand').select('id').where('leased_by', 'is not', null).execute()
        return busy.length === 0
      })
      await world.audit()
    }

    test('every fault at every step', { timeout: 600_000 }, async (t) => {
      for (const step of steps.filter((step) => story.about?.includes(step) ?? true)) {
        for (const fault of FAULTS) {
          if (step === story.interrupted && (fault === 'crash after' || fault === 'twice')) continue
          if (!runsAll && !isInSample(story.name, step, fault)) continue
          await t.test(`${step}: ${fault}`, async () => {
            world.inject(step, fault)
            await told()
            // A step that calls fewer verbs has nothing to fail, nor has one that this telling passes by: whether a
            // backup that is deleted was being proved already is a race that may go either way.
            const isMet = world.visited.includes(step) && !fault.startsWith('driver')
            if (isMet) assert.ok(world.hasHappened(), 'the fault was injected')
          })
        }
      }
    })
  })
}

test('the stories visit every step of every strand', async () => {
  const all = DEFINITIONS.flatMap(({ steps }) => Object.keys(steps))
  assert.deepEqual(
    all.filter((step) => !seenSteps.has(step)),
    [],
  )
})
