/** What instances use, over time. */
import { z } from 'zod'
import { GRANULARITIES, METRICS, STEPS } from '../../../model/metric.ts'
import { type Endpoint, Ref, Timestamp, V } from './common.ts'

const NULL_MEANS = 'null = not measured'

export const MetricsQuery = z.strictObject({
  metric: z.enum(METRICS).optional().describe('only this one'),
  from: Timestamp.optional().describe('inclusive; default: an hour before `to`'),
  to: Timestamp.optional().describe('exclusive; default: now'),
  step: z.enum(STEPS).default('5min').describe('`10s`: the samples themselves, as long as they are kept'),
})

export const InstanceMetrics = z
  .object({
    instanceId: z.string(),
    from: Timestamp,
    to: Timestamp,
    step: z.enum(STEPS),
    series: z.array(
      z.object({
        metric: z.enum(METRICS).describe('those ending in `Percent` and `UsedBytes` are averages, the others amounts'),
        values: z
          .array(
            z.object({
              from: Timestamp,
              to: Timestamp,
              value: z.number().nullable().describe(NULL_MEANS),
              max: z.number().nullable().describe('the highest sample, where it is kept'),
            }),
          )
          .describe('in UTC, the oldest first'),
      }),
    ),
  })
  .meta({ id: 'InstanceMetrics' })
export type InstanceMetrics = z.infer<typeof InstanceMetrics>

export const TrafficQuery = z.strictObject({
  from: Timestamp.optional().describe('inclusive; default: the beginning of this month in UTC'),
  to: Timestamp.optional().describe('exclusive; default: now'),
  granularity: z.enum(GRANULARITIES).default('day').describe('`none`: one value'),
})

export const InstanceTraffic = z
  .object({
    instanceId: z.string(),
    from: Timestamp,
    to: Timestamp,
    granularity: z.enum(GRANULARITIES),
    values: z
      .array(
        z.object({
          from: Timestamp,
          to: Timestamp,
          inBytes: z.int().nullable().describe(NULL_MEANS),
          outBytes: z.int().nullable().describe(NULL_MEANS),
        }),
      )
      .describe('in UTC, the oldest first; the first and the last are clipped; what has not begun is left out'),
  })
  .meta({ id: 'InstanceTraffic' })
export type InstanceTraffic = z.infer<typeof InstanceTraffic>

export const metricsEndpoints = {
  getInstanceMetrics: {
    method: 'GET',
    path: `${V}/instances/{id}/metrics`,
    summary: 'Get what an instance used, over time',
    status: 200,
    params: Ref,
    query: MetricsQuery,
    answer: InstanceMetrics,
  },
  getInstanceTraffic: {
    method: 'GET',
    path: `${V}/instances/{id}/traffic`,
    summary: 'Get what an instance moved through its interface',
    status: 200,
    params: Ref,
    query: TrafficQuery,
    answer: InstanceTraffic,
  },
} as const satisfies Record<string, Endpoint>
