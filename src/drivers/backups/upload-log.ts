/**
 * What an upload has brought into the store, noted chunk by chunk, so that a program which was killed finds it again
 * and sends nothing twice. A line is written after its blob is durable; one that is torn or garbled counts for nothing.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import type { StoredChunk } from './chunk.ts'
import { createRecordIndex } from './record-index.ts'
import { RECORD_BYTES, readRecord, writeRecord } from './records.ts'

export interface UploadedChunk extends StoredChunk {
  /** Of the stored bytes. */
  md5: Buffer
}
export interface UploadLog {
  find(digest: Buffer): UploadedChunk | null
  add(chunk: UploadedChunk): Promise<void>
  close(): Promise<void>
}

const MD5_END = RECORD_BYTES + 16
const LINE_BYTES = MD5_END + 4
const DIGEST_BYTES = 32
const BATCH = 1024

export async function openUploadLog(file: string): Promise<UploadLog> {
  const handle = await open(file, 'a+', 0o600)
  const index = createRecordIndex(LINE_BYTES, DIGEST_BYTES)
  await handle.truncate(await readLines(handle, (line) => index.add(line)))
  return {
    find(digest) {
      const line = index.find(digest)
      const chunk = line && readRecord(line, 0)
      return chunk && { ...chunk, md5: line.subarray(RECORD_BYTES, MD5_END) }
    },
    async add(chunk) {
      const line = Buffer.alloc(LINE_BYTES)
      writeRecord(line, 0, chunk)
      chunk.md5.copy(line, RECORD_BYTES)
      line.writeUInt32BE(crc32(line.subarray(0, MD5_END)), MD5_END)
      index.add(line)
      await handle.write(line)
    },
    close: () => handle.close(),
  }
}

/** Returns where the whole lines end. */
async function readLines(handle: FileHandle, onLine: (line: Buffer) => void): Promise<number> {
  const batch = Buffer.alloc(BATCH * LINE_BYTES)
  for (let whole = 0; ; ) {
    const { bytesRead } = await handle.read(batch, 0, batch.length, whole)
    for (let at = 0; at < bytesRead; at += LINE_BYTES) {
      const line = batch.subarray(at, Math.min(at + LINE_BYTES, bytesRead))
      if (!isWhole(line)) return whole
      onLine(line)
      whole += LINE_BYTES
    }
    if (bytesRead === 0) return whole
  }
}

const isWhole = (line: Buffer): boolean =>
  line.length === LINE_BYTES &&
  crc32(line.subarray(0, MD5_END)) === line.readUInt32BE(MD5_END) &&
  readRecord(line, 0) !== null
