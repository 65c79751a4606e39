/** UploadPartCopy: a part that names bytes of an object. They are read when the upload wants a checksum of them. */
import { createHash } from 'node:crypto'
import type { Bucket } from '../../model/bucket.ts'
import type { Encryption } from '../../model/object.ts'
import { S3Error } from '../../model/s3-error.ts'
import * as multipart from '../../store/multipart.ts'
import { isForeignKeyViolation, type NewBlob } from '../../store/objects.ts'
import { bodyKeyOf } from '../buckets/encryption.ts'
import * as uploads from '../multipart/uploads.ts'
import type { BodyKey } from '../object-bodies/encryption.ts'
import type { ByteRange, StoredBody } from '../object-bodies/read.ts'
import { keepOrDiscard } from '../objects/put.ts'
import type { S3Ctx } from '../s3-ctx.ts'
import { digestBytes, moveBytes } from './bytes.ts'
import { refuseTooLarge } from './copy.ts'
import { bodyOfSource, isSharable, openSource, type Source, type SourceWish } from './source.ts'

export interface CopyPartWish {
  uploadId: string
  number: number
  source: SourceWish
  /** Both ends included; undefined = all of it. */
  range: { first: number; last: number } | undefined
  /** Of the upload. */
  customerKey: Buffer | undefined
}

export interface CopiedPart {
  etag: string
  modifiedAt: Date
  checksum: multipart.PartChecksum | null
  encryption: Encryption | null
  sourceVersionId: string | undefined
}

const OVERTAKEN_MAX = 8

/** Throws NoSuchUpload, InvalidRange, QuotaExceeded, and what openSource throws. */
export async function copyPart(ctx: S3Ctx, bucket: Bucket, key: string, wish: CopyPartWish): Promise<CopiedPart> {
  const done = ctx.reading() // what is released from here on stays until this is over
  try {
    for (let tries = 0; tries < OVERTAKEN_MAX; tries++) {
      const copied = await attempt(ctx, bucket, key, wish)
      if (copied) return copied
    }
    throw new S3Error('OperationAborted')
  } finally {
    done()
  }
}

/** Null: the source went away while it was looked at. */
async function attempt(ctx: S3Ctx, bucket: Bucket, key: string, wish: CopyPartWish): Promise<CopiedPart | null> {
  const upload = await uploads.get(ctx, bucket, key, wish.uploadId)
  const targetKey = bodyKeyOf(ctx, upload.encryption, wish.customerKey)
  const source = await openSource(ctx, wish.source)
  const range = rangeWithin(source.version.sizeBytes, wish.range)
  refuseTooLarge(range.length)
  const stored = await bodyOfSource(ctx, source, range)
  if (!stored) return null
  const made = await make(ctx, { source, stored, range }, { upload, key: targetKey, customerKey: wish.customerKey })
  const putting = async () => {
    const put = await multipart.putPart(ctx.db, {
      upload: { bucketNumber: bucket.number, key, id: wish.uploadId },
      number: wish.number,
      sizeBytes: range.length,
      md5: made.md5,
      etag: made.md5.toString('hex'),
      checksum: made.checksum,
      body: made.body,
    })
    if (put.outcome === 'put') return put
    throw new S3Error(put.outcome === 'quota' ? 'QuotaExceeded' : 'NoSuchUpload')
  }
  try {
    const blob = made.body.kind === 'blob' ? made.body.blob : null
    const { modifiedAt } = await keepOrDiscard(ctx, { blob }, putting)
    return {
      etag: made.md5.toString('hex'),
      modifiedAt,
      checksum: made.checksum,
      encryption: upload.encryption,
      sourceVersionId: source.bucket.versioning === 'off' ? undefined : source.version.versionId,
    }
  } catch (error) {
    if (isForeignKeyViolation(error)) return null // the sweeper took a blob that nothing pointed at any more
    throw error
  }
}

function rangeWithin(sizeBytes: number, range: CopyPartWish['range']): ByteRange {
  if (!range) return { start: 0, length: sizeBytes }
  if (range.last < sizeBytes) return { start: range.first, length: range.last - range.first + 1 }
  throw new S3Error('InvalidRange', `Range specified is not valid for source object of size: ${sizeBytes}`, {
    elements: { ActualObjectSize: String(sizeBytes) },
  })
}

interface Made {
  body: multipart.NewPart['body']
  md5: Buffer
  checksum: multipart.PartChecksum | null
}

async function make(
  ctx: S3Ctx,
  { source, stored, range }: { source: Source; stored: StoredBody; range: ByteRange },
  target: { upload: multipart.Upload; key: BodyKey | null; customerKey: Buffer | undefined },
): Promise<Made> {
  const { version } = source
  const algorithm = target.upload.checksumAlgorithm
  const inside = 'inline' in stored ? range : { start: 0, length: range.length } // segments are cut already
  const bytes = { body: stored, range: inside, key: source.key }
  const checksumOf = (value: Buffer | undefined) =>
    algorithm && value ? { algorithm, value: value.toString('base64') } : null
  if ('inline' in stored || !isSharable(version.encryption, target.upload.encryption, target.customerKey)) {
    const checksums = algorithm ? [algorithm] : []
    const received = await moveBytes(ctx, bytes, { key: target.key, checksums, inlineMaxBytes: 0 })
    const { blob, md5, wrappedKey } = received
    const written: NewBlob | null = blob && { ...blob, md5, wrappedKey }
    return {
      body: written ? { kind: 'blob', blob: written } : { kind: 'segments', segments: [] },
      md5: target.upload.encryption?.by === 'customer' ? madeUp(source, range) : md5,
      checksum: checksumOf(algorithm ? received.checksums[algorithm] : undefined),
    }
  }
  const body = { kind: 'segments', segments: stored.segments } as const
  const isWhole = range.length === version.sizeBytes
  if (algorithm === null) return { body, md5: knownMd5(version.etag, isWhole) ?? madeUp(source, range), checksum: null }
  const known = version.checksum
  if (isWhole && known?.algorithm === algorithm && known.type === 'FULL_OBJECT') {
    const md5 = knownMd5(version.etag, isWhole) ?? madeUp(source, range)
    return { body, md5, checksum: { algorithm, value: known.value } }
  }
  const digests = await digestBytes(ctx, bytes, algorithm)
  const md5 = target.upload.encryption?.by === 'customer' ? madeUp(source, range) : digests.md5
  return { body, md5, checksum: checksumOf(digests.checksum) }
}

const knownMd5 = (etag: string, isWhole: boolean): Buffer | null =>
  isWhole && /^[0-9a-f]{32}$/.test(etag) ? Buffer.from(etag, 'hex') : null

/** An ETag for bytes that nobody read: the same for the same bytes of the same version, and for no others. */
const madeUp = ({ version }: Source, { start, length }: ByteRange): Buffer =>
  createHash('md5').update(`${version.bucketNumber} ${version.seq} ${start} ${length}`).digest()
