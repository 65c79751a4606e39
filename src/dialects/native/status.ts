import * as status from '../../services/status.ts'
import { route } from '../http/route.ts'
import { endpoints } from './contract.ts'
import { presentOperation } from './present/operations.ts'
import { presentHost } from './present/operator.ts'

export const getStatus = route({
  ...endpoints.getStatus,
  scope: 'instances:read',
  reach: 'all',
  async run(ctx) {
    const { openOperations, hosts, ...rest } = await status.get(ctx)
    return {
      ...rest,
      openOperations: openOperations.map(presentOperation),
      hosts: hosts?.map(presentHost) ?? null,
    }
  },
})
