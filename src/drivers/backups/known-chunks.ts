/** Chunks that need no upload, found by their digest. An account can have millions. */
import { open } from 'node:fs/promises'
import type { StoredChunk } from './chunk.ts'
import { createRecordIndex } from './record-index.ts'
import { RECORD_BYTES, readRecord, writeRecord } from './records.ts'

export interface ChunkIndex {
  find(digest: Buffer): StoredChunk | null
}

const BATCH = 1024
const DIGEST_BYTES = 32
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
    const index = createRecordIndex(RECORD_BYTES, DIGEST_BYTES)
    const batch = Buffer.alloc(BATCH * RECORD_BYTES)
    for (let at = 0; at < size; ) {
      const { bytesRead } = await handle.read(batch, 0, batch.length, at)
      if (bytesRead === 0 || bytesRead % RECORD_BYTES !== 0) throw new Error(`${file} cannot be read whole`)
      for (let from = 0; from < bytesRead; from += RECORD_BYTES) index.add(batch.subarray(from, from + RECORD_BYTES))
      at += bytesRead
    }
    return {
      find(digest) {
        const record = index.find(digest)
        return record && readRecord(record, 0)
      },
    }
  } finally {
    await handle.close()
  }
}
