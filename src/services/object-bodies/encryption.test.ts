import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import {
  BLOCK_BYTES,
  type BodyKey,
  createOpener,
  createSealer,
  customerEncryption,
  isCustomerKey,
  SEALED_BLOCK_BYTES,
  sealedBytes,
} from './encryption.ts'

const key: BodyKey = { by: 'master', key: randomBytes(32) }
const plain = randomBytes(3 * BLOCK_BYTES + 1000)

function sealAll(body = plain) {
  const sealer = createSealer(key)
  const first = Math.min(2 * BLOCK_BYTES, Math.floor(body.length / BLOCK_BYTES) * BLOCK_BYTES)
  const head = first > 0 && first < body.length ? sealer.seal(body.subarray(0, first), false) : Buffer.alloc(0)
  const tail = sealer.seal(body.subarray(head.length > 0 ? first : 0), true)
  return { sealed: Buffer.concat([head, tail]), wrappedKey: sealer.wrappedKey }
}

test('what was sealed in pieces opens whole or from any block, at every size', () => {
  for (const bytes of [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 2 * BLOCK_BYTES, plain.length]) {
    const body = plain.subarray(0, bytes)
    const { sealed, wrappedKey } = sealAll(body)
    assert.equal(sealed.length, sealedBytes(bytes))
    assert.equal(sealed.includes(body.subarray(0, 16)) && bytes >= 16, false)
    for (let block = 0; block * BLOCK_BYTES < bytes; block++) {
      const opener = createOpener(key, wrappedKey, bytes)
      const opened = opener.open(Buffer.from(sealed.subarray(block * SEALED_BLOCK_BYTES)), block)
      assert.ok(opened.equals(body.subarray(block * BLOCK_BYTES)))
    }
  }
})

test('changed, moved, cut or foreign blocks do not open', () => {
  const { sealed, wrappedKey } = sealAll()
  const open = (bytes: Buffer, index = 0, size = plain.length) =>
    createOpener(key, wrappedKey, size).open(Buffer.from(bytes), index)
  const block = (index: number) => sealed.subarray(index * SEALED_BLOCK_BYTES, (index + 1) * SEALED_BLOCK_BYTES)

  const changed = Buffer.from(sealed)
  changed[SEALED_BLOCK_BYTES + 5]! ^= 1
  assert.throws(() => open(changed))
  assert.throws(() => open(Buffer.concat([block(1), block(0), block(2), block(3)])))
  assert.throws(() => open(block(1), 2))
  // The last block is gone, and somebody wrote a smaller size into the row.
  assert.throws(() => open(sealed.subarray(0, 3 * SEALED_BLOCK_BYTES), 0, 3 * BLOCK_BYTES))
  assert.throws(() => open(sealed.subarray(0, -1)))
  assert.throws(() => open(sealAll().sealed))
})

test('only the key that wrapped opens, and for its own purpose', () => {
  const { wrappedKey } = sealAll()
  assert.throws(() => createOpener({ by: 'master', key: randomBytes(32) }, wrappedKey, plain.length))
  assert.throws(() => createOpener({ by: 'customer', key: key.key }, wrappedKey, plain.length))
  assert.throws(() => createOpener(null, wrappedKey, plain.length))
})

test('the same body is never sealed the same way twice', () => {
  assert.notDeepEqual(sealAll().sealed, sealAll().sealed)
})

test('a customer’s key is known again and not kept', () => {
  const customer = randomBytes(32)
  const kept = customerEncryption(customer)
  assert.equal(isCustomerKey(kept, customer), true)
  assert.equal(isCustomerKey(kept, randomBytes(32)), false)
  assert.equal(isCustomerKey({ by: 'master' }, customer), false)
  assert.notDeepEqual(kept, customerEncryption(customer))
  assert.equal(JSON.stringify(kept).includes(customer.toString('base64')), false)
})
