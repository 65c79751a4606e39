/** A proof is worth what would make it fail. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLedger } from './ledger.ts'

const content = (id: string) => ({ id, length: 1 })

test('nothing but the last acknowledged may stand', () => {
  const ledger = createLedger()
  ledger.begin('k', content('a')).acknowledged()
  ledger.begin('k', content('b')).acknowledged()
  assert.deepEqual(ledger.allowed('k'), [content('b')])
  ledger.begin('k', null).acknowledged()
  assert.deepEqual(ledger.allowed('k'), [null])
})

test('a write of unknown outcome may stand or not, until an acknowledged one follows', () => {
  const ledger = createLedger()
  ledger.begin('k', content('a')).acknowledged()
  ledger.begin('k', content('b')).unknown()
  assert.ok(ledger.isOpen('k'))
  ledger.settle()
  assert.ok(!ledger.isOpen('k'))
  assert.deepEqual(ledger.allowed('k'), [content('a'), content('b')])
  ledger.begin('k', content('c')).acknowledged()
  assert.deepEqual(ledger.allowed('k'), [content('c')])
})

test('writes at the same time may end in either order', () => {
  const ledger = createLedger()
  const [first, second] = [ledger.begin('k', content('a')), ledger.begin('k', content('b'))]
  second.acknowledged()
  first.acknowledged()
  assert.deepEqual(ledger.allowed('k'), [content('a'), content('b')])
})

test('what was refused never happened', () => {
  const ledger = createLedger()
  ledger.begin('k', content('a')).acknowledged()
  ledger.begin('k', content('b')).refused()
  assert.deepEqual(ledger.allowed('k'), [content('a')])
  assert.deepEqual(ledger.allowed('never touched'), [null])
  assert.deepEqual(ledger.counts, { acknowledged: 1, refused: 1, unknown: 0 })
})
