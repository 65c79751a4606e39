import * as audit from '../../services/audit.ts'
import { route } from '../http/route.ts'
import { endpoints } from './contract.ts'
import { presentAudit } from './present/audit.ts'
import { page } from './present/common.ts'

export const listAudit = route({
  ...endpoints.listAudit,
  scope: 'account:read',
  reach: 'asked',
  run: async (ctx, { query: { limit, offset } }) => page(await audit.list(ctx, { limit, offset }), presentAudit),
})
