/**
 * Brings an opened export into the object store: only what holds data is read, only what changed since the base where
 * the source knows that, and only chunks that the account does not have yet are sent. A few chunks are on their way at
 * a time, each from read to stored, so memory does not grow with the disk. The manifest comes last.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { CHUNK_BYTES } from '../../model/backup.ts'
import { CloudError } from '../../model/errors.ts'
import type { ObjectsDriver } from '../objects/objects.ts'
import { loadBlob, type Patience, patiently, storeBlob } from './blobs.ts'
import { type ChunkTable, createChunkTable } from './chunk-list.ts'
import { type Crypt, createCryptPool } from './crypt.ts'
import { type BackupKeys, openSealedKey } from './keys.ts'
import { type ChunkIndex, readKnownChunks } from './known-chunks.ts'
import { chunkCount, chunkLength, type Manifest, openManifest, sealManifest } from './manifest.ts'
import { createRecordIndex } from './record-index.ts'
import { createSlab } from './slab.ts'
import { type DiskReader, openSource } from './source.ts'
import { openUploadLog, type UploadLog } from './upload-log.ts'
import type { UploadOutcome, UploadWork } from './work.ts'

export interface UploadTools {
  objects: ObjectsDriver
  masterKey: Buffer
  /** Kept when the program is started again. */
  folder: string
  report: (percent: number, message: string) => void
  patienceMs?: number
}

/**
 * Chunks on their way, each in a slab of its own from read to stored: 48 MiB. Most of them wait for the store, which
 * syncs: slow for one, and no slower for many.
 */
const AT_ONCE = 12
const BLOB_ID_BYTES = 16
const PATIENCE_MS = 5 * 60_000

interface Upload {
  work: UploadWork
  tools: UploadTools
  crypt: Crypt
  reader: DiskReader
  known: ChunkIndex
  log: UploadLog
  table: ChunkTable
  patience: Patience
  /** Chunks on their way, by digest, and all places of the disk that hold them. */
  sending: Map<string, number[]>
  readBytes: number
}

/** Throws `SOURCE_GONE` when the export ended, `unavailable` when the store stayed away. */
export async function uploadBackup(work: UploadWork, tools: UploadTools): Promise<UploadOutcome> {
  const keys = openSealedKey(tools.masterKey, Buffer.from(work.sealedKey, 'base64'))
  const stop = new AbortController()
  const patience = { patienceMs: tools.patienceMs ?? PATIENCE_MS, signal: stop.signal }
  const closing: { close(): Promise<void> }[] = []
  const opened = <T extends { close(): Promise<void> }>(one: T): T => {
    closing.unshift(one)
    return one
  }
  try {
    await patiently(patience, () => tools.objects.open())
    const upload: Upload = {
      work,
      tools,
      reader: opened(await openSource(work.source, work.diskBytes)),
      crypt: opened(createCryptPool()).of(keys),
      known: await readKnownChunks(work.knownFile),
      log: opened(await openUploadLog(join(tools.folder, 'uploaded'))),
      table: createChunkTable(chunkCount(work.diskBytes)),
      patience,
      sending: new Map(),
      readBytes: 0,
    }
    const base = await readBase(work, upload.reader, keys, tools.objects, patience)
    await sendChunks(upload, plan(upload, base), stop)
    return await finish(upload, keys)
  } finally {
    for (const one of closing) await one.close()
  }
}

/** A base that cannot be read is none: everything is read then. */
async function readBase(
  { base }: UploadWork,
  reader: DiskReader,
  keys: BackupKeys,
  objects: ObjectsDriver,
  patience: Patience,
): Promise<Manifest | null> {
  if (!base || !reader.changed) return null
  try {
    const sealed = await loadBlob(objects, base.manifestBlobId, base.manifestBytes, patience)
    return openManifest(keys, base.backupId, sealed)
  } catch (error) {
    if (error instanceof CloudError) throw error
    return null
  }
}

/** Takes over what did not change, as far as it is known to be sound, and names the chunks that must be read. */
function plan({ work, reader, table, known }: Upload, base: Manifest | null): number[] {
  const { diskBytes, knownFile } = work
  const toRead: number[] = []
  for (let index = 0; index < table.count; index++) {
    const isInBase = base && index < base.count && chunkLength(base.diskBytes, index) === chunkLength(diskBytes, index)
    if (isInBase && !reader.changed?.touches(index)) {
      const chunk = base.at(index)
      if (!chunk) continue
      const sound = knownFile === null ? chunk : known.find(chunk.digest)
      if (sound) {
        table.set(index, { ...sound, md5: null, isNew: false })
        continue
      }
    }
    if (reader.data.touches(index)) toRead.push(index)
  }
  return toRead
}

/** Goes through all of them; the first failure ends it once nothing is half on its way any more. */
async function sendChunks(upload: Upload, indexes: readonly number[], stop: AbortController): Promise<void> {
  const left = indexes.values()
  const errors: unknown[] = []
  let done = 0
  const walk = async () => {
    const slab = createSlab()
    for (const index of left) {
      await sendChunk(upload, index, slab)
      if (errors.length > 0) return
      upload.tools.report((99 * ++done) / indexes.length, `${done} of ${indexes.length} chunks`)
    }
  }
  const walks = Array.from({ length: Math.min(AT_ONCE, indexes.length) }, () =>
    walk().catch((error: unknown) => {
      errors.push(error)
      stop.abort(error)
    }),
  )
  await Promise.all(walks)
  if (errors.length > 0) throw errors[0]
}

/** Nothing is sent of what is a hole, or is there already, or is on its way from another place of the disk. */
async function sendChunk(upload: Upload, index: number, slab: Buffer): Promise<void> {
  const { work, tools, crypt, known, log, table, patience, sending } = upload
  const plain = slab.subarray(0, chunkLength(work.diskBytes, index))
  await readChunk(upload, index, plain)
  const digest = await crypt.digest(plain)
  if (!digest) return
  const isKnown = known.find(digest)
  if (isKnown) return table.set(index, { ...isKnown, md5: null, isNew: false })
  const isUploaded = log.find(digest)
  if (isUploaded) return table.set(index, { ...isUploaded, isNew: true })
  const name = digest.toString('latin1')
  const places = sending.get(name)
  if (places) return void places.push(index)
  sending.set(name, [index])

  const { sealed, md5 } = await crypt.seal(digest, slab, plain.length)
  const blobId = await storeBlob(tools.objects, sealed, patience)
  const uploaded = { digest, blobId, storedBytes: sealed.length, md5 }
  await log.add(uploaded)
  for (const place of sending.get(name) ?? []) table.set(place, { ...uploaded, isNew: true })
  sending.delete(name)
}

async function readChunk(upload: Upload, index: number, plain: Buffer): Promise<void> {
  const start = index * CHUNK_BYTES
  let filled = 0
  await Promise.all(
    upload.reader.data.stretches(index).map(({ offset, length }) => {
      const at = offset - start
      plain.fill(0, filled, at)
      filled = at + length
      upload.readBytes += length
      return upload.reader.read(offset, plain.subarray(at, filled))
    }),
  )
  plain.fill(0, filled)
}

async function finish({ work, tools, table, patience, readBytes }: Upload, keys: BackupKeys): Promise<UploadOutcome> {
  const { backupId, sealedKey, diskBytes, header } = work
  const chunkListFile = join(tools.folder, 'chunks')
  await table.save(chunkListFile)
  const manifest = { backupId, diskBytes, header, count: table.count, at: table.at }
  const sealed = sealManifest(keys, Buffer.from(sealedKey, 'base64'), manifest)
  const manifestBlobId = await storeBlob(tools.objects, sealed, patience)
  const { dataBytes, storedBytes, newBytes, addedChunks } = count(table, diskBytes)
  return {
    manifestBlobId,
    manifestBytes: sealed.length,
    manifestMd5: createHash('md5').update(sealed).digest('hex'),
    chunkListFile,
    dataBytes,
    readBytes,
    storedBytes: storedBytes + sealed.length,
    addedBytes: newBytes + sealed.length,
    addedChunks,
  }
}

function count(table: ChunkTable, diskBytes: number) {
  const seen = createRecordIndex(BLOB_ID_BYTES, BLOB_ID_BYTES)
  const sums = { dataBytes: 0, storedBytes: 0, newBytes: 0, addedChunks: 0 }
  for (let index = 0; index < table.count; index++) {
    const chunk = table.at(index)
    if (!chunk) continue
    sums.dataBytes += chunkLength(diskBytes, index)
    const blob = Buffer.from(chunk.blobId, 'hex')
    if (seen.find(blob)) continue
    seen.add(blob)
    sums.storedBytes += chunk.storedBytes
    sums.newBytes += chunk.isNew ? chunk.storedBytes : 0
    sums.addedChunks += chunk.isNew ? 1 : 0
  }
  return sums
}
