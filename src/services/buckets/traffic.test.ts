import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testDatabase } from '../../../test/database.ts'
import type { Bucket } from '../../model/bucket.ts'
import { newId } from '../../model/ids.ts'
import * as hours from '../../store/bucket-hours.ts'
import { countTraffic } from './traffic.ts'

test('what several processes count adds up in the hour', async (t) => {
  const { db } = await testDatabase(t)
  const bucket = { id: newId('bucket'), number: 7, name: 'b', accountId: newId('account'), tier: 'standard' } as Bucket
  const counters = [0, 1].map(() => countTraffic(db, (_, error) => assert.fail(String(error))))
  for (const counter of counters) {
    counter.count({ bucket, isWrite: true, bytesIn: 100, bytesOut: 10 })
    counter.count({ bucket, isWrite: false, bytesIn: 0, bytesOut: 1000 })
    await counter.flush()
    counter.count({ bucket, isWrite: false, bytesIn: 0, bytesOut: 5 })
  }
  await Promise.all(counters.map((counter) => counter.stop()))
  const found = await hours.list(db, bucket, { limit: 10 })
  const sum = (of: (hour: hours.BucketHour) => number) => found.reduce((total, hour) => total + of(hour), 0)
  assert.deepEqual(
    [
      sum((hour) => hour.readRequests),
      sum((hour) => hour.writeRequests),
      sum((hour) => hour.bytesIn),
      sum((hour) => hour.bytesOut),
    ],
    [4, 2, 200, 2030],
  )
})
