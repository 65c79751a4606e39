/** Stories of backups: made, failed, given up, expired, with the instance doing what it likes meanwhile. */
import assert from 'node:assert/strict'
import type { InstanceId } from '../../src/model/ids.ts'
import * as backups from '../../src/services/backups/backups.ts'
import * as policies from '../../src/services/backups/policies.ts'
import * as templates from '../../src/services/backups/templates.ts'
import * as catalog from '../../src/services/catalog.ts'
import * as instances from '../../src/services/instances.ts'
import { createRunning, createStopped, reaches, type Story, state, strandEnds } from './story.ts'
import type { TaskEnd } from './tasks.ts'
import type { World } from './world.ts'

const SUCCEEDED = { 'backup.create': 'succeeded' }

async function begin(world: World, id: InstanceId, end: TaskEnd = 'done'): Promise<string> {
  world.tasks.endWith(end)
  const { backup } = await backups.create(world.ctx, id)
  return backup.id
}
async function backUp(world: World, id: InstanceId, end: TaskEnd = 'done'): Promise<string> {
  const backup = await begin(world, id, end)
  await reaches(world, backup, 'completed')
  await isOutOfTheWay(world, backup)
  return backup
}
const isOutOfTheWay = (world: World, id: string) =>
  world.until(`${id} is out of the way`, async () => {
    const strand = await world.db.selectFrom('strand').select(['step']).where('id', '=', id).executeTakeFirst()
    return strand === undefined || strand.step === 'kept'
  })
/** The usual end of a task for the stories to come. */
const asUsual = (world: World, id: string): string => {
  world.tasks.endWith('done')
  return id
}

const STORIES: readonly Story[] = [
  {
    name: 'back up a running instance, and again on top of that',
    ends: 'completed',
    operations: SUCCEEDED,
    async tell(world) {
      const id = await createRunning(world)
      const first = await backUp(world, id)
      const second = await backUp(world, id)
      assert.equal(await state(world.db, first), 'completed')
      return second
    },
  },
  {
    name: 'back up a stopped instance; the store is away for a while',
    ends: 'completed',
    operations: SUCCEEDED,
    async tell(world) {
      return asUsual(world, await backUp(world, await createStopped(world), 'away twice'))
    },
  },
  {
    name: 'the moment slips away while it is read',
    ends: 'completed',
    operations: SUCCEEDED,
    async tell(world) {
      const id = await createRunning(world)
      const backup = await begin(world, id, 'gone once')
      await instances.stop(world.ctx, id)
      await reaches(world, id, 'stopped')
      await reaches(world, backup, 'completed')
      await isOutOfTheWay(world, backup)
      return asUsual(world, backup)
    },
  },
  {
    name: 'the upload dies and goes on',
    ends: 'completed',
    operations: SUCCEEDED,
    async tell(world) {
      return asUsual(world, await backUp(world, await createRunning(world), 'vanished once'))
    },
  },
  {
    name: 'a backup that fails',
    ends: 'failed',
    operations: { 'backup.create': 'failed' },
    async tell(world) {
      const backup = await begin(world, await createRunning(world), 'failed')
      await reaches(world, backup, 'failed')
      await isOutOfTheWay(world, backup)
      return asUsual(world, backup)
    },
  },
  {
    name: 'the instance goes while it is backed up',
    ends: 'failed',
    operations: { 'backup.create': 'failed' },
    async tell(world) {
      const id = await createRunning(world)
      const backup = await begin(world, id, 'gone')
      await world.until('it is uploaded', async () => world.visited.includes('upload'))
      await instances.remove(world.ctx, id, { purge: true })
      await strandEnds(world, id)
      await reaches(world, backup, 'failed')
      await isOutOfTheWay(world, backup)
      return asUsual(world, backup)
    },
  },
  {
    name: 'a backup outlives its instance, and expires',
    ends: 'deleted',
    operations: SUCCEEDED,
    async tell(world) {
      const id = await createRunning(world)
      const backup = await backUp(world, id)
      await instances.remove(world.ctx, id, { purge: true })
      await strandEnds(world, id)
      assert.equal((await backups.get(world.ctx, backup)).state, 'completed')
      await world.advance(15 * 86_400_000)
      await strandEnds(world, backup)
      return backup
    },
  },
  {
    name: 'delete a backup',
    ends: 'deleted',
    operations: SUCCEEDED,
    async tell(world) {
      const backup = await backUp(world, await createRunning(world))
      await backups.remove(world.ctx, backup)
      await strandEnds(world, backup)
      return backup
    },
  },
  {
    name: 'delete a backup while it is made; the next one waits for it',
    ends: 'deleted',
    operations: { 'backup.create': 'cancelled' },
    interrupted: 'upload',
    async tell(world) {
      const id = await createRunning(world)
      const backup = await begin(world, id, 'never')
      await world.until('it is uploaded', async () => world.visited.includes('upload'))
      await backups.remove(world.ctx, backup)
      await backUp(world, id)
      await strandEnds(world, backup)
      return backup
    },
  },
  {
    name: 'a backup becomes an image of its account',
    ends: 'available',
    operations: { 'image.convert': 'succeeded' },
    async tell(world) {
      const backup = await backUp(world, await createRunning(world))
      const { image } = await templates.convert(world.ctx, backup, { name: 'golden' })
      const strand = `image_${image.id}`
      await strandEnds(world, strand)
      const found = await templates.get(world.ctx, image.number)
      assert.equal(found.digest, 'd'.repeat(64))
      const { instance } = await instances.create(world.ctx, { hostname: 'golden', imageId: image.id })
      await reaches(world, instance.id, 'running')
      assert.ok(!(await catalog.images(world.ctx)).some(({ id }) => id === image.id))
      return strand
    },
  },
  {
    name: 'a policy fires',
    ends: 'completed',
    operations: SUCCEEDED,
    async tell(world) {
      const id = await createRunning(world)
      await policies.set(world.ctx, id, { enabled: true })
      await world.advance(3 * 86_400_000)
      await Promise.all([world.runPolicies(), world.runPolicies()])
      const { items } = await backups.list(world.ctx, { instance: id })
      assert.equal(items.length, 1)
      await reaches(world, items[0]!.id, 'completed')
      await isOutOfTheWay(world, items[0]!.id)
      await policies.remove(world.ctx, id)
      return items[0]!.id
    },
  },
]

const STEPS = ['open', 'upload', 'publish', 'close', 'undo', 'kept', 'remove', 'work', 'clean']

export const BACKUP_STORIES: readonly Story[] = STORIES.map((story) => ({ ...story, about: STEPS }))
