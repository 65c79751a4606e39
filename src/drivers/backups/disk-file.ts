/**
 * The file that a restored disk is written to: sparse, qcow2 or raw. What was written is read back past the system's
 * cache where the file system can do that, so what comes is what the disk holds; a range that is read so is written
 * out first (Linux, mm/filemap.c, kiocb_write_and_wait). tmpfs and some network file systems cannot: there it is
 * read like any file.
 */
import { constants } from 'node:fs'
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
  /** The chunk as it lies on the disk, in the slab. */
  readBack(rank: number, slab: Buffer): Promise<Buffer>
  /** The image around the chunks. */
  writeRest(): Promise<void>
  /** Throws when the image around the chunks is not as it was written. */
  checkRest(slab: Buffer): Promise<void>
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
  let direct = await open(file, constants.O_RDONLY | constants.O_DIRECT).catch(() => null)

  async function eachMetadata(work: (bytes: Buffer, at: number) => Promise<void>): Promise<void> {
    let at = 0
    for (const part of layout?.parts(0, layout.dataOffset) ?? []) {
      if (part.kind !== 'metadata') throw new Error('unreachable: metadata comes first')
      await work(part.bytes, at)
      at += part.bytes.length
    }
  }

  async function readDisk(slab: Buffer, length: number, at: number): Promise<Buffer> {
    const found = slab.subarray(0, length)
    if (direct) {
      // Whole blocks, beyond the end of the file too. What a file system cannot do it says at the first.
      const { bytesRead } = await direct.read(slab, 0, Math.ceil(length / PAGE) * PAGE, at).catch((error) => {
        if (error.code !== 'EINVAL') throw error
        return { bytesRead: 0 }
      })
      if (bytesRead >= length) return found
    }
    await readAll(handle, found, at)
    return found
  }

  const close = async () => {
    await direct?.close()
    direct = null
    await handle.close()
  }

  try {
    await handle.truncate(layout?.sizeBytes ?? diskBytes)
  } catch (error) {
    await close()
    throw error
  }
  return {
    async write(rank, plain) {
      for (const { from, to } of runsOfData(plain)) {
        await writeAll(handle, plain.subarray(from, to), offsetOf(rank) + from)
      }
    },
    readBack: (rank, slab) => readDisk(slab, chunkLength(diskBytes, chunks[rank]!), offsetOf(rank)),
    writeRest: () => eachMetadata((bytes, at) => writeAll(handle, bytes, at)),
    checkRest: (slab) =>
      eachMetadata(async (bytes, at) => {
        const found = await readDisk(slab, bytes.length, at)
        if (!found.equals(bytes)) throw new Error(`${file} does not hold what was written at byte ${at}`)
      }),
    async sync() {
      await handle.sync()
      await syncFolder(dirname(file))
    },
    chown: (uid, gid) => handle.chown(uid, gid),
    close,
  }
}

/** What every device's blocks divide. */
const PAGE = 4096
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
