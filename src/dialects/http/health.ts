/** What machines ask: does it live, can it work, how is it. Answered beside the dialects, in the fallback's shape. */

import { CloudError } from '../../model/errors.ts'
import * as status from '../../services/status.ts'
import type { Metrics } from './metrics.ts'
import { Answer, type Route, route } from './route.ts'

const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

export const healthRoutes = (metrics: Metrics): Route[] => [
  route({
    method: 'GET',
    path: '/healthz',
    summary: 'Whether this process lives',
    scope: null,
    status: 200,
    run: async () => ({ status: 'ok' }),
  }),
  route({
    method: 'GET',
    path: '/readyz',
    summary: 'Whether the database answers and a worker was seen lately',
    scope: null,
    status: 200,
    async run(ctx) {
      const [problem] = await status.findProblems(ctx.db)
      if (problem) throw new CloudError('unavailable', problem)
      return { status: 'ok' }
    },
  }),
  route({
    method: 'GET',
    path: '/metrics',
    summary: 'Prometheus metrics; with an operator key, or from this machine without one',
    scope: 'operator',
    openTo: 'loopback',
    status: 200,
    produces: METRICS_TYPE,
    run: async (ctx) => new Answer(metrics.text(await status.gauges(ctx.db)), { type: METRICS_TYPE }),
  }),
]
