/** Measurements as the contract has them. */
import type { Curves, Traffic } from '../../../services/metrics.ts'
import type { InstanceMetrics, InstanceTraffic } from '../contract/metrics.ts'

const span = ({ from, to }: { from: Date; to: Date }) => ({ from: from.toISOString(), to: to.toISOString() })

export const presentMetrics = ({ instanceId, step, curves, ...asked }: Curves): InstanceMetrics => ({
  instanceId,
  ...span(asked),
  step,
  series: curves.map(({ metric, values }) => ({
    metric,
    values: values.map(({ value, max, ...interval }) => ({ ...span(interval), value, max })),
  })),
})

export const presentTraffic = ({ instanceId, granularity, in: incoming, out, ...asked }: Traffic): InstanceTraffic => ({
  instanceId,
  ...span(asked),
  granularity,
  values: incoming.map(({ bytes, ...interval }, index) => ({
    ...span(interval),
    inBytes: bytes,
    outBytes: out[index]?.bytes ?? null,
  })),
})
