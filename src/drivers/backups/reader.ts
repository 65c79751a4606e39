/** A finished backup as a disk to read: its manifest, and any of its chunks, verified before anybody sees a byte. */
import { CHUNK_BYTES } from '../../model/backup.ts'
import { CloudError } from '../../model/errors.ts'
import type { BackupId } from '../../model/ids.ts'
import { BlobDamaged, type BlobId, BlobMissing, type ObjectsDriver } from '../objects/objects.ts'
import { loadBlob, type Patience } from './blobs.ts'
import type { Crypt } from './crypt.ts'
import { EnvelopeDamaged } from './envelope.ts'
import type { BackupKeys } from './keys.ts'
import { chunkLength, MANIFEST_MAX_BYTES, type Manifest, openManifest } from './manifest.ts'
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

/** The plain bytes of a chunk that is no hole. Throws as `readManifest` does; the message names the chunk. */
export async function readChunk(
  objects: ObjectsDriver,
  crypt: Crypt,
  manifest: Manifest,
  index: number,
  patience: Patience,
): Promise<Buffer> {
  const chunk = manifest.at(index)
  if (!chunk) throw new Error(`chunk ${index} of backup ${manifest.backupId} is a hole`)
  const what = `chunk ${index} of backup ${manifest.backupId} (disk from byte ${index * CHUNK_BYTES}, blob ${chunk.blobId})`
  return explained(what, chunk.blobId, async () => {
    const sealed = await loadBlob(objects, chunk.blobId, chunk.storedBytes, patience)
    return crypt.open(chunk.digest, sealed, chunkLength(manifest.diskBytes, index))
  })
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
