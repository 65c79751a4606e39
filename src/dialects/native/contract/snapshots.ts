import { z } from 'zod'
import { SNAPSHOT_NAME_MAX, SNAPSHOT_STATES } from '../../../model/snapshot.ts'
import { type Endpoint, listOf, Name, PageQuery, Ref, Timestamp, V } from './common.ts'
import { Operation } from './operations.ts'

export const Snapshot = z
  .object({
    id: z.string(),
    uuid: z.uuid(),
    number: z.int(),
    instanceId: z.string(),
    name: z.string(),
    description: z.string().nullable(),
    hasMemory: z.boolean().describe('the guest can run on from it'),
    state: z.enum(SNAPSHOT_STATES),
    stateReason: z.string().nullable(),
    sizeBytes: z
      .int()
      .nullable()
      .describe('what the disk grew by since the one before it, and the memory; an estimate'),
    createdAt: Timestamp,
    takenAt: Timestamp.nullable(),
  })
  .meta({ id: 'InstanceSnapshot' })
export type Snapshot = z.infer<typeof Snapshot>

export const SnapshotAccepted = z.object({ snapshot: Snapshot, operation: Operation }).meta({ id: 'SnapshotAccepted' })
export type SnapshotAccepted = z.infer<typeof SnapshotAccepted>

export const CreateSnapshot = z
  .strictObject({
    name: Name.max(SNAPSHOT_NAME_MAX),
    description: z.string().trim().max(1024).optional(),
    withMemory: z.boolean().default(false).describe('of a running instance: its memory too; it pauses for a moment'),
  })
  .meta({ id: 'NewSnapshot' })

export const RollbackSnapshot = z
  .strictObject({
    withMemory: z
      .boolean()
      .optional()
      .describe('the guest runs on from there; without, the instance must be stopped. Default: if it has memory'),
  })
  .meta({ id: 'RollbackSnapshot' })

const SnapshotPath = Ref.extend({ snapshot: z.string().min(1).describe('text id, UUID, number or name') })

const OF_INSTANCE = `${V}/instances/{id}/snapshots`

export const snapshotsEndpoints = {
  listSnapshots: {
    method: 'GET',
    path: OF_INSTANCE,
    summary: 'List the snapshots of an instance, the oldest first',
    status: 200,
    params: Ref,
    query: PageQuery,
    answer: listOf(Snapshot),
  },
  createSnapshot: {
    method: 'POST',
    path: OF_INSTANCE,
    summary: 'Take a snapshot',
    status: 202,
    params: Ref,
    body: CreateSnapshot,
    answer: SnapshotAccepted,
  },
  getSnapshot: {
    method: 'GET',
    path: `${OF_INSTANCE}/{snapshot}`,
    summary: 'Get a snapshot',
    status: 200,
    params: SnapshotPath,
    answer: Snapshot,
  },
  deleteSnapshot: {
    method: 'DELETE',
    path: `${OF_INSTANCE}/{snapshot}`,
    summary: 'Delete a snapshot',
    status: 202,
    params: SnapshotPath,
    answer: SnapshotAccepted,
  },
  rollbackSnapshot: {
    method: 'POST',
    path: `${OF_INSTANCE}/{snapshot}/rollback`,
    summary: 'Go back to a snapshot; what was written since is lost, later snapshots stay',
    status: 202,
    params: SnapshotPath,
    body: RollbackSnapshot.prefault({}),
    answer: SnapshotAccepted,
  },
} as const satisfies Record<string, Endpoint>
