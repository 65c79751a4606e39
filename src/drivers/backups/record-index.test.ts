import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { createRecordIndex } from './record-index.ts'

test('every record is found by its key, however many there are, and nothing else', () => {
  const index = createRecordIndex(24, 16)
  const records = Array.from({ length: 20_000 }, () => randomBytes(24))
  for (const record of records) index.add(record)
  for (const record of records) assert.ok(index.find(record.subarray(0, 16))?.equals(record))
  for (let i = 0; i < 1000; i++) assert.equal(index.find(randomBytes(16)), null)
})

test('keys that look alike at first are told apart, and the first of equal ones is found', () => {
  const index = createRecordIndex(20, 16)
  const record = (key: number, value: number) => {
    const bytes = Buffer.alloc(20)
    bytes[15] = key // the hash sees only zeros
    bytes[16] = value
    return bytes
  }
  for (let key = 0; key < 200; key++) index.add(record(key, key))
  index.add(record(7, 99))
  for (let key = 0; key < 200; key++) assert.equal(index.find(record(key, 0))?.[16], key)
  assert.equal(index.find(record(201, 0)), null)
})
