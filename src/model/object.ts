/** An object of object storage: its versions, its bytes in pieces, and what a client says about a body it sends. */
import type { Acl } from './acl.ts'
import type { AccountId } from './ids.ts'
import type { Retention } from './object-lock.ts'

export const KEY_MAX_BYTES = 1024 // S3 user guide, "Naming Amazon S3 objects"
export const INLINE_MAX_BYTES = 16 * 1024 // measured: up to here a row is faster than a file
export const MIB = 1024 * 1024
export const PART_MIN_BYTES = 5 * MIB
export const PART_MAX_BYTES = 5 * 1024 * MIB
export const PUT_MAX_BYTES = 5 * 1024 * MIB
export const OBJECT_MAX_BYTES = 5 * 1024 * 1024 * MIB
export const PARTS_MAX = 10_000
/** The id of versions written while a bucket does not make versions. */
export const NULL_VERSION = 'null'

export const CHECKSUM_ALGORITHMS = ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const
export type ChecksumAlgorithm = (typeof CHECKSUM_ALGORITHMS)[number]
export const CHECKSUM_BYTES: Record<ChecksumAlgorithm, number> = {
  CRC32: 4,
  CRC32C: 4,
  CRC64NVME: 8,
  SHA1: 20,
  SHA256: 32,
}
export type ChecksumType = 'FULL_OBJECT' | 'COMPOSITE'
export interface Checksum {
  algorithm: ChecksumAlgorithm
  type: ChecksumType
  /** Base64 of the big-endian value; a COMPOSITE one ends with `-` and the number of parts. */
  value: string
}

/** A body on its way in, its framing taken off. */
export interface IncomingBody {
  /** Throws S3Error when the framing is broken, a chunk's signature is wrong or the body is cut short. */
  bytes: AsyncIterable<Buffer>
  /** Exact, as announced; null for a form's file, whose length only shows at its end. */
  sizeBytes: number | null
  expected: {
    md5?: Buffer
    /** The client signed this digest of the body. */
    sha256?: Buffer
    /** `value` is null while it is still to come in the trailer. */
    checksum?: { algorithm: ChecksumAlgorithm; value: Buffer | null }
  }
  /** The checksum that the trailer gave, once `bytes` has ended; null when none was announced. */
  trailer(): { algorithm: ChecksumAlgorithm; value: Buffer } | null
}

/** `length` bytes of a blob from `start`, both counted in the object's own (not encrypted) bytes. */
export interface Segment {
  blobId: string
  start: number
  length: number
  /** The data key of an encrypted blob, wrapped; null = the blob is not encrypted. */
  wrappedKey: Buffer | null
  /** All of the blob, in the object's own bytes: where its last encrypted block ends. */
  blobBytes: number
}

/** How the bytes are encrypted at rest. With `customer` the key is the client's, and we can only recognise it. */
export type Encryption = { by: 'master' } | { by: 'customer'; keyMd5: string; keySalt: string; keyMac: string }

/** What a client gave along with a body and gets back with it. */
export interface ObjectProperties {
  /** `content-type`, `cache-control`, `content-disposition`, `content-encoding`, `content-language`, `expires`,
   * `x-amz-website-redirect-location`; names in lower case. */
  headers: Readonly<Record<string, string>>
  /** Without `x-amz-meta-`; values byte for byte (latin1). */
  metadata: Readonly<Record<string, string>>
  tags: Readonly<Record<string, string>>
  storageClass: string
  /** Null = private to the owner. */
  acl: Acl | null
  retention: Retention | null
  legalHold: boolean
}

export interface ObjectVersion extends ObjectProperties {
  bucketNumber: number
  key: string
  /** Grows with every write of the installation; the newest version of a key has the highest. Also names its body. */
  seq: number
  /** What clients see: `null`, or opaque text. */
  versionId: string
  isLatest: boolean
  isDeleteMarker: boolean
  sizeBytes: number
  /** Without quotes. */
  etag: string
  checksum: Checksum | null
  encryption: Encryption | null
  modifiedAt: Date
  /** The account that wrote it. */
  accountId: AccountId
  /** How many parts it was uploaded in; null = one body. */
  partCount: number | null
  /** The whole body when it is small; null = it lies in segments. */
  inlineBody: Buffer | null
  /** The wrapped data key of an encrypted inline body. */
  inlineKey: Buffer | null
}

/** A part as a finished upload remembers it. */
export interface ObjectPart {
  number: number
  sizeBytes: number
  checksum: string | null
}
