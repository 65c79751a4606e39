import * as metrics from '../../services/metrics.ts'
import { route } from '../http/route.ts'
import { endpoints } from './contract.ts'
import { presentMetrics, presentTraffic } from './present/metrics.ts'

const read = { scope: 'instances:read', reach: 'all', noun: 'instance' } as const

export const getInstanceMetrics = route({
  ...endpoints.getInstanceMetrics,
  ...read,
  run: async (ctx, { params, query: { from, to, metric, step } }) =>
    presentMetrics(await metrics.curves(ctx, params.id, { ...times({ from, to }), step, ...(metric && { metric }) })),
})

export const getInstanceTraffic = route({
  ...endpoints.getInstanceTraffic,
  ...read,
  run: async (ctx, { params, query: { from, to, granularity } }) =>
    presentTraffic(await metrics.traffic(ctx, params.id, { ...times({ from, to }), granularity })),
})

const times = ({ from, to }: { from: string | undefined; to: string | undefined }) => ({
  ...(from !== undefined && { from: new Date(from) }),
  ...(to !== undefined && { to: new Date(to) }),
})
