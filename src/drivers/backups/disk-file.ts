/** The file that a restored disk is written to: sparse, qcow2 or raw. What was written can be read back from it. */
import { type FileHandle, open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { syncFolder } from '../../lib/files.ts'
import { layoutQcow2 } from '../../lib/qcow2.ts'
import { CHUNK_BYTES } from '../../model/backup.ts'
import { BLOCK_BYTES } from './block-map.ts'
import { chunkLength, type Manifest } from './manifest.ts'

export interface DiskFile {
  /** Whatever is no zeros of it. `rank` counts the chunks that are no holes. */
  write(rank: number, plain: Buffer): Promise<void>
  /** Fills the buffer with the chunk as it lies in the file. */
  read(rank: number, into: Buffer): Promise<void>
  /** The image around the chunks. */
  writeRest(): Promise<void>
  /** Throws when the image around the chunks is not as it was written. */
  checkRest(): Promise<void>
  /** All of it is on the disk. */
  sync(): Promise<void>
  chown(uid: number, gid: number): Promise<void>
  close(): Promise<void>
}

/** The chunks of a manifest that hold data, ascending. */
export function dataChunks(manifest: Manifest): Uint32Array {
  const chunks: number[] = []
  for (let index = 0; index < manifest.count; index++) if (manifest.at(index)) chunks.push(index)
  return Uint32Array.from(chunks)
}

/** Made anew: what lay there is removed. */
export async function createDiskFile(
  file: string,
  format: 'qcow2' | 'raw',
  manifest: Manifest,
  chunks: Uint32Array,
): Promise<DiskFile> {
  const { diskBytes } = manifest
  const layout = format === 'qcow2' ? layoutQcow2({ diskBytes, chunkBytes: CHUNK_BYTES, chunks }) : null
  const offsetOf = layout?.offsetOf ?? ((rank: number) => chunks[rank]! * CHUNK_BYTES)
  await rm(file, { force: true })
  const handle = await open(file, 'wx+', 0o600)

  async function eachMetadata(work: (bytes: Buffer, at: number) => Promise<void>): Promise<void> {
    let at = 0
    for (const part of layout?.parts(0, layout.dataOffset) ?? []) {
      if (part.kind !== 'metadata') throw new Error('unreachable: metadata comes first')
      await work(part.bytes, at)
      at += part.bytes.length
    }
  }

  try {
    await handle.truncate(layout?.sizeBytes ?? diskBytes)
  } catch (error) {
    await handle.close()
    throw error
  }
  return {
    async write(rank, plain) {
      for (const { from, to } of runsOfData(plain)) {
        await writeAll(handle, plain.subarray(from, to), offsetOf(rank) + from)
      }
    },
    read: (rank, into) => readAll(handle, into, offsetOf(rank)),
    writeRest: () => eachMetadata((bytes, at) => writeAll(handle, bytes, at)),
    checkRest: () =>
      eachMetadata(async (bytes, at) => {
        const found = Buffer.alloc(bytes.length)
        await readAll(handle, found, at)
        if (!found.equals(bytes)) throw new Error(`${file} does not hold what was written at byte ${at}`)
      }),
    async sync() {
      await handle.sync()
      await syncFolder(dirname(file))
    },
    chown: (uid, gid) => handle.chown(uid, gid),
    close: () => handle.close(),
  }
}

export const lengthAt = (manifest: Manifest, chunks: Uint32Array, rank: number): number =>
  chunkLength(manifest.diskBytes, chunks[rank]!)

const ZEROS = Buffer.alloc(BLOCK_BYTES)

function runsOfData(plain: Buffer): { from: number; to: number }[] {
  const runs: { from: number; to: number }[] = []
  for (let from = 0; from < plain.length; from += BLOCK_BYTES) {
    const to = Math.min(from + BLOCK_BYTES, plain.length)
    if (plain.compare(ZEROS, 0, to - from, from, to) === 0) continue
    const last = runs.at(-1)
    if (last?.to === from) last.to = to
    else runs.push({ from, to })
  }
  return runs
}

async function writeAll(handle: FileHandle, bytes: Buffer, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await handle.write(bytes, done, bytes.length - done, at + done)).bytesWritten
  }
}

async function readAll(handle: FileHandle, into: Buffer, at: number): Promise<void> {
  for (let done = 0; done < into.length; ) {
    const { bytesRead } = await handle.read(into, done, into.length - done, at + done)
    if (bytesRead === 0) throw new Error(`the file ends at byte ${at + done}`)
    done += bytesRead
  }
}
