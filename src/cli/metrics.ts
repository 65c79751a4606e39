/** `instance metrics`: what an instance used, as a table with a row for each interval. */
import type { InstanceMetrics } from '../dialects/native/contract/metrics.ts'
import { METRICS, type Metric, STEPS, type Step } from '../model/metric.ts'
import { type Command, JSON_OPTION } from './command.ts'
import { CliError } from './exit.ts'
import { bytes, json, table } from './output.ts'

const HEADS: Record<Metric, string> = {
  cpuPercent: 'CPU %',
  memoryUsedBytes: 'MEMORY',
  diskUsedBytes: 'DISK',
  networkInBytes: 'NET IN',
  networkOutBytes: 'NET OUT',
  diskReadBytes: 'READ',
  diskWriteBytes: 'WRITTEN',
  diskReadOps: 'READS',
  diskWriteOps: 'WRITES',
}
/** A screenful of the step. */
const BACK_MINUTES: Record<Step, number> = {
  '10s': 5,
  '5min': 120,
  hour: 24 * 60,
  day: 31 * 24 * 60,
  month: 365 * 24 * 60,
}

export const metrics: Command = {
  name: 'instance metrics',
  summary: 'show what an instance used: CPU, memory, disk, network',
  positionals: ['NAME'],
  options: {
    step: { type: 'string', value: 'STEP', help: `${STEPS.join(', ')} (default 5min)` },
    from: { type: 'string', value: 'TIME', help: 'from then on; default: a screenful' },
    to: { type: 'string', value: 'TIME', help: 'until then; default: now' },
    ...JSON_OPTION,
  },
  async run(cli, args) {
    const step = STEPS.find((one) => one === (args.text('step') ?? '5min'))
    if (!step) throw new CliError('usage', `--step is one of ${STEPS.join(', ')}`)
    const to = timeOf('to', args.text('to')) ?? cli.now()
    const from = timeOf('from', args.text('from')) ?? new Date(to.getTime() - BACK_MINUTES[step] * 60_000)
    const found = await cli.client.call('getInstanceMetrics', {
      id: args.at.NAME!,
      query: { step, from: from.toISOString(), to: to.toISOString() },
    })
    cli.print(args.flag('json') ? json(found) : listing(found))
    return undefined
  },
}

function timeOf(option: string, text: string | undefined): Date | undefined {
  if (text === undefined) return undefined
  const time = new Date(text)
  if (Number.isNaN(time.getTime())) {
    throw new CliError('usage', `--${option} ${JSON.stringify(text)} is not a time, for example 2026-05-01T12:00:00Z`)
  }
  return time
}

/** Samples of different kinds have the same times, so the longest list of them names the rows. */
function listing({ series }: InstanceMetrics): string {
  const byMetric = new Map(series.map(({ metric, values }) => [metric, new Map(values.map((it) => [it.to, it]))]))
  const ends = [...new Set(series.flatMap(({ values }) => values.map(({ to }) => to)))].sort()
  return table(
    ['UNTIL', ...METRICS.map((metric) => HEADS[metric])],
    ends.map((to) => [
      to.replace(/\.\d+Z$/, 'Z'),
      ...METRICS.map((metric) => cell(metric, byMetric.get(metric)?.get(to)?.value ?? null)),
    ]),
  )
}

function cell(metric: Metric, value: number | null): string | null {
  if (value === null) return null
  return metric.endsWith('Bytes') ? bytes(value) : String(Math.round(value * 10) / 10)
}
