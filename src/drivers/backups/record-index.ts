/**
 * Records of one length, found by the random bytes that they begin with. A disk has hundreds of thousands of chunks
 * and an account millions, so they lie in long buffers with an open hash table over them, not as objects: what a record
 * takes is its length and some 16 bytes.
 */
export interface RecordIndex {
  /** The record, not to be changed. */
  find(key: Buffer): Buffer | null
  /** Copied. One of the same key that is there already stays the one that is found. */
  add(record: Buffer): void
}

const SEGMENT = 4096 // records
const SLOTS_FIRST = 1024

export function createRecordIndex(recordBytes: number, keyBytes: number): RecordIndex {
  const segments: Buffer[] = []
  let count = 0
  /** A slot holds the record's number plus one. Keys are random already, so any of their bits are a hash. */
  let table = new Uint32Array(SLOTS_FIRST)
  const segmentOf = (number: number) => segments[Math.floor(number / SEGMENT)]!
  const startOf = (number: number) => (number % SEGMENT) * recordBytes

  function place(number: number): void {
    const mask = table.length - 1
    let slot = segmentOf(number).readUInt32LE(startOf(number)) & mask
    while (table[slot] !== 0) slot = (slot + 1) & mask
    table[slot] = number + 1
  }

  return {
    find(key) {
      const mask = table.length - 1
      for (let slot = key.readUInt32LE(0) & mask; table[slot] !== 0; slot = (slot + 1) & mask) {
        const [segment, at] = [segmentOf(table[slot]! - 1), startOf(table[slot]! - 1)]
        if (segment.compare(key, 0, keyBytes, at, at + keyBytes) === 0) return segment.subarray(at, at + recordBytes)
      }
      return null
    },
    add(record) {
      if (count % SEGMENT === 0) segments.push(Buffer.alloc(SEGMENT * recordBytes))
      record.copy(segmentOf(count), startOf(count), 0, recordBytes)
      count++
      if (count * 2 <= table.length) return place(count - 1)
      table = new Uint32Array(table.length * 2)
      for (let number = 0; number < count; number++) place(number)
    },
  }
}
