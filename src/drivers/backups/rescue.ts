/**
 * What backups lie in a store, found without any database: manifests tell themselves apart by their first bytes, and
 * each carries its account's key, sealed with the master key. For the day when nothing else is left.
 */
import { CloudError } from '../../model/errors.ts'
import type { BackupId } from '../../model/ids.ts'
import type { BlobId, ObjectsDriver } from '../objects/objects.ts'
import { loadBlob, type Patience } from './blobs.ts'
import { EnvelopeDamaged } from './envelope.ts'
import { openSealedKey } from './keys.ts'
import { MANIFEST_MAX_BYTES, openManifest, sealedKeyOf } from './manifest.ts'
import type { ManifestHeader } from './work.ts'

export interface FoundBackup {
  backupId: BackupId
  manifestBlobId: BlobId
  manifestBytes: number
  /** Base64, as a restore takes it. */
  sealedKey: string
  diskBytes: number
  /** Chunks that are no holes. */
  chunks: number
  header: ManifestHeader
}
/** A manifest that does not open, and why. */
export interface LostBackup {
  manifestBlobId: BlobId
  problem: string
}

/** In no order. Throws `unavailable` when the store stays away. */
export async function* findBackups(
  objects: ObjectsDriver,
  masterKey: Buffer,
  patience: Patience,
): AsyncGenerator<FoundBackup | LostBackup> {
  for await (const { id, sizeBytes } of objects.list(patience.signal)) {
    if (sizeBytes < MAGIC_BYTES || sizeBytes > MANIFEST_MAX_BYTES) continue
    const magic = await loadBlob(objects, id, MAGIC_BYTES, patience)
    if (magic.toString('latin1') !== 'HVNM') continue
    yield open(masterKey, id, await loadBlob(objects, id, sizeBytes, patience))
  }
}

const MAGIC_BYTES = 4

function open(masterKey: Buffer, manifestBlobId: BlobId, sealed: Buffer): FoundBackup | LostBackup {
  try {
    const sealedKey = sealedKeyOf(sealed)
    if (!sealedKey?.length) return { manifestBlobId, problem: 'it carries no key: that is in the database' }
    const { backupId, diskBytes, header, count, at } = openManifest(openSealedKey(masterKey, sealedKey), null, sealed)
    let chunks = 0
    for (let index = 0; index < count; index++) if (at(index)) chunks++
    const manifestBytes = sealed.length
    return {
      backupId,
      manifestBlobId,
      manifestBytes,
      sealedKey: sealedKey.toString('base64'),
      diskBytes,
      chunks,
      header,
    }
  } catch (error) {
    if (!(error instanceof EnvelopeDamaged || error instanceof CloudError)) throw error
    return { manifestBlobId, problem: error.message }
  }
}
