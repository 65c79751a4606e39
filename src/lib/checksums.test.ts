import assert from 'node:assert/strict'
import { randomBytes, randomInt } from 'node:crypto'
import { test } from 'node:test'
import { type CrcName, combineCrcs, createCrc } from './checksums.ts'

const CHECKS: Record<CrcName, string> = { crc32: 'cbf43926', crc32c: 'e3069283', crc64nvme: 'ae8b14860a799888' }
const NAMES = Object.keys(CHECKS) as CrcName[]
const POLYNOMIALS: Record<CrcName, bigint> = { crc32: 0xedb88320n, crc32c: 0x82f63b78n, crc64nvme: 0x9a6c9329ac4bc9b5n }

function crcOf(name: CrcName, ...pieces: Uint8Array[]): string {
  const crc = createCrc(name)
  for (const piece of pieces) crc.update(piece)
  return crc.digest().toString('hex')
}

/** Bit by bit, as the definition reads. */
function slowCrcOf(name: CrcName, bytes: Uint8Array): string {
  const digits = CHECKS[name].length
  const ones = (1n << BigInt(digits * 4)) - 1n
  let crc = ones
  for (const byte of bytes) {
    crc ^= BigInt(byte)
    for (let bit = 0; bit < 8; bit++) crc = crc & 1n ? (crc >> 1n) ^ POLYNOMIALS[name] : crc >> 1n
  }
  return (crc ^ ones).toString(16).padStart(digits, '0')
}

for (const name of NAMES) {
  test(`${name}: the check value, and that of nothing`, () => {
    assert.equal(crcOf(name, Buffer.from('123456789')), CHECKS[name])
    assert.equal(crcOf(name), '0'.repeat(CHECKS[name].length))
  })

  test(`${name}: every length and cut agrees with the definition`, () => {
    for (let length = 0; length < 70; length++) {
      const bytes = randomBytes(length)
      const cut = randomInt(length + 1)
      const expected = slowCrcOf(name, bytes)
      assert.equal(crcOf(name, bytes), expected)
      assert.equal(crcOf(name, bytes.subarray(0, cut), bytes.subarray(cut)), expected)
    }
  })

  test(`${name}: the checks of pieces combine into that of the whole`, () => {
    const pieces = [1000, 0, 1, 65_536, 65_536, 12_345].map((length) => randomBytes(length))
    let combined = createCrc(name).digest()
    for (const piece of pieces) {
      combined = combineCrcs(name, combined, Buffer.from(crcOf(name, piece), 'hex'), piece.length)
    }
    assert.equal(combined.toString('hex'), crcOf(name, Buffer.concat(pieces)))
  })

  test(`${name}: combining reaches lengths beyond 32 bits`, () => {
    // A zero byte after the other, doubled 40 times: 2^40 zero bytes by adding up, and at once.
    const start = Buffer.from(crcOf(name, Buffer.from('havn')), 'hex')
    let zeros: Buffer = Buffer.from(crcOf(name, Buffer.alloc(1)), 'hex')
    for (let length = 1; length < 2 ** 40; length *= 2) zeros = combineCrcs(name, zeros, zeros, length)
    const half = combineCrcs(name, start, zeros, 2 ** 40)
    const whole = combineCrcs(name, half, zeros, 2 ** 40)
    assert.deepEqual(whole, combineCrcs(name, start, combineCrcs(name, zeros, zeros, 2 ** 40), 2 ** 41))
  })
}
