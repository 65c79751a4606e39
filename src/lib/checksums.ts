/**
 * Cyclic redundancy checks: CRC-32 (zlib's), CRC-32C (Castagnoli, RFC 3720 appendix B.4) and CRC-64/NVME (NVM Express
 * NVM command set specification, section 5.2.1.3.4). All three are reflected and start and end with all ones inverted,
 * which is what makes the values of two pieces combine into that of the whole.
 *
 * 64-bit values are two halves of 32 bits: BigInt would cost a hundred times as much.
 */
import { crc32 } from 'node:zlib'

export type CrcName = 'crc32' | 'crc32c' | 'crc64nvme'

export interface Crc {
  update(bytes: Uint8Array): void
  /** Of all bytes so far, big-endian: 4 or 8 bytes. */
  digest(): Buffer
}

interface Polynomial {
  /** Reflected; `high` is 0 for 32 bits. */
  high: number
  low: number
  bytes: 4 | 8
}
const POLYNOMIALS: Record<CrcName, Polynomial> = {
  crc32: { high: 0, low: 0xedb88320, bytes: 4 },
  crc32c: { high: 0, low: 0x82f63b78, bytes: 4 },
  crc64nvme: { high: 0x9a6c9329, low: 0xac4bc9b5, bytes: 8 },
}
/** Bytes taken at once: one table each. More than 8 was measured to gain nothing. */
const SLICES = 8

export function createCrc(name: CrcName): Crc {
  if (name === 'crc64nvme') return createCrc64()
  let value = 0
  const update = name === 'crc32' ? (bytes: Uint8Array) => crc32(bytes, value) : (b: Uint8Array) => crc32c(b, value)
  return {
    update(bytes) {
      value = update(bytes)
    },
    digest: () => halvesToBytes(0, value, 4),
  }
}

/** The check of two pieces in a row, from the check of each and the length of the second. Reads no data. */
export function combineCrcs(name: CrcName, first: Buffer, second: Buffer, secondBytes: number): Buffer {
  const polynomial = POLYNOMIALS[name]
  const [high, low] = multiply(polynomial, shiftBy(name, secondBytes), bytesToHalves(first))
  const [otherHigh, otherLow] = bytesToHalves(second)
  return halvesToBytes(high ^ otherHigh, low ^ otherLow, polynomial.bytes)
}

const CRC32C = tables(POLYNOMIALS.crc32c).low
const CRC64 = tables(POLYNOMIALS.crc64nvme)

function crc32c(bytes: Uint8Array, start: number): number {
  const t = CRC32C
  const length = bytes.length
  let crc = ~start
  let at = 0
  for (; at + SLICES <= length; at += SLICES) {
    crc =
      t[1792 + ((crc ^ bytes[at]!) & 255)]! ^
      t[1536 + (((crc >>> 8) ^ bytes[at + 1]!) & 255)]! ^
      t[1280 + (((crc >>> 16) ^ bytes[at + 2]!) & 255)]! ^
      t[1024 + ((crc >>> 24) ^ bytes[at + 3]!)]! ^
      t[768 + bytes[at + 4]!]! ^
      t[512 + bytes[at + 5]!]! ^
      t[256 + bytes[at + 6]!]! ^
      t[bytes[at + 7]!]!
  }
  for (; at < length; at++) crc = (crc >>> 8) ^ t[(crc ^ bytes[at]!) & 255]!
  return ~crc
}

function createCrc64(): Crc {
  let valueHigh = 0
  let valueLow = 0
  return {
    update(bytes) {
      const { high: h, low: l } = CRC64
      const length = bytes.length
      let high = ~valueHigh
      let low = ~valueLow
      let at = 0
      for (; at + SLICES <= length; at += SLICES) {
        const a = 1792 + ((low ^ bytes[at]!) & 255)
        const b = 1536 + (((low >>> 8) ^ bytes[at + 1]!) & 255)
        const c = 1280 + (((low >>> 16) ^ bytes[at + 2]!) & 255)
        const d = 1024 + ((low >>> 24) ^ bytes[at + 3]!)
        const e = 768 + ((high ^ bytes[at + 4]!) & 255)
        const f = 512 + (((high >>> 8) ^ bytes[at + 5]!) & 255)
        const g = 256 + (((high >>> 16) ^ bytes[at + 6]!) & 255)
        const i = (high >>> 24) ^ bytes[at + 7]!
        high = h[a]! ^ h[b]! ^ h[c]! ^ h[d]! ^ h[e]! ^ h[f]! ^ h[g]! ^ h[i]!
        low = l[a]! ^ l[b]! ^ l[c]! ^ l[d]! ^ l[e]! ^ l[f]! ^ l[g]! ^ l[i]!
      }
      for (; at < length; at++) {
        const index = (low ^ bytes[at]!) & 255
        low = ((low >>> 8) | (high << 24)) ^ l[index]!
        high = (high >>> 8) ^ h[index]!
      }
      valueHigh = ~high
      valueLow = ~low
    },
    digest: () => halvesToBytes(valueHigh, valueLow, 8),
  }
}

/** Table k holds what a byte becomes once k further zero bytes have gone through. */
function tables({ high: polynomialHigh, low: polynomialLow }: Polynomial): { high: Int32Array; low: Int32Array } {
  const high = new Int32Array(256 * SLICES)
  const low = new Int32Array(256 * SLICES)
  for (let byte = 0; byte < 256; byte++) {
    let h = 0
    let l = byte
    for (let bit = 0; bit < 8; bit++) {
      const isOdd = l & 1
      l = (l >>> 1) | (h << 31)
      h >>>= 1
      if (isOdd) {
        h ^= polynomialHigh
        l ^= polynomialLow
      }
    }
    high[byte] = h
    low[byte] = l
  }
  for (let at = 256; at < 256 * SLICES; at++) {
    const h = high[at - 256]!
    const l = low[at - 256]!
    high[at] = (h >>> 8) ^ high[l & 255]!
    low[at] = ((l >>> 8) | (h << 24)) ^ low[l & 255]!
  }
  return { high, low }
}

// Below, a value is a polynomial over GF(2) whose coefficient of x^0 is the highest bit (of 32 or 64).
type Halves = readonly [high: number, low: number]

/** a * b modulo the polynomial, from the highest bit of `a` down. */
function multiply({ high: polynomialHigh, low: polynomialLow, bytes }: Polynomial, a: Halves, b: Halves): Halves {
  let [high, low] = b
  let resultHigh = 0
  let resultLow = 0
  for (let bit = bytes * 8 - 1; bit >= 0; bit--) {
    const isSet = bit >= 32 ? (a[0] >>> (bit - 32)) & 1 : (a[1] >>> bit) & 1
    if (isSet) {
      resultHigh ^= high
      resultLow ^= low
    }
    const isOdd = low & 1
    low = (low >>> 1) | (high << 31)
    high >>>= 1
    if (isOdd) {
      high ^= polynomialHigh
      low ^= polynomialLow
    }
  }
  return [resultHigh, resultLow]
}

/** x^(8 * length) modulo the polynomial. The last one of each is kept: the parts of an upload mostly have one length. */
const lastShift = new Map<CrcName, { length: number; shift: Halves }>()

function shiftBy(name: CrcName, length: number): Halves {
  const last = lastShift.get(name)
  if (last?.length === length) return last.shift
  const polynomial = POLYNOMIALS[name]
  const one: Halves = polynomial.bytes === 8 ? [0x80000000, 0] : [0, 0x80000000]
  let power: Halves = polynomial.bytes === 8 ? [0x00800000, 0] : [0, 0x00800000] // x^8
  let shift = one
  // Not by bit operators: an object has up to 2^43 bytes.
  for (let left = length; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) shift = multiply(polynomial, power, shift)
    power = multiply(polynomial, power, power)
  }
  lastShift.set(name, { length, shift })
  return shift
}

function halvesToBytes(high: number, low: number, bytes: 4 | 8): Buffer {
  const buffer = Buffer.alloc(8)
  buffer.writeInt32BE(high | 0, 0)
  buffer.writeInt32BE(low | 0, 4)
  return bytes === 8 ? buffer : buffer.subarray(4)
}

function bytesToHalves(buffer: Buffer): Halves {
  return buffer.length === 8 ? [buffer.readInt32BE(0), buffer.readInt32BE(4)] : [0, buffer.readInt32BE(0)]
}
