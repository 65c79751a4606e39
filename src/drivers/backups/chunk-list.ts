/**
 * A disk's chunks in order, as an upload finds or brings them, and the file in which it hands them over: records of 69
 * bytes, the chunk (records.ts), the MD5 of its stored bytes, and whether the upload brought it (1) or found it (0). A
 * hole is all zeros. One buffer holds them, because a large disk has hundreds of thousands.
 */
import { open } from 'node:fs/promises'
import type { StoredChunk } from './chunk.ts'
import { RECORD_BYTES, readRecord, writeRecord } from './records.ts'

export interface ListedChunk extends StoredChunk {
  /** Of the stored bytes; null where the upload found it. */
  md5: Buffer | null
  /** It came with this upload and no row knows its blob yet. The same chunk may stand in the list more than once. */
  isNew: boolean
}

export interface ChunkTable {
  readonly count: number
  set(index: number, chunk: ListedChunk): void
  /** Null for a hole. */
  at(index: number): ListedChunk | null
  /** The file is written anew and synced. */
  save(file: string): Promise<void>
}

const LINE_BYTES = RECORD_BYTES + 16 + 1
const BATCH = 1024

export function createChunkTable(count: number): ChunkTable {
  const lines = Buffer.alloc(count * LINE_BYTES)
  return {
    count,
    set(index, chunk) {
      const at = index * LINE_BYTES
      writeRecord(lines, at, chunk)
      chunk.md5?.copy(lines, at + RECORD_BYTES)
      lines[at + LINE_BYTES - 1] = chunk.isNew ? 1 : 0
    },
    at: (index) => readLine(lines, index * LINE_BYTES),
    async save(file) {
      const handle = await open(file, 'w', 0o600)
      try {
        await handle.writeFile(lines)
        await handle.sync()
      } finally {
        await handle.close()
      }
    },
  }
}

/** The chunks in the order of the disk, null = hole. */
export async function* readChunkList(file: string): AsyncGenerator<ListedChunk | null> {
  const handle = await open(file)
  try {
    for (;;) {
      const lines = Buffer.alloc(BATCH * LINE_BYTES)
      const { bytesRead } = await handle.read(lines, 0, lines.length)
      if (bytesRead === 0) return
      if (bytesRead % LINE_BYTES !== 0) throw new Error(`${file} ends in the middle of a chunk`)
      for (let at = 0; at < bytesRead; at += LINE_BYTES) yield readLine(lines, at)
    }
  } finally {
    await handle.close()
  }
}

function readLine(lines: Buffer, at: number): ListedChunk | null {
  const chunk = readRecord(lines, at)
  if (!chunk) return null
  const isNew = lines[at + LINE_BYTES - 1] === 1
  return { ...chunk, md5: isNew ? lines.subarray(at + RECORD_BYTES, at + LINE_BYTES - 1) : null, isNew }
}
