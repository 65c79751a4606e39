import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Buckets } from './limits.ts'

test('a bucket empties, refills with time, and says when to come again', () => {
  let now = 0
  const buckets = new Buckets(2, 4, () => now)
  const take = () => buckets.take('a').retryAfterSeconds === 0
  assert.deepEqual([take(), take(), take(), take(), take()], [true, true, true, true, false])
  assert.deepEqual(buckets.take('a'), { limit: 4, remaining: 0, resetSeconds: 2, retryAfterSeconds: 1 })
  assert.equal(buckets.take('b').remaining, 3, 'each key has a bucket of its own')
  now += 1000
  assert.deepEqual([take(), take(), take()], [true, true, false])
  now += 3_600_000
  assert.equal(buckets.take('a').remaining, 3, 'never fuller than full')
})

test('a million keys do not need memory for a million buckets', () => {
  const buckets = new Buckets(1, 10, () => 0)
  buckets.take('early')
  for (let i = 0; i < 200_000; i++) buckets.take(`key ${i}`)
  assert.ok(buckets.size <= 50_000, String(buckets.size))
})
