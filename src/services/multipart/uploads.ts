/** Uploads in parts, as wholes: begun, looked at, given up. */
import type { Bucket } from '../../model/bucket.ts'
import type { AccountId } from '../../model/ids.ts'
import type { ChecksumAlgorithm, ChecksumType, Encryption } from '../../model/object.ts'
import type { ObjectWish } from '../../model/object-wish.ts'
import { S3Error } from '../../model/s3-error.ts'
import * as store from '../../store/multipart.ts'
import { authorize } from '../buckets/access.ts'
import { type EncryptionWish, sealingOf } from '../buckets/encryption.ts'
import { grantObjectWish } from '../object-wishes.ts'
import { onBucket } from '../objects/known-bucket.ts'
import type { S3Ctx } from '../s3-ctx.ts'

export interface BeginWish {
  object: ObjectWish
  encryption: EncryptionWish
  checksumAlgorithm: ChecksumAlgorithm | null
  checksumType: ChecksumType | null
}
export interface Begun {
  uploadId: string
  checksumAlgorithm: ChecksumAlgorithm | null
  checksumType: ChecksumType | null
  encryption: Encryption | null
}

/** Throws InvalidRequest for a pair of checksum algorithm and type that cannot be, and what grantObjectWish throws. */
export function begin(ctx: S3Ctx, bucket: Bucket, key: string, wish: BeginWish): Promise<Begun> {
  const { checksumAlgorithm } = wish
  const checksumType = checksumTypeOf(wish)
  return onBucket(ctx, bucket, async (now) => {
    authorize(ctx, { action: 's3:PutObject', bucket: now, key, ...tagsOf(wish.object) })
    const { properties, ownerId } = await grantObjectWish(ctx, now, key, wish.object)
    const { encryption } = sealingOf(ctx, now, wish.encryption)
    const uploadId = await store.insert(ctx.db, {
      bucket: now,
      key,
      accountId: ctx.caller?.accountId ?? now.accountId,
      ownerId,
      accessKeyId: ctx.caller?.accessKeyId ?? null,
      properties,
      checksumAlgorithm,
      checksumType,
      encryption,
    })
    return uploadId === undefined ? 'stale' : { uploadId, checksumAlgorithm, checksumType, encryption }
  })
}

const tagsOf = ({ tags }: ObjectWish) => (tags ? { requestTags: tags } : {})

/** S3 user guide, "Checking object integrity", "Full object and composite checksums". */
const TYPES: Record<ChecksumAlgorithm, readonly [usual: ChecksumType, ...others: ChecksumType[]]> = {
  CRC32: ['COMPOSITE', 'FULL_OBJECT'],
  CRC32C: ['COMPOSITE', 'FULL_OBJECT'],
  CRC64NVME: ['FULL_OBJECT'],
  SHA1: ['COMPOSITE'],
  SHA256: ['COMPOSITE'],
}

function checksumTypeOf({ checksumAlgorithm: algorithm, checksumType: type }: BeginWish): ChecksumType | null {
  if (algorithm === null) {
    if (type === null) return null
    throw new S3Error(
      'InvalidRequest',
      'The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.',
    )
  }
  if (type === null) return TYPES[algorithm][0]
  if (TYPES[algorithm].includes(type)) return type
  throw new S3Error(
    'InvalidRequest',
    `The ${type} checksum type cannot be used with the ${algorithm.toLowerCase()} checksum algorithm.`,
  )
}

/** Under way. Throws NoSuchUpload. */
export async function get(ctx: S3Ctx, bucket: Bucket, key: string, id: string): Promise<store.Upload> {
  const upload = await store.find(ctx.db, { bucketNumber: bucket.number, key, id })
  if (!upload || upload.outcome !== null) throw new S3Error('NoSuchUpload')
  return upload
}

/** Throws NoSuchUpload when there is none under way, and AccessDenied. */
export async function abort(ctx: S3Ctx, bucket: Bucket, key: string, id: string): Promise<void> {
  const ref = { bucketNumber: bucket.number, key, id }
  const upload = await store.find(ctx.db, ref)
  authorize(ctx, { action: 's3:AbortMultipartUpload', bucket, key, version: asVersion(upload) })
  if (!(await store.abort(ctx.db, ref))) throw new S3Error('NoSuchUpload')
}

export interface PartsPage {
  upload: store.Upload
  parts: store.Part[]
  isTruncated: boolean
}

/** Throws NoSuchUpload and AccessDenied. */
export async function listParts(
  ctx: S3Ctx,
  bucket: Bucket,
  key: string,
  { id, after, limit }: { id: string; after: number; limit: number },
): Promise<PartsPage> {
  const upload = await store.find(ctx.db, { bucketNumber: bucket.number, key, id })
  authorize(ctx, { action: 's3:ListMultipartUploadParts', bucket, key, version: asVersion(upload) })
  if (!upload || upload.outcome !== null) throw new S3Error('NoSuchUpload')
  const parts = limit === 0 ? [] : await store.parts(ctx.db, id, { after, limit: limit + 1 })
  return { upload, parts: parts.slice(0, limit), isTruncated: parts.length > limit }
}

/** Whoever began an upload may look at it and give it up. */
const asVersion = (upload: { accountId: AccountId } | undefined) =>
  upload ? { accountId: upload.accountId, acl: null, tags: {} } : null
