/** What a chunk costs on its way into the store, stage by stage. */
import { createCipheriv, createHash, randomBytes } from 'node:crypto'
import { mkdir, open, stat } from 'node:fs/promises'
import { constants, zstdCompressSync } from 'node:zlib'
import { digestOf, sealChunk } from '../src/drivers/backups/chunk.ts'
import type { BackupKeys } from '../src/drivers/backups/keys.ts'
import { createFilesystemObjects } from '../src/drivers/objects/filesystem.ts'
import { CHUNK_BYTES } from '../src/model/backup.ts'

export interface Stage {
  stage: string
  ms: number
  /** That went in. */
  bytes: number
}

const CHUNKS_MAX = 64

/** Of the first chunks of a raw disk. */
export async function chunkStages(
  raw: string,
  keys: BackupKeys,
  store: string,
): Promise<{ rows: Stage[]; totalMs: number }> {
  const sums = new Map<string, { ms: number; bytes: number }>()
  async function measured<T>(stage: string, bytes: number, work: () => T | Promise<T>): Promise<T> {
    const start = performance.now()
    const result = await work()
    const sum = sums.get(stage) ?? { ms: 0, bytes: 0 }
    sums.set(stage, { ms: sum.ms + performance.now() - start, bytes: sum.bytes + bytes })
    return result
  }
  await mkdir(store)
  const objects = createFilesystemObjects({ folder: store })
  await objects.open()
  const handle = await open(raw)
  const { size } = await stat(raw)
  const chunk = Buffer.alloc(CHUNK_BYTES)
  for (let index = 0; index < Math.min(CHUNKS_MAX, Math.floor(size / CHUNK_BYTES)); index++) {
    await measured('read (from a file)', CHUNK_BYTES, () => handle.read(chunk, 0, CHUNK_BYTES, index * CHUNK_BYTES))
    if (chunk.every((byte) => byte === 0)) continue
    const digest = await measured('name (HMAC-SHA-256)', CHUNK_BYTES, () => digestOf(keys, chunk))
    const params = { [constants.ZSTD_c_compressionLevel]: 1 }
    const small = await measured('compress (zstd)', CHUNK_BYTES, () => zstdCompressSync(chunk, { params }))
    await measured('encrypt (AES-256-GCM)', small.length, () => {
      const cipher = createCipheriv('aes-256-gcm', keys.chunk, randomBytes(12))
      cipher.update(small)
      cipher.final()
    })
    const sealed = sealChunk(keys, digest, chunk)
    await measured('MD5 for the scrub', sealed.length, () => createHash('md5').update(sealed).digest())
    await measured('store (written and synced)', sealed.length, async () => {
      const writer = await objects.create(sealed.length)
      await writer.write(sealed)
      await writer.finish()
    })
  }
  await handle.close()
  const rows = [...sums].map(([stage, sum]) => ({ stage, ...sum }))
  return { rows, totalMs: rows.reduce((sum, { ms }) => sum + ms, 0) }
}
