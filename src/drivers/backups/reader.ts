/** A finished backup as a disk to read: its manifest, and any of its chunks, verified before anybody sees a byte. */
import { CHUNK_BYTES } from '../../model/backup.ts'
import { CloudError } from '../../model/errors.ts'
import type { BackupId } from '../../model/ids.ts'
import { BlobDamaged, type BlobId, BlobMissing, type ObjectsDriver } from '../objects/objects.ts'
import { loadBlob, type Patience } from './blobs.ts'
import type { StoredChunk } from './chunk.ts'
import type { Crypt } from './crypt.ts'
import { EnvelopeDamaged } from './envelope.ts'
import type { BackupKeys } from './keys.ts'
import { chunkLength, MANIFEST_MAX_BYTES, type Manifest, openManifest } from './manifest.ts'
import { SLAB_BYTES } from './slab.ts'
import { BACKUP_DAMAGED } from './work.ts'

export interface ManifestPlace {
  backupId: BackupId
  manifestBlobId: BlobId
  manifestBytes: number
}

/** Throws `BACKUP_DAMAGED` when it is missing or not what was written, `unavailable` when the store stayed away. */
export function readManifest(
  objects: ObjectsDriver,
  keys: BackupKeys,
  { backupId, manifestBlobId, manifestBytes }: ManifestPlace,
  patience: Patience,
): Promise<Manifest> {
  return explained(`the manifest of backup ${backupId}`, manifestBlobId, async () => {
    if (manifestBytes > MANIFEST_MAX_BYTES) throw new EnvelopeDamaged('is too large')
    return openManifest(keys, backupId, await loadBlob(objects, manifestBlobId, manifestBytes, patience))
  })
}

export interface BackupSource {
  objects: ObjectsDriver
  crypt: Crypt
  manifest: Manifest
  patience: Patience
}

/**
 * The plain bytes of a chunk that is no hole, at the beginning of the slab, which `Crypt.open` may have taken away and
 * brought back; it has room for `slabBytes`. Throws as `readManifest` does; the message names the chunk.
 */
export async function readChunk(
  { objects, crypt, manifest, patience }: BackupSource,
  index: number,
  slab: Buffer,
  { isUnchecked = false } = {},
): Promise<Buffer> {
  const chunk = chunkAt(manifest, index)
  const what = `chunk ${index} of backup ${manifest.backupId} (disk from byte ${index * CHUNK_BYTES}, blob ${chunk.blobId})`
  return explained(what, chunk.blobId, async () => {
    const plainBytes = chunkLength(manifest.diskBytes, index)
    if (Math.max(chunk.storedBytes, plainBytes) > slab.length) throw new EnvelopeDamaged('is too large')
    const sealed = await loadBlob(objects, chunk.blobId, chunk.storedBytes, patience, slab)
    return crypt.open(chunk.digest, slab, { sealedBytes: sealed.length, plainBytes, isUnchecked })
  })
}

/** What reading a chunk takes, at most a slab. */
export const slabBytes = (manifest: Manifest, index: number): number =>
  Math.min(SLAB_BYTES, Math.max(chunkAt(manifest, index).storedBytes, chunkLength(manifest.diskBytes, index)))

function chunkAt(manifest: Manifest, index: number): StoredChunk {
  const chunk = manifest.at(index)
  if (!chunk) throw new Error(`chunk ${index} of backup ${manifest.backupId} is a hole`)
  return chunk
}

async function explained<T>(what: string, id: BlobId, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (!(cause instanceof BlobDamaged || cause instanceof EnvelopeDamaged)) throw cause
    const kind = cause instanceof BlobMissing ? 'missing' : 'damaged'
    throw new CloudError(BACKUP_DAMAGED, `${what} is damaged`, { cause, blob: { id, kind } })
  }
}
