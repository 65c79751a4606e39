import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ipv4Range, overlaps } from './cidr.ts'

test('a block is its first and last address', () => {
  assert.deepEqual(ipv4Range('10.0.0.0/8'), [0x0a000000, 0x0affffff])
  assert.deepEqual(ipv4Range('10.1.2.3/24'), [0x0a010200, 0x0a0102ff])
  assert.deepEqual(ipv4Range('255.255.255.255'), [0xffffffff, 0xffffffff])
  for (const text of ['', '10.0.0', '256.0.0.1', '10.0.0.0/33', 'fd00::/64']) assert.equal(ipv4Range(text), null, text)
})

test('blocks overlap when they share an address', () => {
  for (const [a, b, expected] of [
    ['10.91.0.0/20', '10.91.15.255', true],
    ['10.91.0.0/20', '10.91.16.0/20', false],
    ['10.0.0.0/8', '10.91.0.0/20', true],
    ['192.168.0.0/16', 'nonsense', false],
  ] as const) {
    assert.equal(overlaps(a, b), expected, `${a} ${b}`)
    assert.equal(overlaps(b, a), expected, `${b} ${a}`)
  }
})
