/** An operator does not reach other accounts' credentials: they are nobody's business but their owner's. */
import { defined } from '../../lib/defined.ts'
import * as credentials from '../../services/credentials.ts'
import { route } from '../http/route.ts'
import { endpoints } from './contract.ts'
import { page } from './present/common.ts'
import { presentCredential } from './present/credentials.ts'

const noun = 'instance'

export const listCredentials = route({
  ...endpoints.listCredentials,
  scope: 'instances:read',
  noun,
  run: async (ctx, { params, query }) =>
    page(await credentials.list(ctx, params.id, defined(query)), presentCredential),
})

export const putCredential = route({
  ...endpoints.putCredential,
  scope: 'instances:write',
  noun,
  run: async (ctx, { params, body }) => presentCredential(await credentials.put(ctx, params.id, body)),
})

export const revealCredential = route({
  ...endpoints.revealCredential,
  scope: 'instances:write',
  noun,
  isSecret: true,
  run: (ctx, { params, body }) => credentials.reveal(ctx, params.id, body),
})
