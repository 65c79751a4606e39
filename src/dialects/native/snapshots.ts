import { defined } from '../../lib/defined.ts'
import * as snapshots from '../../services/snapshots.ts'
import { route } from '../http/route.ts'
import { endpoints } from './contract.ts'
import { page } from './present/common.ts'
import { presentOperation } from './present/operations.ts'
import { presentSnapshot } from './present/snapshots.ts'

const noun = 'instance'
const read = { scope: 'instances:read', reach: 'all', noun } as const
const write = { scope: 'instances:write', reach: 'all', noun } as const

const accepted = ({ snapshot, operation }: snapshots.AcceptedSnapshot) => ({
  snapshot: presentSnapshot(snapshot),
  operation: presentOperation(operation),
})

export const listSnapshots = route({
  ...endpoints.listSnapshots,
  ...read,
  run: async (ctx, { params, query }) => page(await snapshots.list(ctx, params.id, query), presentSnapshot),
})

export const createSnapshot = route({
  ...endpoints.createSnapshot,
  ...write,
  isCreate: true,
  run: async (ctx, { params, body }) =>
    accepted(
      await snapshots.create(ctx, params.id, {
        name: body.name,
        withMemory: body.withMemory,
        ...(body.description !== undefined && { description: body.description }),
        needs: 'any',
        uniqueName: true,
        max: null,
      }),
    ),
})

export const getSnapshot = route({
  ...endpoints.getSnapshot,
  ...read,
  run: async (ctx, { params }) => presentSnapshot(await snapshots.get(ctx, params.id, params.snapshot)),
})

export const deleteSnapshot = route({
  ...endpoints.deleteSnapshot,
  ...write,
  run: async (ctx, { params }) => accepted(await snapshots.remove(ctx, params.id, params.snapshot)),
})

export const rollbackSnapshot = route({
  ...endpoints.rollbackSnapshot,
  ...write,
  run: async (ctx, { params, body }) =>
    accepted(await snapshots.rollback(ctx, params.id, params.snapshot, { needs: 'any', ...defined(body) })),
})
