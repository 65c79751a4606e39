import { defined } from '../../lib/defined.ts'
import * as operations from '../../services/operations.ts'
import { route } from '../http/route.ts'
import { endpoints } from './contract.ts'
import { page } from './present/common.ts'
import { presentOperation } from './present/operations.ts'

export const listOperations = route({
  ...endpoints.listOperations,
  scope: 'instances:read',
  reach: 'asked',
  async run(ctx, { query: { all: _, open, ...filter } }) {
    return page(await operations.list(ctx, { openOnly: open === 'true', ...defined(filter) }), presentOperation)
  },
})

export const getOperation = route({
  ...endpoints.getOperation,
  scope: 'instances:read',
  reach: 'all',
  noun: 'operation',
  run: async (ctx, { params }) => presentOperation(await operations.get(ctx, params.id)),
})
