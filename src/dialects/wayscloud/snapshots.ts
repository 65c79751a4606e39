/** WAYSCloud's snapshots: of a stopped VPS, its disk alone, ten at most, each with a name of its own. */
import { z } from 'zod'
import { CloudError } from '../../model/errors.ts'
import { isUuid } from '../../model/ids.ts'
import type { SnapshotState } from '../../model/snapshot.ts'
import type { Ctx } from '../../services/ctx.ts'
import type { Snapshot } from '../../services/snapshots.ts'
import * as snapshots from '../../services/snapshots.ts'
import { type Answer, route } from '../http/route.ts'
import { Time, time } from './present.ts'
import { Working, whenDone } from './waiting.ts'

const SNAPSHOTS_MAX = 10
const NAME_MAX = 64

const Path = z.object({ vps_id: z.string().refine(isUuid) })
const SnapshotPath = Path.extend({ snapshot_name: z.string() })
const noun = 'instance'

const STATUS: Record<SnapshotState, string> = {
  creating: 'creating',
  ready: 'completed',
  reverting: 'rolling_back',
  deleting: 'deleting',
  failed: 'failed',
}

const Item = z
  .object({
    name: z.string(),
    description: z.string().nullable(),
    created_at: Time,
    size_bytes: z.int().nullable().describe('what the disk grew by; null = not measured'),
    snapshot_name: z.string().describe('the same as `name`'),
    status: z.enum(Object.values(STATUS) as [string, ...string[]]),
  })
  .meta({ id: 'Snapshot' })

const presentSnapshot = ({ name, description, createdAt, sizeBytes, state }: Snapshot): z.infer<typeof Item> => ({
  name,
  description,
  created_at: time(createdAt),
  size_bytes: sizeBytes,
  snapshot_name: name,
  status: STATUS[state],
})

/** What a name is stored as. */
const storedName = (text: string): string => text.replaceAll(/[^A-Za-z0-9_-]/gu, '_')

export const listSnapshots = route({
  method: 'GET',
  path: '/v1/vps/{vps_id}/snapshots',
  summary: 'List snapshots',
  scope: 'instances:read',
  noun,
  status: 200,
  params: Path,
  answer: z.object({ snapshots: z.array(Item), total: z.int(), max_snapshots: z.int() }).meta({ id: 'SnapshotList' }),
  async run(ctx, { params }) {
    const { items, total } = await snapshots.list(ctx, params.vps_id)
    return { snapshots: items.map(presentSnapshot), total, max_snapshots: SNAPSHOTS_MAX }
  },
})

const Name = z.string().min(1).max(NAME_MAX)
const CreateSnapshot = z
  .object({
    name: Name.nullish().describe('what is no letter, digit, `_` or `-` becomes `_`'),
    snapshot_name: Name.nullish().describe('the same in the words of its clients'),
    description: z.string().max(1024).nullish(),
  })
  .superRefine(({ name, snapshot_name }, { addIssue }) => {
    if (name || snapshot_name) return
    addIssue({ code: 'invalid_type', expected: 'string', path: ['name'], message: 'Field required', input: undefined })
  })
  .meta({ id: 'CreateSnapshot' })

const Created = z
  .object({ status: z.string().describe('`creating` when it takes longer than 25 s'), snapshot_name: z.string() })
  .meta({ id: 'SnapshotCreated' })

export const createSnapshot = route({
  method: 'POST',
  path: '/v1/vps/{vps_id}/snapshots',
  summary: 'Create snapshot',
  scope: 'instances:write',
  noun,
  status: 200,
  params: Path,
  body: CreateSnapshot,
  answer: Created,
  async run(ctx, { params, body }) {
    const { snapshot, operation } = await snapshots.create(ctx, params.vps_id, {
      name: storedName(body.name ?? body.snapshot_name ?? ''),
      ...(body.description && { description: body.description }),
      withMemory: false,
      needs: 'stopped',
      uniqueName: true,
      max: SNAPSHOTS_MAX,
    })
    return new Working({ status: 'creating', snapshot_name: snapshot.name }, operation.id)
  },
  after: (ctx, result, { signal }) => whenDone(ctx, result, signal, { ...bodyOf(result), status: 'created' }),
})

const Deleted = z
  .object({ status: z.string().describe('`deleting` when it takes longer than 25 s'), snapshot_name: z.string() })
  .meta({ id: 'SnapshotDeleted' })

export const deleteSnapshot = route({
  method: 'DELETE',
  path: '/v1/vps/{vps_id}/snapshots/{snapshot_name}',
  summary: 'Delete snapshot',
  scope: 'instances:write',
  noun,
  status: 200,
  params: SnapshotPath,
  answer: Deleted,
  async run(ctx, { params }) {
    const { id, name } = await named(ctx, params)
    const { operation } = await snapshots.remove(ctx, params.vps_id, id)
    return new Working({ status: 'deleting', snapshot_name: name }, operation.id)
  },
  after: (ctx, result, { signal }) => whenDone(ctx, result, signal, { ...bodyOf(result), status: 'deleted' }),
})

const RolledBack = z
  .object({ status: z.literal('rolling_back'), snapshot_name: z.string(), message: z.string() })
  .meta({ id: 'SnapshotRolledBack' })

export const rollbackSnapshot = route({
  method: 'POST',
  path: '/v1/vps/{vps_id}/snapshots/{snapshot_name}/rollback',
  summary: 'Roll back to snapshot',
  scope: 'instances:write',
  noun,
  status: 200,
  params: SnapshotPath,
  answer: RolledBack,
  async run(ctx, { params }) {
    const { id, name } = await named(ctx, params)
    const { operation } = await snapshots.rollback(ctx, params.vps_id, id, { needs: 'stopped' })
    const body = { status: 'rolling_back' as const, snapshot_name: name, message: 'The rollback is running' }
    return new Working(body, operation.id)
  },
  after: (ctx, result, { signal }) =>
    whenDone(ctx, result, signal, { ...bodyOf(result), message: 'The VPS is rolled back; start it when you like' }),
})

const bodyOf = (result: unknown): object => (result as Answer).body as object

/** As it stands in the path, or as it was stored when that was its name. */
async function named(
  ctx: Ctx,
  { vps_id, snapshot_name }: { vps_id: string; snapshot_name: string },
): Promise<Snapshot> {
  try {
    return await snapshots.get(ctx, vps_id, { name: snapshot_name })
  } catch (error) {
    const isUnknown = error instanceof CloudError && error.details.resource?.noun === 'snapshot'
    if (!isUnknown) throw error
    return snapshots.get(ctx, vps_id, { name: storedName(snapshot_name) })
  }
}
