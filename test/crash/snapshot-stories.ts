/** Stories of snapshots: taken, gone back to, refused, cut short. */
import assert from 'node:assert/strict'
import * as instances from '../../src/services/instances.ts'
import * as snapshots from '../../src/services/snapshots.ts'
import {
  createRunning,
  createStopped,
  isIdle,
  reaches,
  type Story,
  statesOfSnapshots,
  strandEnds,
  TAKE,
} from './story.ts'

export const SNAPSHOT_STORIES: readonly Story[] = [
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
]
