import assert from 'node:assert/strict'
import { test } from 'node:test'
import { contractTime, endOfTerm, parseTime, time } from './time.ts'

test('moments as clients send them', () => {
  const cases: [text: string, iso: string | null][] = [
    ['2024-02-01', '2024-02-01T00:00:00.000Z'],
    ['2024-02-01T10:20:30', '2024-02-01T10:20:30.000Z'],
    ['2024-02-01T10:20:30Z', '2024-02-01T10:20:30.000Z'],
    ['2024-02-01t10:20:30.123456z', '2024-02-01T10:20:30.123Z'],
    ['2024-02-01T10:20:30+02:00', '2024-02-01T08:20:30.000Z'],
    ['2024-02-01T10:20:30-0130', '2024-02-01T11:50:30.000Z'],
    ['2024-02-01T10:20:30 02:00', '2024-02-01T08:20:30.000Z'],
    ['2024-02-01 10:20:30', '2024-02-01T10:20:30.000Z'],
    ['2024-02-01 10:20:30 02:00', '2024-02-01T08:20:30.000Z'],
    ['2024-02-30', null],
    ['2023-02-29T00:00:00Z', null],
    ['2024-13-01', null],
    ['2024-02-01T25:00:00Z', null],
    ['2024-02-01T10:20Z', null],
    ['20240201', null],
    ['yesterday', null],
    ['1706745600', null],
    ['', null],
  ]
  for (const [text, iso] of cases) assert.equal(parseTime(text)?.toISOString() ?? null, iso, text)
})

test('two ways to write a moment', () => {
  const date = new Date('2024-03-05T09:12:44.999Z')
  assert.equal(time(date), '2024-03-05T09:12:44+00:00')
  assert.equal(contractTime(date), '2024-03-05T09:12:44+0000')
})

test('a contract runs from month to month', () => {
  const cases: [start: string, now: string, end: string][] = [
    ['2024-01-15T10:00:00Z', '2024-01-15T10:00:00Z', '2024-02-15T10:00:00Z'],
    ['2024-01-15T10:00:00Z', '2024-02-15T09:59:59Z', '2024-02-15T10:00:00Z'],
    ['2024-01-15T10:00:00Z', '2024-02-15T10:00:00Z', '2024-03-15T10:00:00Z'],
    ['2024-01-31T10:00:00Z', '2024-02-10T00:00:00Z', '2024-02-29T10:00:00Z'],
    ['2024-01-31T10:00:00Z', '2024-03-01T00:00:00Z', '2024-03-31T10:00:00Z'],
    ['2023-12-31T10:00:00Z', '2025-02-28T23:00:00Z', '2025-03-31T10:00:00Z'],
  ]
  for (const [start, now, end] of cases) {
    assert.equal(
      endOfTerm(new Date(start), new Date(now)).toISOString(),
      new Date(end).toISOString(),
      `${start} ${now}`,
    )
  }
})
