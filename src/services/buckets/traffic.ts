/**
 * Counts what moves through the buckets of one process, and writes it down every few seconds: a write for each request
 * would cost as much as the request. What a killed process had not written yet is lost, in the customer's favour.
 */
import type { Bucket } from '../../model/bucket.ts'
import * as traffic from '../../store/bucket-traffic.ts'
import type { Db } from '../../store/db.ts'

export interface Moved {
  bucket: Bucket
  isWrite: boolean
  /** On the wire, framing and headers included. */
  bytesIn: number
  bytesOut: number
}

export interface TrafficCounter {
  count(moved: Moved): void
  /** Writes down what was counted. */
  flush(): Promise<void>
  stop(): Promise<void>
}

const FLUSH_MS = 10_000
const AT_ONCE_MAX = 1_000

export function countTraffic(db: Db, warn: (message: string, error: unknown) => void): TrafficCounter {
  let counted = new Map<string, { bucket: Bucket; traffic: traffic.Traffic }>()

  function count({ bucket, isWrite, bytesIn, bytesOut }: Moved): void {
    let entry = counted.get(bucket.id)
    if (!entry) {
      entry = { bucket, traffic: { readRequests: 0, writeRequests: 0, bytesIn: 0, bytesOut: 0 } }
      counted.set(bucket.id, entry)
    }
    const sums = entry.traffic
    if (isWrite) sums.writeRequests++
    else sums.readRequests++
    sums.bytesIn += bytesIn
    sums.bytesOut += bytesOut
  }

  async function flush(): Promise<void> {
    const entries = [...counted.values()]
    counted = new Map()
    for (let at = 0; at < entries.length; at += AT_ONCE_MAX) {
      const some = entries.slice(at, at + AT_ONCE_MAX)
      try {
        await traffic.add(db, some)
      } catch (error) {
        // Whether it was written is not known; counting it again might bill it twice.
        warn(`the traffic of ${some.length} buckets may not have been written down`, error)
      }
    }
  }

  const timer = setInterval(() => void flush(), FLUSH_MS).unref()
  return {
    count,
    flush,
    async stop() {
      clearInterval(timer)
      await flush()
    },
  }
}
