/** Leaseweb's operations on snapshots: of a running server, its memory included. */
import { z } from 'zod'
import { isUuid } from '../../model/ids.ts'
import { SNAPSHOT_NAME_MAX } from '../../model/snapshot.ts'
import type { Ctx } from '../../services/ctx.ts'
import * as instances from '../../services/instances.ts'
import * as snapshots from '../../services/snapshots.ts'
import { route } from '../http/route.ts'
import { Metadata, metadata, Page, pagingOf } from './paging.ts'
import { names, noun, orNothing, SERVER, ServerId, ServerPath } from './path.ts'
import { Job, presentSnapshot, presentSnapshotJob, Snapshot } from './present.ts'

const SNAPSHOTS = `${SERVER}/snapshots`
const SNAPSHOT = `${SNAPSHOTS}/{snapshotId}`
const SnapshotPath = z.object({ virtualServerId: ServerId, snapshotId: z.string().refine(isUuid) })

/** A number in a text could be a name too: here it is the number and nothing else. */
const idOf = async (ctx: Ctx, server: number) => (await instances.get(ctx, server)).id

export const listSnapshots = route({
  method: 'GET',
  path: SNAPSHOTS,
  summary: 'List snapshots',
  scope: 'instances:read',
  noun,
  status: 200,
  params: ServerPath,
  names,
  query: Page,
  answer: z.object({ snapshots: z.array(Snapshot), _metadata: Metadata }),
  async run(ctx, { params, query }) {
    const page = pagingOf(query)
    const { items, total } = await snapshots.list(ctx, await idOf(ctx, params.virtualServerId), page)
    return { snapshots: items.map(presentSnapshot), _metadata: metadata(total, page) }
  },
})

const NAME_RULE = 'must start with a letter and hold only letters, numbers and spaces'
const CreateSnapshot = z
  .object({
    name: z
      .string()
      .max(SNAPSHOT_NAME_MAX)
      .regex(/^[A-Za-z][A-Za-z0-9 ]*$/, NAME_RULE),
  })
  .meta({ id: 'CreateSnapshot' })

/** The vendor's rule: the server must run, and have a pack that can. Names may come again. */
export const createSnapshot = route({
  method: 'POST',
  path: SNAPSHOTS,
  summary: 'Create a snapshot of disk and memory',
  scope: 'instances:write',
  noun,
  status: 202,
  isCreate: true,
  params: ServerPath,
  names,
  body: orNothing(CreateSnapshot),
  answer: Job,
  async run(ctx, { params, body }) {
    const { operation } = await snapshots.create(ctx, await idOf(ctx, params.virtualServerId), {
      name: body.name,
      withMemory: true,
      needs: 'running',
      uniqueName: false,
      max: null,
    })
    return presentSnapshotJob(operation, 'create')
  },
})

export const getSnapshot = route({
  method: 'GET',
  path: SNAPSHOT,
  summary: 'Get a snapshot',
  scope: 'instances:read',
  noun: 'snapshot',
  status: 200,
  params: SnapshotPath,
  names,
  answer: Snapshot,
  async run(ctx, { params }) {
    const id = await idOf(ctx, params.virtualServerId)
    return presentSnapshot(await snapshots.get(ctx, id, params.snapshotId))
  },
})

const change = {
  scope: 'instances:write',
  noun: 'snapshot',
  status: 202,
  params: SnapshotPath,
  names,
  answer: Job,
} as const

export const deleteSnapshot = route({
  ...change,
  method: 'DELETE',
  path: SNAPSHOT,
  summary: 'Delete a snapshot',
  async run(ctx, { params }) {
    const id = await idOf(ctx, params.virtualServerId)
    return presentSnapshotJob((await snapshots.remove(ctx, id, params.snapshotId)).operation, 'delete')
  },
})

export const restoreSnapshot = route({
  ...change,
  method: 'POST',
  path: `${SNAPSHOT}/restore`,
  summary: 'Restore disk and memory from a snapshot',
  async run(ctx, { params }) {
    const id = await idOf(ctx, params.virtualServerId)
    const { operation } = await snapshots.rollback(ctx, id, params.snapshotId, { needs: 'running' })
    return presentSnapshotJob(operation, 'restore')
  },
})
