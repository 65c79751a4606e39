/** Stories of instances that get another disk made from an image. */
import assert from 'node:assert/strict'
import type { InstanceId } from '../../src/model/ids.ts'
import * as credentials from '../../src/services/credentials.ts'
import * as instances from '../../src/services/instances.ts'
import * as snapshots from '../../src/services/snapshots.ts'
import { createRunning, createStopped, isIdle, type Story, statesOfSnapshots, strandEnds, TAKE } from './story.ts'
import type { World } from './world.ts'

const instanceRow = (world: World, id: InstanceId) =>
  world.db.selectFrom('instance').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
const ROOT = { type: 'operating_system', username: 'root' } as const

export const REBUILD_STORIES: readonly Story[] = [
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
]
