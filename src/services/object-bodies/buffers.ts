/** The buffers that bodies pass through: 256 KiB, and room for the tags of as much when it is encrypted. */
import { createBufferPool } from '../../lib/buffers.ts'
import { BLOCK_BYTES, SEALED_BLOCK_BYTES } from './encryption.ts'

const BLOCKS = 4
export const BUFFER_BYTES = BLOCKS * BLOCK_BYTES
/** 8 MiB that stay when nothing goes on; the next bodies find them warm. */
const KEEP = 32

export const buffers = createBufferPool(BLOCKS * SEALED_BLOCK_BYTES, KEEP)
