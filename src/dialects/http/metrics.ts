/**
 * Counters of this process and their text form for Prometheus (text format 0.0.4). Labels come from route data, never
 * from a caller's path, so their number is bounded.
 */
export interface Gauge {
  name: string
  help: string
  values: readonly { labels?: Record<string, string>; value: number }[]
}

export interface Metrics {
  request(dialect: string, route: string, status: number, seconds: number): void
  /** The text, with gauges that were read just now. */
  text(gauges: readonly Gauge[]): string
}

const BUCKETS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

interface Histogram {
  counts: number[]
  sum: number
  total: number
}

export function createMetrics(): Metrics {
  const requests = new Map<string, { labels: string; count: number }>()
  const durations = new Map<string, Histogram>()

  return {
    request(dialect, route, status, seconds) {
      const key = `${dialect} ${status} ${route}`
      const counter = requests.get(key) ?? { labels: labelText({ dialect, route, status: String(status) }), count: 0 }
      if (counter.count === 0) requests.set(key, counter)
      counter.count += 1
      const histogram = durations.get(dialect) ?? { counts: BUCKETS_SECONDS.map(() => 0), sum: 0, total: 0 }
      durations.set(dialect, histogram)
      const first = BUCKETS_SECONDS.findIndex((limit) => seconds <= limit)
      if (first >= 0) histogram.counts[first]! += 1
      histogram.sum += seconds
      histogram.total += 1
    },
    text(gauges) {
      const { rss, heapUsed } = process.memoryUsage()
      const lines = [
        ...family('havn_http_requests_total', 'counter', 'Answered requests.'),
        ...[...requests.values()].map(({ labels, count }) => `havn_http_requests_total${labels} ${count}`),
        ...family('havn_http_request_duration_seconds', 'histogram', 'From the first byte to the answer.'),
        ...[...durations].flatMap(([dialect, histogram]) => histogramLines(dialect, histogram)),
        ...gauges.flatMap(({ name, help, values }) => [
          ...family(name, 'gauge', help),
          ...values.map(({ labels, value }) => `${name}${labelText(labels ?? {})} ${value}`),
        ]),
        ...family('process_resident_memory_bytes', 'gauge', 'Of the API process.'),
        `process_resident_memory_bytes ${rss}`,
        ...family('nodejs_heap_used_bytes', 'gauge', 'Of the API process.'),
        `nodejs_heap_used_bytes ${heapUsed}`,
        ...family('process_uptime_seconds', 'gauge', 'Of the API process.'),
        `process_uptime_seconds ${process.uptime()}`,
      ]
      return `${lines.join('\n')}\n`
    },
  }
}

const family = (name: string, type: string, help: string): string[] => [
  `# HELP ${name} ${help}`,
  `# TYPE ${name} ${type}`,
]

function histogramLines(dialect: string, { counts, sum, total }: Histogram): string[] {
  const name = 'havn_http_request_duration_seconds'
  let below = 0
  const buckets = counts.map((count, index) => {
    below += count
    return `${name}_bucket${labelText({ dialect, le: String(BUCKETS_SECONDS[index]) })} ${below}`
  })
  return [
    ...buckets,
    `${name}_bucket${labelText({ dialect, le: '+Inf' })} ${total}`,
    `${name}_sum${labelText({ dialect })} ${sum}`,
    `${name}_count${labelText({ dialect })} ${total}`,
  ]
}

function labelText(labels: Record<string, string>): string {
  const parts = Object.entries(labels).map(([key, value]) => `${key}="${value.replaceAll(/["\\\n]/g, '\\$&')}"`)
  return parts.length > 0 ? `{${parts.join(',')}}` : ''
}
