/**
 * A backup as a disk image to take away, laid out as qcow2 and put together from the store while it is sent. Every byte
 * is verified before it goes out, and any range of the image can be asked for, because where everything lies follows
 * from the manifest alone. Lives in the S3 processes, whose origin the links name.
 */
import { createHash } from 'node:crypto'
import type { Writable } from 'node:stream'
import { type Crypt, createCryptPool } from '../../drivers/backups/crypt.ts'
import { dataChunks } from '../../drivers/backups/disk-file.ts'
import { openSealedKey } from '../../drivers/backups/keys.ts'
import type { Manifest } from '../../drivers/backups/manifest.ts'
import { readChunk, readManifest, slabBytes } from '../../drivers/backups/reader.ts'
import { release } from '../../drivers/backups/slab.ts'
import { BACKUP_DAMAGED } from '../../drivers/backups/work.ts'
import type { ObjectsDriver } from '../../drivers/objects/objects.ts'
import { noteDamage } from '../../jobs/objects/blob-damage.ts'
import { layoutQcow2, type Qcow2Layout, type Qcow2Part } from '../../lib/qcow2.ts'
import { CHUNK_BYTES } from '../../model/backup.ts'
import { CloudError } from '../../model/errors.ts'
import { S3Error } from '../../model/s3-error.ts'
import * as downloads from '../../store/backup-downloads.ts'
import type { Db } from '../../store/db.ts'
import { createOutlet } from '../object-bodies/send.ts'
import { verifyLink } from './signature.ts'

export interface BackupImages {
  /**
   * Throws SignatureDoesNotMatch, AccessDenied (the link has ended, the account is suspended), NoSuchKey (the backup is
   * deleted), InternalError (it is damaged).
   */
  open(link: { shortId: string; expires: string; signature: string }): Promise<BackupImage>
  stop(): Promise<void>
}

export interface BackupImage {
  fileName: string
  /** Of the bytes: the same as long as the backup is there. Without quotes. */
  etag: string
  modifiedAt: Date
  sizeBytes: number
  /** When this returns, its first bytes have been read: what is damaged is an error. Throws SlowDown. */
  read(start: number, length: number): Promise<ImageReading>
}

export interface ImageReading {
  /** Rejects when the target closes, or when the rest cannot be read: then the connection must be cut. */
  sendTo(target: Writable, signal: AbortSignal): Promise<void>
  /** Instead of `sendTo`, or after it. */
  close(): Promise<void>
}

export interface BackupImagesOptions {
  db: Db
  objects: ObjectsDriver
  masterKey: Buffer
  warn(message: string, error?: unknown): void
}

/** Each holds two chunks, sealed or plain: one on its way out, and the next. */
const SENDING_MAX = 16
const PATIENCE_MS = 20_000
const KEPT_LAYOUTS = 16
const KEPT_CHUNKS_MAX = 1_000_000 // of all layouts that are kept: some 60 MB

interface Opened {
  manifest: Manifest
  layout: Qcow2Layout
}

export function createBackupImages({ db, objects, masterKey, warn }: BackupImagesOptions): BackupImages {
  const pool = createCryptPool()
  const explained = (error: unknown): unknown => {
    const blob = error instanceof CloudError ? error.details.blob : undefined
    if (blob) noteDamage(db, blob).catch((failure) => warn(`cannot note that blob ${blob.id} is damaged`, failure))
    return asS3Error(error)
  }
  /** Manifests never change, so those read last are kept: who downloads in ranges asks for the same one often. */
  const kept = new Map<string, Promise<Opened>>()
  let sending = 0

  function layoutOf(backup: downloads.DownloadableBackup & Whole): Promise<Opened> {
    const { manifestBlobId: id } = backup
    const found = kept.get(id) ?? openLayout(backup)
    kept.delete(id)
    kept.set(id, found)
    found.catch(() => kept.delete(id))
    if (kept.size > KEPT_LAYOUTS) kept.delete(kept.keys().next().value!)
    return found
  }

  async function openLayout({ id, sealedKey, ...place }: downloads.DownloadableBackup & Whole): Promise<Opened> {
    const keys = openSealedKey(masterKey, sealedKey)
    const patience = { patienceMs: PATIENCE_MS, signal: new AbortController().signal }
    const manifest = await readManifest(objects, keys, { backupId: id, ...place }, patience)
    if (manifest.count > KEPT_CHUNKS_MAX / KEPT_LAYOUTS) kept.clear()
    const { diskBytes } = manifest
    return { manifest, layout: layoutQcow2({ diskBytes, chunkBytes: CHUNK_BYTES, chunks: dataChunks(manifest) }) }
  }

  async function read(opened: Opened, crypt: Crypt, start: number, length: number): Promise<ImageReading> {
    if (sending >= SENDING_MAX) throw new S3Error('SlowDown')
    sending++
    const gone = new AbortController()
    const { manifest } = opened
    const source = { objects, crypt, manifest, patience: { patienceMs: PATIENCE_MS, signal: gone.signal } }
    const pieces = piecesOf(opened, start, length, (chunk) =>
      readChunk(source, chunk, Buffer.allocUnsafeSlow(slabBytes(manifest, chunk))),
    )
    let isOpen = true
    const close = async () => {
      if (!isOpen) return
      isOpen = false
      sending--
      gone.abort(new Error('nobody takes the image any more'))
      await pieces.return().catch(() => {})
    }
    const first = await pieces.next().catch(async (error) => {
      await close()
      throw explained(error)
    })
    return {
      close,
      async sendTo(target, signal) {
        const outlet = createOutlet(target, signal)
        try {
          for (let piece = first; !piece.done; piece = await pieces.next()) {
            await outlet.write(piece.value)
            release(piece.value) // only what went out is nobody's any more
          }
        } catch (error) {
          explained(error)
          if (!signal.aborted && !target.destroyed) warn(`cannot send the rest of ${opened.manifest.backupId}`, error)
          throw error
        } finally {
          outlet.leave()
          await close()
        }
      },
    }
  }

  return {
    async open({ shortId, ...link }) {
      const claim = verifyLink(masterKey, { shortId, ...link })
      if (!claim) throw new S3Error('SignatureDoesNotMatch')
      const backup = await downloads.find(db, shortId)
      if (!backup || !isWhole(backup)) throw new S3Error('NoSuchKey')
      if (backup.now.getTime() >= claim.expires * 1000) throw new S3Error('AccessDenied', 'Request has expired')
      if (backup.isSuspended) throw new S3Error('AccessDenied', 'The account is suspended')
      const opened = await layoutOf(backup).catch((error) => {
        throw explained(error)
      })
      const crypt = pool.of(openSealedKey(masterKey, backup.sealedKey))
      return {
        fileName: `${backup.instanceName.replaceAll(/[^A-Za-z0-9._-]+/g, '-').replace(/^[.-]+/, '')}-${shortId}.qcow2`,
        etag: createHash('sha256').update(`qcow2 1 ${backup.manifestBlobId}`).digest('hex').slice(0, 32),
        modifiedAt: backup.completedAt,
        sizeBytes: opened.layout.sizeBytes,
        read: (start, length) => read(opened, crypt, start, length),
      }
    },
    stop: () => pool.close(),
  }
}

interface Whole {
  manifestBlobId: string
  manifestBytes: number
  sealedKey: Buffer
  completedAt: Date
}
const isWhole = (backup: downloads.DownloadableBackup): backup is downloads.DownloadableBackup & Whole =>
  backup.state === 'completed' &&
  [backup.manifestBlobId, backup.manifestBytes, backup.sealedKey, backup.completedAt].every((fact) => fact !== null)

/** While a piece is on its way out the next one is read. */
async function* piecesOf(
  { layout }: Opened,
  start: number,
  length: number,
  plainOf: (chunk: number) => Promise<Buffer>,
): AsyncGenerator<Buffer, void, void> {
  const parts = layout.parts(start, start + length)
  const begin = (): Promise<Buffer> | null => {
    const { value, done } = parts.next()
    const bytes = done ? null : bytesOf(value, plainOf)
    bytes?.catch(() => {}) // thrown when it is its turn
    return bytes
  }
  for (let next = begin(); next !== null; ) {
    const bytes = await next
    next = begin()
    yield bytes
  }
}

async function bytesOf(part: Qcow2Part, plainOf: (chunk: number) => Promise<Buffer>): Promise<Buffer> {
  if (part.kind === 'metadata') return part.bytes
  if (part.kind === 'zeros') return Buffer.alloc(part.length)
  return (await plainOf(part.chunk)).subarray(part.from, part.from + part.length)
}

/** That a backup is damaged is nothing its reader could have done otherwise; the log gets the chain. */
const asS3Error = (error: unknown): unknown =>
  error instanceof CloudError && error.code === BACKUP_DAMAGED
    ? new S3Error('InternalError', undefined, { cause: error })
    : error
