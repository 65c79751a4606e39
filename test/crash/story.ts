/** What the crash tests tell again and again, each time with another fault, and what stories share. */
import type { BackupId, InstanceId } from '../../src/model/ids.ts'
import * as instances from '../../src/services/instances.ts'
import * as snapshots from '../../src/services/snapshots.ts'
import type { Db } from '../../src/store/db.ts'
import type { World } from './world.ts'

export interface Story {
  name: string
  /** The state of the resource at the end. */
  ends: string
  /** How each ended, once; `|` between several ends that are right. */
  operations: Record<string, string>
  /** A step that the story cuts short: it never comes to its own end, so nothing can happen there. */
  interrupted?: string
  /** The steps that it is about: faults happen in these only, where the others have stories of their own. */
  about?: readonly string[]
  /** Returns the id of the resource. */
  tell(world: World): Promise<string>
}

export async function state(db: Db, id: string): Promise<string> {
  const isOf = (prefix: string) => id.startsWith(`${prefix}_`)
  const query = isOf('inst')
    ? db
        .selectFrom('instance')
        .select('state')
        .where('id', '=', id as InstanceId)
    : isOf('bkp')
      ? db
          .selectFrom('backup')
          .select('state')
          .where('id', '=', id as BackupId)
      : db.selectFrom('image').select('state').where('id', '=', id.replace('image_', ''))
  const row: { state: string } = await query.executeTakeFirstOrThrow()
  return row.state
}
export const reaches = (world: World, id: string, wanted: string) =>
  world.until(`${id} is ${wanted}`, async () => (await state(world.db, id)) === wanted)

export async function create(world: World): Promise<InstanceId> {
  const { instance } = await instances.create(world.ctx, { hostname: 'crash.example.net' })
  return instance.id
}
export async function createRunning(world: World): Promise<InstanceId> {
  const id = await create(world)
  await reaches(world, id, 'running')
  return id
}
export async function createStopped(world: World): Promise<InstanceId> {
  const id = await createRunning(world)
  await instances.stop(world.ctx, id)
  await reaches(world, id, 'stopped')
  return id
}
/** Waits until nothing is under way with the instance. */
export const isIdle = (world: World, id: InstanceId) =>
  world.until(`nothing is under way with ${id}`, async () => {
    const open = await world.db
      .selectFrom('operation')
      .select('id')
      .where('resource_id', '=', id)
      .where('state', 'in', ['pending', 'running'])
      .executeTakeFirst()
    return open === undefined
  })
export const strandEnds = (world: World, id: string) =>
  world.until(`the strand of ${id} ends`, async () => {
    const strand = await world.db.selectFrom('strand').select('id').where('id', '=', id).executeTakeFirst()
    return strand === undefined
  })

export const forgetOperations = (db: Db) => db.deleteFrom('operation').execute()

/** How snapshots are asked for where nothing else matters. */
export const TAKE = { needs: 'any', uniqueName: true, max: 10 } as const
export const statesOfSnapshots = async (world: World, id: InstanceId) =>
  (await snapshots.list(world.ctx, id)).items.map(({ name, state }) => `${name} ${state}`)
