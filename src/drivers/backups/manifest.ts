/**
 * The manifest: everything about one backup but the bytes of its chunks, in one encrypted blob that is written last.
 * With it, the master key and the object store the disk can be restored, without any database: the account's key,
 * sealed with the master key, is the clear part of its envelope. Inside the envelope:
 *
 *   0  length of the head, 4 bytes big-endian
 *   4  the head, JSON: `ManifestHeader` with `version`, `backupId`, `diskBytes` and `chunkBytes`
 *   …  a record for each chunk of the disk, in order (records.ts); a record of zeros is a chunk of zeros
 */
import { z } from 'zod'
import { CHUNK_BYTES } from '../../model/backup.ts'
import type { BackupId } from '../../model/ids.ts'
import type { StoredChunk } from './chunk.ts'
import { clearPartOf, EnvelopeDamaged, HEADER_BYTES, openEnvelope, sealEnvelope } from './envelope.ts'
import type { BackupKeys } from './keys.ts'
import { RECORD_BYTES, readRecord, writeRecord } from './records.ts'
import { HeaderShape, type ManifestHeader } from './work.ts'

export interface Manifest {
  backupId: BackupId
  diskBytes: number
  header: ManifestHeader
  /** How many chunks the disk has, holes too. */
  count: number
  /** The chunk at a place, null for a hole. */
  at(index: number): StoredChunk | null
}

const VERSION = 1 as const
const HEAD_MAX_BYTES = 64 * 1024
/** Of plain manifest: 256 MiB name 20 TiB of disk, more than any plan has. */
const PLAIN_MAX_BYTES = 256 * 1024 * 1024
const SEALED_KEY_MAX_BYTES = 1024
export const MANIFEST_MAX_BYTES = PLAIN_MAX_BYTES + HEADER_BYTES + SEALED_KEY_MAX_BYTES

const Head = HeaderShape.extend({
  version: z.literal(VERSION),
  backupId: z.string(),
  diskBytes: z.int().positive(),
  chunkBytes: z.literal(CHUNK_BYTES),
})

export const chunkCount = (diskBytes: number): number => Math.ceil(diskBytes / CHUNK_BYTES)
/** All chunks are of one length but the last. */
export const chunkLength = (diskBytes: number, index: number): number =>
  Math.min(CHUNK_BYTES, diskBytes - index * CHUNK_BYTES)

/** `sealedKey`: what `keys` were opened from. */
export function sealManifest(keys: BackupKeys, sealedKey: Buffer, manifest: Manifest): Buffer {
  const { backupId, diskBytes, header, count } = manifest
  const head = { version: VERSION, backupId, diskBytes, chunkBytes: CHUNK_BYTES, ...header }
  const text = Buffer.from(JSON.stringify(head satisfies z.input<typeof Head>))
  const plain = Buffer.alloc(4 + text.length + count * RECORD_BYTES)
  if (plain.length > PLAIN_MAX_BYTES) throw new Error(`a disk of ${diskBytes} bytes is too large for a manifest`)
  plain.writeUInt32BE(text.length)
  text.copy(plain, 4)
  for (let index = 0; index < count; index++) {
    const chunk = manifest.at(index)
    if (chunk) writeRecord(plain, 4 + text.length + index * RECORD_BYTES, chunk)
  }
  return sealEnvelope({ magic: 'HVNM', key: keys.manifest, context: Buffer.alloc(0), clear: sealedKey }, plain)
}

/** The account's key as it was sealed with the master key; null in what is no manifest. */
export const sealedKeyOf = (sealed: Buffer): Buffer | null =>
  sealed.toString('latin1', 0, 4) === 'HVNM' ? clearPartOf(sealed) : null

/** Throws `EnvelopeDamaged`, also when it is whole but of another backup; null = of whichever it is. */
export function openManifest(keys: BackupKeys, backupId: BackupId | null, sealed: Buffer): Manifest {
  const envelope = { magic: 'HVNM', key: keys.manifest, context: Buffer.alloc(0) } as const
  const plain = openEnvelope(envelope, sealed, PLAIN_MAX_BYTES)
  const headBytes = plain.length < 4 ? Infinity : plain.readUInt32BE()
  if (headBytes > HEAD_MAX_BYTES || 4 + headBytes > plain.length) throw new EnvelopeDamaged('has no whole head')
  const { version, chunkBytes, backupId: itsId, diskBytes, ...header } = parseHead(plain.subarray(4, 4 + headBytes))
  if (backupId !== null && itsId !== backupId) throw new EnvelopeDamaged(`is of ${itsId}, not of ${backupId}`)
  const records = plain.subarray(4 + headBytes)
  const count = chunkCount(diskBytes)
  if (records.length !== count * RECORD_BYTES) throw new EnvelopeDamaged(`does not name ${count} chunks`)
  return {
    backupId: itsId as BackupId,
    diskBytes,
    header,
    count,
    at: (index) => readRecord(records, index * RECORD_BYTES),
  }
}

function parseHead(text: Buffer): z.infer<typeof Head> {
  try {
    return Head.parse(JSON.parse(text.toString()))
  } catch (cause) {
    throw new EnvelopeDamaged('has a head that this program does not understand', { cause })
  }
}
