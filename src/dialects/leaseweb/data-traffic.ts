/** What a server's own interface moved, in the intervals asked for. */
import { z } from 'zod'
import { type Granularity, startOf } from '../../model/metric.ts'
import * as instances from '../../services/instances.ts'
import * as metrics from '../../services/metrics.ts'
import { route } from '../http/route.ts'
import { names, noun, SERVER, ServerPath } from './path.ts'
import { parseTime, Time, time } from './time.ts'

const WORDS = ['NONE', '5MIN', 'HOUR', 'DAY', 'MONTH', 'YEAR'] as const
const GRANULARITY: Record<(typeof WORDS)[number], Granularity> = {
  NONE: 'none',
  '5MIN': '5min',
  HOUR: 'hour',
  DAY: 'day',
  MONTH: 'month',
  YEAR: 'year',
}

const Moment = z
  .string()
  .refine((text) => parseTime(text) !== null, 'must be a date or a time as in RFC 3339')
  .transform((text) => parseTime(text)!)
  .meta({ type: 'string', format: 'date-time' })
const Query = z.object({
  granularity: z.enum(WORDS).default('NONE').describe('length of an interval; NONE: one value of all'),
  aggregation: z.literal('SUM').default('SUM'),
  from: Moment.optional().describe('inclusive; default: the beginning of this month in UTC'),
  to: Moment.optional().describe('exclusive; default: now'),
})

const Series = z.object({ unit: z.literal('B'), values: z.array(z.object({ timestamp: Time, value: z.int() })) })
const DataTraffic = z
  .object({
    _metadata: z.object({ from: Time, to: Time, granularity: z.enum(WORDS), aggregation: z.literal('SUM') }),
    metrics: z.object({ DATATRAFFIC_UP: Series, DATATRAFFIC_DOWN: Series }),
  })
  .meta({
    id: 'DataTraffic',
    description: 'UP is what the server sent. An interval that nobody measured has no value.',
  })

export const getDataTraffic = route({
  method: 'GET',
  path: `${SERVER}/metrics/datatraffic`,
  summary: 'Inspect datatraffic metrics',
  scope: 'instances:read',
  noun,
  status: 200,
  params: ServerPath,
  names,
  query: Query,
  answer: DataTraffic,
  async run(ctx, { params, query }) {
    const { granularity, aggregation } = query
    const { id, readAt } = await instances.get(ctx, params.virtualServerId)
    const { from = startOf('month', readAt), to = readAt } = query
    const traffic = await metrics.traffic(ctx, id, { from, to, granularity: GRANULARITY[granularity] })
    return {
      _metadata: { from: time(from), to: time(to), granularity, aggregation },
      metrics: { DATATRAFFIC_UP: presentSeries(traffic.out), DATATRAFFIC_DOWN: presentSeries(traffic.in) },
    }
  },
})

const SECOND = 1_000
/** A value's moment is the last second of its interval. */
const presentSeries = (values: readonly metrics.TrafficValue[]): z.infer<typeof Series> => ({
  unit: 'B',
  values: values.flatMap(({ to, bytes }) =>
    bytes === null ? [] : [{ timestamp: time(new Date(to.getTime() - SECOND)), value: bytes }],
  ),
})
