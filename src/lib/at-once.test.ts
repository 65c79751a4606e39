import assert from 'node:assert/strict'
import { test } from 'node:test'
import { askAtOnce } from './at-once.ts'

test('who asks in one turn is answered together, each his own', async () => {
  const asked: number[][] = []
  const double = askAtOnce(3, async (numbers: readonly number[]) => {
    asked.push([...numbers])
    return numbers.map((number) => number * 2)
  })
  assert.deepEqual(await Promise.all([1, 2, 3, 4].map(double)), [2, 4, 6, 8])
  assert.equal(await double(5), 10)
  assert.deepEqual(asked, [[1, 2, 3], [4], [5]])
})

test('a failure is that of all who asked together, and of nobody after', async () => {
  let fails = true
  const ask = askAtOnce(9, async (questions: readonly string[]) => {
    if (fails) throw new Error('away')
    return questions
  })
  const outcomes = await Promise.allSettled([ask('a'), ask('b')])
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  fails = false
  assert.equal(await ask('c'), 'c')
})
