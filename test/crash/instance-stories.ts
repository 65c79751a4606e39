/** Stories of instances: made, switched on and off by people, by the guest or by accident, and deleted. */
import * as instances from '../../src/services/instances.ts'
import { create, createRunning, reaches, type Story, strandEnds } from './story.ts'

export const INSTANCE_STORIES: readonly Story[] = [
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
]
