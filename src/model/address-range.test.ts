import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseAddressRange } from './address-range.ts'

test('a block contains what lies in it', () => {
  const cases: readonly (readonly [range: string, address: string, isIn: boolean])[] = [
    ['203.0.113.0/24', '203.0.113.0', true],
    ['203.0.113.0/24', '203.0.113.255', true],
    ['203.0.113.0/24', '203.0.114.0', false],
    ['203.0.113.9/24', '203.0.113.1', true],
    ['203.0.113.9', '203.0.113.9', true],
    ['203.0.113.9', '203.0.113.8', false],
    ['0.0.0.0/0', '255.255.255.255', true],
    ['203.0.113.0/24', '::ffff:203.0.113.7', true],
    ['203.0.113.0/24', '::ffff:203.0.114.7', false],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['2001:db8::/32', '2001:db8:ffff::1', true],
    ['2001:db8::/32', '2001:db9::1', false],
    ['::/0', '2001:db9::1', true],
    ['2001:db8::1', '2001:0db8:0:0:0:0:0:1', true],
    ['203.0.113.0/24', 'nonsense', false],
    ['203.0.113.0/24', '', false],
  ]
  for (const [range, address, isIn] of cases) {
    assert.equal(parseAddressRange(range)?.contains(address), isIn, `${address} in ${range}`)
  }
})

test('what is no block is refused', () => {
  for (const text of [
    '',
    '1.2.3',
    '1.2.3.4/33',
    '1.2.3.4/',
    '1.2.3.4/8/8',
    '::/129',
    'fe80::1%eth0',
    '*',
    '1.2.3.4/-1',
  ]) {
    assert.equal(parseAddressRange(text), null, text)
  }
})
