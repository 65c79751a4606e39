/** What only an operator sees: the machines underneath, and what is stuck. */
import * as hosts from '../../services/hosts.ts'
import * as incidents from '../../services/incidents.ts'
import { route } from '../http/route.ts'
import { endpoints } from './contract.ts'
import { page, whole } from './present/common.ts'
import { presentHost, presentIncident } from './present/operator.ts'

const operator = { scope: 'operator', reach: 'all' } as const

export const listHosts = route({
  ...endpoints.listHosts,
  ...operator,
  run: async (ctx) => whole(await hosts.list(ctx), presentHost),
})

export const listIncidents = route({
  ...endpoints.listIncidents,
  ...operator,
  async run(ctx, { query: { state, ...paging } }) {
    return page(await incidents.list(ctx, { openOnly: state === 'open', ...paging }), presentIncident)
  },
})

export const recoverIncident = route({
  ...endpoints.recoverIncident,
  ...operator,
  noun: 'incident',
  run: async (ctx, { params }) => presentIncident(await incidents.recover(ctx, params.id)),
})
