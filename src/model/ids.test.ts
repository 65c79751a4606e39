import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isUuid, newIdentity, uuidOfId } from './ids.ts'

test('the text id and the UUID are the same 128 bits', () => {
  const { id, uuid } = newIdentity('instance')
  assert.match(id, /^inst_[0-9a-hjkmnp-tv-z]{26}$/)
  assert.match(uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  assert.equal(uuidOfId('instance', id), uuid)
})

test('ids sort by the time they were made', () => {
  const ids = [1_000, 2_000, 2_001, 1_800_000_000_000].map((at) => newIdentity('instance', at))
  assert.deepEqual(
    ids.map(({ id }) => id).toSorted(),
    ids.map(({ id }) => id),
  )
  assert.deepEqual(
    ids.map(({ uuid }) => uuid).toSorted(),
    ids.map(({ uuid }) => uuid),
  )
})

test('what is no id of the noun has no UUID', () => {
  for (const text of ['', 'inst_', 'inst_zzzzzzzzzzzzzzzzzzzzzzzzzz', 'host_00000000000000000000000000', 'inst_0']) {
    assert.equal(uuidOfId('instance', text), null, text)
  }
})

test('a UUID is told from what looks like one', () => {
  assert.ok(isUuid('b5c6d7e8-f9a0-1234-5678-90abcdef1234'))
  for (const text of ['', 'b5c6d7e8f9a01234567890abcdef1234', 'b5c6d7e8-f9a0-1234-5678-90abcdef123g', '../b5c6']) {
    assert.ok(!isUuid(text), text)
  }
})
