/**
 * Writes a backup onto a new file. Chunks come from the store several at a time; each is verified by its tag and its
 * digest before it is written, and once all is on the disk it is read back from the file and its digest compared again.
 * The file is whole only when this returns; killed and started again, it begins anew.
 */
import { CHUNK_BYTES } from '../../model/backup.ts'
import { CloudError } from '../../model/errors.ts'
import type { ObjectsDriver } from '../objects/objects.ts'
import { patiently } from './blobs.ts'
import { type Crypt, createCryptPool } from './crypt.ts'
import { createDiskFile, type DiskFile, dataChunks, lengthAt } from './disk-file.ts'
import { openSealedKey } from './keys.ts'
import type { Manifest } from './manifest.ts'
import { readChunk, readManifest } from './reader.ts'
import type { RestoreOutcome, RestoreWork } from './work.ts'

export interface RestoreTools {
  objects: ObjectsDriver
  masterKey: Buffer
  report: (percent: number, message: string) => void
  patienceMs?: number
}

/** Each holds a chunk, sealed and plain: 8 MiB. */
const AT_ONCE = 8
const PATIENCE_MS = 5 * 60_000
const WRITTEN_PERCENT = 75 // reading back is the rest

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
  const crypt = pool.of(keys)
  const onDone = (from: number, to: number, what: string) => (done: number) =>
    tools.report(from + ((to - from) * done) / Math.max(chunks.length, 1), `${what} ${done} of ${chunks.length} chunks`)
  try {
    let writtenBytes = 0
    await eachRank(chunks.length, stop, onDone(0, WRITTEN_PERCENT, 'wrote'), async (rank) => {
      const plain = await readChunk(tools.objects, crypt, manifest, chunks[rank]!, patience)
      await disk.write(rank, plain)
      writtenBytes += plain.length
    })
    await disk.writeRest()
    await disk.sync()
    await checkWritten(disk, manifest, chunks, crypt, stop, onDone(WRITTEN_PERCENT, 99, 'checked'))
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

async function checkWritten(
  disk: DiskFile,
  manifest: Manifest,
  chunks: Uint32Array,
  crypt: Crypt,
  stop: AbortController,
  onDone: (done: number) => void,
): Promise<void> {
  await disk.checkRest()
  const idle: Buffer[] = []
  await eachRank(chunks.length, stop, onDone, async (rank) => {
    const buffer = idle.pop() ?? Buffer.from(new SharedArrayBuffer(CHUNK_BYTES))
    const plain = buffer.subarray(0, lengthAt(manifest, chunks, rank))
    await disk.read(rank, plain)
    const digest = await crypt.digest(plain)
    idle.push(buffer)
    const wanted = manifest.at(chunks[rank]!)?.digest
    if (digest && wanted?.equals(digest)) return
    throw new CloudError(
      'unavailable',
      `chunk ${chunks[rank]} does not read back as it was written; is the disk sound?`,
    )
  })
}

/** A few at a time; the first failure ends it once nothing is on its way any more. */
async function eachRank(
  count: number,
  stop: AbortController,
  onDone: (done: number) => void,
  work: (rank: number) => Promise<void>,
): Promise<void> {
  let next = 0
  let done = 0
  const walk = async () => {
    while (next < count && !stop.signal.aborted) {
      await work(next++)
      onDone(++done)
    }
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
