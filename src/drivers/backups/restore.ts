/**
 * Writes a backup onto a new file. Chunks come from the store several at a time, each in one slab all its way: its tag,
 * which says that it was sealed under its digest, is verified before it is written; then it is read back from the disk,
 * and the digest of what lies there compared. The file is whole only when this returns; killed and started again, it
 * begins anew.
 */
import { CloudError } from '../../model/errors.ts'
import type { ObjectsDriver } from '../objects/objects.ts'
import { patiently } from './blobs.ts'
import { createCryptPool } from './crypt.ts'
import { createDiskFile, type DiskFile, dataChunks } from './disk-file.ts'
import { openSealedKey } from './keys.ts'
import { type BackupSource, readChunk, readManifest } from './reader.ts'
import { createSlab } from './slab.ts'
import type { RestoreOutcome, RestoreWork } from './work.ts'

export interface RestoreTools {
  objects: ObjectsDriver
  masterKey: Buffer
  report: (percent: number, message: string) => void
  patienceMs?: number
}

/** Each has a slab: 32 MiB. */
const AT_ONCE = 8
const PATIENCE_MS = 5 * 60_000

/** Throws `BACKUP_DAMAGED` with what is wrong, `unavailable` when the store stayed away. */
export async function restoreBackup(work: RestoreWork, tools: RestoreTools): Promise<RestoreOutcome> {
  const startedAt = performance.now()
  const keys = openSealedKey(tools.masterKey, Buffer.from(work.sealedKey, 'base64'))
  const stop = new AbortController()
  const patience = { patienceMs: tools.patienceMs ?? PATIENCE_MS, signal: stop.signal }
  await patiently(patience, () => tools.objects.open())
  const manifest = await readManifest(tools.objects, keys, work, patience)
  const chunks = dataChunks(manifest)
  const disk = await createDiskFile(work.file, work.format, manifest, chunks)
  const pool = createCryptPool()
  const restore = { objects: tools.objects, crypt: pool.of(keys), manifest, patience, disk, chunks }
  try {
    let writtenBytes = 0
    let done = 0
    await eachRank(chunks.length, stop, async (rank, slab) => {
      const bytes = await restoreChunk(restore, rank, slab)
      writtenBytes += bytes
      tools.report((99 * ++done) / chunks.length, `${done} of ${chunks.length} chunks`)
    })
    await disk.writeRest()
    await disk.checkRest(createSlab())
    if (work.owner) await disk.chown(work.owner.uid, work.owner.gid)
    await disk.sync()
    return {
      diskBytes: manifest.diskBytes,
      writtenBytes,
      chunks: chunks.length,
      ms: Math.round(performance.now() - startedAt),
    }
  } finally {
    await pool.close()
    await disk.close()
  }
}

interface Restore extends BackupSource {
  disk: DiskFile
  /** Those that hold data, by their rank. */
  chunks: Uint32Array
}

/** Returns how many bytes of disk it holds. */
async function restoreChunk({ disk, chunks, ...source }: Restore, rank: number, slab: Buffer): Promise<number> {
  const index = chunks[rank]!
  // The digest is compared once, where the bytes end up.
  const plain = await readChunk(source, index, slab, { isUnchecked: true })
  await disk.write(rank, plain)
  const found = await source.crypt.digest(await disk.readBack(rank, slab))
  const wanted = source.manifest.at(index)!.digest
  if (!found?.equals(wanted)) {
    await readChunk(source, index, slab) // the backup itself may be what is wrong
    throw new CloudError('unavailable', `chunk ${index} does not read back as it was written; is the disk sound?`)
  }
  return plain.length
}

/** A few at a time, each with a slab; the first failure ends it once nothing is on its way any more. */
async function eachRank(
  count: number,
  stop: AbortController,
  work: (rank: number, slab: Buffer) => Promise<void>,
): Promise<void> {
  let next = 0
  const walk = async () => {
    const slab = createSlab()
    while (next < count && !stop.signal.aborted) await work(next++, slab)
  }
  const walks = Array.from({ length: Math.min(AT_ONCE, count) }, () =>
    walk().catch((error) => {
      stop.abort(error)
      throw error
    }),
  )
  await Promise.allSettled(walks)
  stop.signal.throwIfAborted()
}
