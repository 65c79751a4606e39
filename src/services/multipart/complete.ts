/**
 * Makes the object of an upload's parts. Only rows move, in one transaction under the upload's lock: of several who
 * complete it one publishes, and whoever asks again with the same parts, because the answer got lost, is told the same.
 */
import { createHash } from 'node:crypto'
import type { Bucket } from '../../model/bucket.ts'
import {
  type Checksum,
  type ChecksumAlgorithm,
  type ChecksumType,
  type Encryption,
  OBJECT_MAX_BYTES,
  PART_MIN_BYTES,
  PARTS_MAX,
} from '../../model/object.ts'
import { S3Error } from '../../model/s3-error.ts'
import { now } from '../../store/db.ts'
import * as store from '../../store/multipart.ts'
import { type Preconditions, publish } from '../../store/objects.ts'
import { authorize } from '../buckets/access.ts'
import { onBucket } from '../objects/known-bucket.ts'
import { publishedOrThrow } from '../publishing.ts'
import type { S3Ctx } from '../s3-ctx.ts'
import { combinedChecksum, combinedEtag } from './combine.ts'

export interface ListedPart {
  number: number
  /** Without quotes. */
  etag: string
  /** Base64. */
  checksums: Partial<Record<ChecksumAlgorithm, string>>
}

export interface CompleteWish {
  uploadId: string
  /** At least one. */
  parts: readonly ListedPart[]
  preconditions: Preconditions
  /** What the client says the object is; undefined = nothing. */
  claims: {
    checksum: { algorithm: ChecksumAlgorithm; value: string } | undefined
    checksumType: ChecksumType | undefined
    sizeBytes: number | undefined
  }
}

export interface Completed {
  etag: string
  checksum: Checksum | null
  encryption: Encryption | null
  /** Null in a bucket that never made versions. */
  versionId: string | null
}
interface Outcome extends Completed {
  /** Of the list of parts. */
  digest: string
}

/** Throws NoSuchUpload, InvalidPartOrder, InvalidPart, EntityTooSmall, PreconditionFailed, BadDigest, QuotaExceeded … */
export async function complete(ctx: S3Ctx, bucket: Bucket, key: string, wish: CompleteWish): Promise<Completed> {
  const { parts, uploadId } = wish
  if (parts.some(({ number }, index) => index > 0 && number <= (parts[index - 1] as ListedPart).number)) {
    throw new S3Error('InvalidPartOrder', undefined, { elements: { UploadId: uploadId } })
  }
  return onBucket(ctx, bucket, (current) => {
    authorize(ctx, { action: 's3:PutObject', bucket: current, key })
    return attempt(ctx, current, key, wish)
  })
}

async function attempt(ctx: S3Ctx, bucket: Bucket, key: string, wish: CompleteWish): Promise<Completed | 'stale'> {
  const { uploadId, preconditions } = wish
  const digest = digestOfList(wish.parts)
  return ctx.db.transaction().execute(async (tx) => {
    const upload = await store.lock(tx, { bucketNumber: bucket.number, key, id: uploadId })
    if (!upload) throw new S3Error('NoSuchUpload')
    if (upload.outcome !== null) {
      const outcome = upload.outcome as Outcome
      if (outcome.digest !== digest) throw new S3Error('NoSuchUpload')
      return outcome
    }
    const all = await store.parts(tx, uploadId, { after: 0, limit: PARTS_MAX })
    const parts = choose(all, wish)
    const sizeBytes = sum(parts)
    const etag = combinedEtag(parts.map(({ md5 }) => md5))
    const checksum = checksumOf(upload, parts)
    compareClaims(wish, { sizeBytes, checksum, upload })
    // A day that passed while the parts came in protects nothing any more, and must not keep them from becoming one.
    const { retention } = upload.properties
    const isOver = retention !== null && retention.until <= (await now(tx))
    const published = publishedOrThrow(
      await publish(tx, {
        bucket,
        key,
        accountId: upload.ownerId,
        sizeBytes,
        etag,
        checksum,
        encryption: upload.encryption,
        properties: isOver ? { ...upload.properties, retention: null } : upload.properties,
        defaultRetention: isOver ? undefined : bucket.settings.objectLock?.defaultRetention,
        parts: parts.map((part) => ({
          number: part.number,
          sizeBytes: part.sizeBytes,
          checksum: checksum && part.checksum ? part.checksum.value : null,
        })),
        body: { kind: 'segments', segments: [] },
        preconditions,
        uploadBytes: sum(all),
      }),
    )
    if (published === 'stale') return 'stale'
    const versionId = bucket.versioning === 'off' ? null : published.versionId
    const outcome: Outcome = { digest, etag, checksum, encryption: upload.encryption, versionId }
    await store.finish(tx, { uploadId, seq: published.seq, numbers: parts.map(({ number }) => number), outcome })
    return outcome
  })
}

const digestOfList = (parts: readonly ListedPart[]) =>
  createHash('sha256')
    .update(parts.map(({ number, etag }) => `${number} ${etag}\n`).join(''))
    .digest('base64')

const sum = (parts: readonly store.Part[]) => parts.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0)

/** The parts that are listed, which must be the ones that are there. */
function choose(all: readonly store.Part[], { uploadId, parts: listed }: CompleteWish): store.Part[] {
  const byNumber = new Map(all.map((part) => [part.number, part]))
  return listed.map(({ number, etag, checksums }, index) => {
    const part = byNumber.get(number)
    if (!part || part.etag !== etag || !sameChecksums(part, checksums)) {
      const elements = { UploadId: uploadId, PartNumber: String(number), ETag: etag }
      throw new S3Error('InvalidPart', undefined, { elements })
    }
    if (index < listed.length - 1 && part.sizeBytes < PART_MIN_BYTES) {
      const elements = {
        ProposedSize: String(part.sizeBytes),
        MinSizeAllowed: String(PART_MIN_BYTES),
        PartNumber: String(number),
        ETag: etag,
      }
      throw new S3Error('EntityTooSmall', undefined, { elements })
    }
    return part
  })
}

const sameChecksums = ({ checksum }: store.Part, given: ListedPart['checksums']): boolean =>
  Object.entries(given).every(([algorithm, value]) => algorithm === checksum?.algorithm && value === checksum.value)

function checksumOf({ checksumAlgorithm, checksumType }: store.Upload, parts: readonly store.Part[]): Checksum | null {
  if (checksumAlgorithm === null || checksumType === null) return null
  const known = parts.map(({ checksum, sizeBytes }) => {
    if (checksum?.algorithm !== checksumAlgorithm) throw new Error(`a part has no ${checksumAlgorithm}`)
    return { checksum: Buffer.from(checksum.value, 'base64'), sizeBytes }
  })
  return combinedChecksum(checksumAlgorithm, checksumType, known)
}

function compareClaims(
  { claims }: CompleteWish,
  { sizeBytes, checksum, upload }: { sizeBytes: number; checksum: Checksum | null; upload: store.Upload },
): void {
  if (sizeBytes > OBJECT_MAX_BYTES) {
    const elements = { ProposedSize: String(sizeBytes), MaxSizeAllowed: String(OBJECT_MAX_BYTES) }
    throw new S3Error('EntityTooLarge', undefined, { elements })
  }
  if (claims.sizeBytes !== undefined && claims.sizeBytes !== sizeBytes) {
    throw new S3Error(
      'InvalidRequest',
      `The provided 'x-amz-mp-object-size' header value ${claims.sizeBytes} does not match what was computed: ${sizeBytes}`,
    )
  }
  if (claims.checksumType !== undefined && claims.checksumType !== upload.checksumType) {
    throw new S3Error('InvalidRequest', 'The upload was created using another checksum type than the one given.')
  }
  if (!claims.checksum) return
  if (claims.checksum.algorithm !== checksum?.algorithm) {
    throw new S3Error('InvalidRequest', 'The upload was created using another checksum algorithm than the one given.')
  }
  // The number of parts behind a composite value may be left out.
  if (claims.checksum.value !== checksum.value && claims.checksum.value !== checksum.value.replace(/-\d+$/, '')) {
    throw new S3Error('BadDigest', `The ${checksum.algorithm} you specified did not match the calculated checksum.`)
  }
}
