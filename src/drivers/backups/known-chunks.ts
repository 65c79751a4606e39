/**
 * Chunks that need no upload, found by their digest. An account can have millions, so they lie as records in one
 * buffer with an open hash table over it, not as objects: 60 bytes each.
 */
import { open } from 'node:fs/promises'
import type { StoredChunk } from './chunk.ts'
import { RECORD_BYTES, readRecord, writeRecord } from './records.ts'

export interface ChunkIndex {
  find(digest: Buffer): StoredChunk | null
}

const BATCH = 1024
/** Of the file: 1 GiB of them name 80 TiB of disk. */
const MAX_BYTES = 2 ** 30

/** For `knownFile` of an upload; the file is written anew and synced. */
export async function writeKnownChunks(
  file: string,
  chunks: AsyncIterable<StoredChunk> | Iterable<StoredChunk>,
): Promise<void> {
  const handle = await open(file, 'w', 0o600)
  try {
    const batch = Buffer.alloc(BATCH * RECORD_BYTES)
    let filled = 0
    for await (const chunk of chunks) {
      writeRecord(batch, filled, chunk)
      filled += RECORD_BYTES
      if (filled < batch.length) continue
      await handle.writeFile(batch)
      filled = 0
    }
    await handle.writeFile(batch.subarray(0, filled))
    await handle.sync()
  } finally {
    await handle.close()
  }
}

export async function readKnownChunks(file: string | null): Promise<ChunkIndex> {
  if (file === null) return { find: () => null }
  const handle = await open(file)
  try {
    const { size } = await handle.stat()
    if (size > MAX_BYTES || size % RECORD_BYTES !== 0) throw new Error(`${file} is no file of known chunks`)
    return indexOf(await handle.readFile())
  } finally {
    await handle.close()
  }
}

/** `records` must stay as it is. */
export function indexOf(records: Buffer): ChunkIndex {
  const count = records.length / RECORD_BYTES
  let slots = 16
  while (slots < count * 2) slots *= 2
  // A slot holds the record's number plus one. Digests are random already, so any of their bits are a hash.
  const table = new Uint32Array(slots)
  const first = (digest: Buffer) => digest.readUInt32LE(0) & (slots - 1)
  for (let number = 0; number < count; number++) {
    const at = number * RECORD_BYTES
    let slot = first(records.subarray(at, at + 4))
    while (table[slot] !== 0) slot = (slot + 1) & (slots - 1)
    table[slot] = number + 1
  }
  return {
    find(digest) {
      for (let slot = first(digest); table[slot] !== 0; slot = (slot + 1) & (slots - 1)) {
        const at = (table[slot]! - 1) * RECORD_BYTES
        if (records.compare(digest, 0, 32, at, at + 32) === 0) return readRecord(records, at)
      }
      return null
    },
  }
}
