/** Which blocks of 64 KiB of a disk are marked: two megabytes for a disk of a tebibyte, however scattered they lie. */
import { CHUNK_BYTES } from '../../model/backup.ts'

export interface Stretch {
  offset: number
  length: number
}

export interface BlockMap {
  /** Every block that the stretch touches. What lies behind the disk's end is left out. */
  mark(offset: number, length: number): void
  /** As `mark`, but only the blocks that the other one, of a disk of any size, has marked too. */
  markWhere(other: BlockMap, offset: number, length: number): void
  isMarked(block: number): boolean
  /** Something of the chunk is marked. */
  touches(chunk: number): boolean
  /** What is marked of the chunk, in order and as long as it goes on. */
  stretches(chunk: number): Stretch[]
}

export const BLOCK_BYTES = 64 * 1024
const BLOCKS = CHUNK_BYTES / BLOCK_BYTES

export function createBlockMap(diskBytes: number): BlockMap {
  const bits = new Uint8Array(Math.ceil(diskBytes / CHUNK_BYTES) * (BLOCKS / 8))
  const isMarked = (block: number) => ((bits[block >> 3] ?? 0) & (1 << (block & 7))) !== 0
  return {
    isMarked,
    mark(offset, length) {
      const end = Math.ceil(Math.min(offset + length, diskBytes) / BLOCK_BYTES)
      for (let block = Math.floor(offset / BLOCK_BYTES); block < end; block++) {
        if ((block & 7) === 0 && end - block >= 8) {
          bits[block >> 3] = 0xff
          block += 7
        } else bits[block >> 3]! |= 1 << (block & 7)
      }
    },
    markWhere(other, offset, length) {
      const end = Math.ceil(Math.min(offset + length, diskBytes) / BLOCK_BYTES)
      for (let block = Math.floor(offset / BLOCK_BYTES); block < end; block++) {
        if (other.isMarked(block)) bits[block >> 3]! |= 1 << (block & 7)
      }
    },
    touches(chunk) {
      const at = chunk * (BLOCKS / 8)
      return bits.subarray(at, at + BLOCKS / 8).some((byte) => byte !== 0)
    },
    stretches(chunk) {
      const found: Stretch[] = []
      for (let block = chunk * BLOCKS; block < (chunk + 1) * BLOCKS; block++) {
        if (!isMarked(block)) continue
        const offset = block * BLOCK_BYTES
        const last = found.at(-1)
        const length = Math.min(BLOCK_BYTES, diskBytes - offset)
        if (last && last.offset + last.length === offset) last.length += length
        else found.push({ offset, length })
      }
      return found
    },
  }
}
