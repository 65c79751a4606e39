/**
 * What an upload has brought into the store, noted chunk by chunk, so that a program which was killed finds it again
 * and sends nothing twice. A line is written after its blob is durable; one that is torn or garbled counts for nothing.
 */
import { open } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import type { StoredChunk } from './chunk.ts'
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

export async function openUploadLog(file: string): Promise<UploadLog> {
  const handle = await open(file, 'a+', 0o600)
  const lines = await handle.readFile()
  const chunks = new Map<string, Buffer>()
  const keyOf = (digest: Buffer) => digest.toString('latin1')
  let whole = 0
  for (let at = 0; at + LINE_BYTES <= lines.length; at += LINE_BYTES) {
    const line = lines.subarray(at, at + LINE_BYTES)
    if (crc32(line.subarray(0, MD5_END)) !== line.readUInt32BE(MD5_END) || readRecord(line, 0) === null) break
    chunks.set(keyOf(line.subarray(0, 32)), line)
    whole = at + LINE_BYTES
  }
  await handle.truncate(whole)

  return {
    find(digest) {
      const line = chunks.get(keyOf(digest))
      const chunk = line && readRecord(line, 0)
      return chunk ? { ...chunk, md5: line.subarray(RECORD_BYTES, MD5_END) } : null
    },
    async add(chunk) {
      const line = Buffer.alloc(LINE_BYTES)
      writeRecord(line, 0, chunk)
      chunk.md5.copy(line, RECORD_BYTES)
      line.writeUInt32BE(crc32(line.subarray(0, MD5_END)), MD5_END)
      chunks.set(keyOf(chunk.digest), line)
      await handle.write(line)
    },
    close: () => handle.close(),
  }
}
