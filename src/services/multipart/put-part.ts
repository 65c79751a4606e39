/** One part of an upload, from the client's body. The part that had its number before stays until this one is whole. */
import { randomBytes } from 'node:crypto'
import type { Bucket } from '../../model/bucket.ts'
import { type Encryption, type IncomingBody, PART_MAX_BYTES } from '../../model/object.ts'
import { S3Error } from '../../model/s3-error.ts'
import * as store from '../../store/multipart.ts'
import * as usage from '../../store/object-usage.ts'
import { bodyKeyOf } from '../buckets/encryption.ts'
import { receiveBody } from '../object-bodies/receive.ts'
import { keepOrDiscard } from '../objects/put.ts'
import type { S3Ctx } from '../s3-ctx.ts'
import * as uploads from './uploads.ts'

export interface PutPart {
  etag: string
  checksum: store.PartChecksum | null
  encryption: Encryption | null
}

/** Throws NoSuchUpload, also when the upload ended while the body came in, QuotaExceeded, and what receiveBody throws. */
export async function putPart(
  ctx: S3Ctx,
  bucket: Bucket,
  key: string,
  wish: { uploadId: string; number: number; body: IncomingBody; customerKey: Buffer | undefined },
): Promise<PutPart> {
  const { uploadId, number, body, customerKey } = wish
  const upload = await uploads.get(ctx, bucket, key, uploadId)
  const bodyKey = bodyKeyOf(ctx, upload.encryption, customerKey)
  const algorithm = upload.checksumAlgorithm
  const given = body.expected.checksum?.algorithm
  if (algorithm !== null && given !== undefined && given !== algorithm) {
    throw new S3Error(
      'InvalidRequest',
      `Checksum Type mismatch occurred, expected checksum Type: ${algorithm.toLowerCase()}, actual checksum Type: ${given.toLowerCase()}`,
    )
  }
  const room = await roomFor(ctx, bucket, { uploadId, number, sizeBytes: body.sizeBytes })
  const received = await receiveBody(ctx, body, {
    maxBytes: PART_MAX_BYTES,
    checksums: algorithm ? [algorithm] : [],
    key: bodyKey,
    inlineMaxBytes: 0, // a part lies in a blob, so that completing only moves rows; an empty one lies nowhere
    check(sizeBytes) {
      if (room !== null && sizeBytes > room) throw new S3Error('QuotaExceeded')
    },
  })
  const kept = algorithm ?? given
  const value = kept && received.checksums[kept]
  const checksum = kept && value ? { algorithm: kept, value: value.toString('base64') } : null
  // With a customer's key the digest of the bytes stays a secret (S3 API reference, "Object", ETag).
  const md5 = upload.encryption?.by === 'customer' ? randomBytes(16) : received.md5
  const etag = md5.toString('hex')
  await keepOrDiscard(ctx, received, async () => {
    const { blob, sizeBytes, wrappedKey } = received
    const { outcome } = await store.putPart(ctx.db, {
      upload: { bucketNumber: bucket.number, key, id: uploadId },
      number,
      sizeBytes,
      md5,
      etag,
      checksum,
      body: blob
        ? { kind: 'blob', blob: { ...blob, md5: received.md5, wrappedKey } }
        : { kind: 'segments', segments: [] },
    })
    if (outcome !== 'put') throw new S3Error(outcome === 'quota' ? 'QuotaExceeded' : 'NoSuchUpload')
  })
  return { etag, checksum, encryption: upload.encryption }
}

/** What the quota has room for, so that a part that will be refused is not taken in first. Null = enough, or no quota. */
async function roomFor(
  ctx: S3Ctx,
  bucket: Bucket,
  part: { uploadId: string; number: number; sizeBytes: number | null },
): Promise<number | null> {
  const left = await usage.bytesLeft(ctx.db, bucket.accountId)
  if (left === null || (part.sizeBytes !== null && part.sizeBytes <= left)) return null
  // What it replaces makes room.
  const [old] = await store.parts(ctx.db, part.uploadId, { after: part.number - 1, limit: 1 })
  const room = left + (old?.number === part.number ? old.sizeBytes : 0)
  if (part.sizeBytes !== null && part.sizeBytes > room) throw new S3Error('QuotaExceeded')
  return room
}
