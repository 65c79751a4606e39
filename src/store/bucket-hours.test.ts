import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testDatabase } from '../../test/database.ts'
import { make } from '../../test/make.ts'
import * as hours from './bucket-hours.ts'
import * as buckets from './buckets.ts'
import { execute } from './db.ts'

const HOUR = 3600

test('hours hold what was there, also when nobody wrote it down yet', async (t) => {
  const { db } = await testDatabase(t)
  const { accountId } = await make(db)
  const wish = { name: 'b-1', accountId, tier: 'standard', location: 'x', versioning: 'off', settings: {} } as const
  const bucket = await buckets.insert(db, wish, false)
  assert.ok(typeof bucket === 'object')
  // To the beginning of an hour, give or take the test's own milliseconds.
  await execute(db, "UPDATE clock SET time_offset = time_offset + (hour_of(now()) + interval '1 hour' - now())")
  await execute(db, `SELECT count_usage(${bucket.number}, 1, 1, 1000, 0)`)
  await execute(db, "UPDATE clock SET time_offset = time_offset + interval '150 minutes'")
  const list = await hours.list(db, bucket, { limit: 24 })
  assert.equal(list.length, 3, 'the running hour and two that are over')
  const held = list.map(({ byteSeconds }) => Number(byteSeconds) / 1000)
  for (const [index, seconds] of [HOUR / 2, HOUR, HOUR].entries()) {
    assert.ok(Math.abs(held[index]! - seconds) < 20, `hour ${index}: ${held[index]} s`)
  }
  await execute(db, `SELECT count_usage(${bucket.number}, 0, 0, 0, 0)`)
  const later = await hours.list(db, bucket, { limit: 24 })
  const sum = (rows: hours.BucketHour[]) => rows.reduce((all, { byteSeconds }) => all + Number(byteSeconds), 0)
  assert.ok(Math.abs(sum(later) - sum(list)) < 20_000, 'writing it down changes nothing')
  const [, second] = later
  assert.deepEqual(
    (await hours.list(db, bucket, { from: second!.hour, to: later[0]!.hour, limit: 9 })).map(({ hour }) => hour),
    [second!.hour],
  )
  assert.equal((await hours.list(db, bucket, { limit: 1 })).length, 1)
})
