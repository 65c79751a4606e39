/**
 * CopyObject. A copy names the bytes that are there already; they are read only for a checksum that nobody knows yet,
 * and moved only to be encrypted otherwise.
 */
import type { Bucket } from '../../model/bucket.ts'
import {
  type Checksum,
  type ChecksumAlgorithm,
  type Encryption,
  type ObjectPart,
  PUT_MAX_BYTES,
} from '../../model/object.ts'
import type { ObjectWish } from '../../model/object-wish.ts'
import { S3Error } from '../../model/s3-error.ts'
import * as versions from '../../store/object-versions.ts'
import { isForeignKeyViolation, type NewBody, type Preconditions, publish } from '../../store/objects.ts'
import { authorize } from '../buckets/access.ts'
import { type EncryptionWish, type Sealing, sealingOf } from '../buckets/encryption.ts'
import type { StoredBody } from '../object-bodies/read.ts'
import type { ReceivedBody } from '../object-bodies/receive.ts'
import { grantObjectWish } from '../object-wishes.ts'
import { etagOf } from '../objects/etag.ts'
import { onBucket } from '../objects/known-bucket.ts'
import { bodyOf, keepOrDiscard } from '../objects/put.ts'
import { publishedOrThrow } from '../publishing.ts'
import type { S3Ctx } from '../s3-ctx.ts'
import { digestBytes, moveBytes } from './bytes.ts'
import { bodyOfSource, isSharable, openSource, type Source, type SourceWish } from './source.ts'

type Directive = 'COPY' | 'REPLACE'

export interface CopyWish {
  source: SourceWish
  /** What the request's own headers say. */
  object: ObjectWish
  metadataDirective: Directive
  taggingDirective: Directive
  encryption: EncryptionWish
  /** Asked for; undefined = whatever the source has. */
  checksumAlgorithm: ChecksumAlgorithm | undefined
  preconditions: Preconditions
}

export interface Copied {
  etag: string
  checksum: Checksum | null
  encryption: Encryption | null
  modifiedAt: Date
  /** Undefined where the bucket never made versions. */
  versionId: string | undefined
  sourceVersionId: string | undefined
}

const OVERTAKEN_MAX = 8 // a source that is replaced between two queries so many times in a row

/** Throws what openSource, grantObjectWish and asPublished throw; InvalidRequest when it is too large or changes nothing. */
export async function copy(ctx: S3Ctx, bucket: Bucket, key: string, wish: CopyWish): Promise<Copied> {
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
async function attempt(ctx: S3Ctx, remembered: Bucket, key: string, wish: CopyWish): Promise<Copied | null> {
  const source = await openSource(ctx, wish.source)
  const { version } = source
  refuseTooLarge(version.sizeBytes)
  const object = wishFor(source, wish)
  const allow = (bucket: Bucket) => {
    authorize(ctx, { action: 's3:PutObject', bucket, key, ...(object.tags ? { requestTags: object.tags } : {}) })
    return grantObjectWish(ctx, bucket, key, object)
  }
  const target = await onBucket(ctx, remembered, async (bucket) => {
    await allow(bucket)
    return bucket
  })
  refuseSame(source, target, key, wish)
  const stored = await bodyOfSource(ctx, source, { start: 0, length: version.sizeBytes })
  const parts = version.partCount === null ? [] : await versions.parts(ctx.db, version)
  if (!stored || !parts) return null
  const made = await make(ctx, { source, stored, parts }, { ...wish, target })
  const publishing = () =>
    onBucket(ctx, target, async (bucket) => {
      const { properties, ownerId } = await allow(bucket)
      const published = publishedOrThrow(
        await publish(ctx.db, {
          bucket,
          key,
          accountId: ownerId,
          sizeBytes: version.sizeBytes,
          etag: made.etag,
          checksum: made.checksum,
          encryption: made.encryption,
          properties,
          defaultRetention: bucket.settings.objectLock?.defaultRetention,
          ...(made.parts ? { parts: made.parts } : {}),
          body: made.body,
          preconditions: wish.preconditions,
        }),
      )
      return published === 'stale' ? 'stale' : { ...published, hasVersions: bucket.versioning !== 'off' }
    })
  try {
    const published = await (made.received ? keepOrDiscard(ctx, made.received, publishing) : publishing())
    return {
      etag: made.etag,
      checksum: made.checksum,
      encryption: made.encryption,
      modifiedAt: published.modifiedAt,
      versionId: published.hasVersions ? published.versionId : undefined,
      sourceVersionId: source.bucket.versioning === 'off' ? undefined : version.versionId,
    }
  } catch (error) {
    if (isForeignKeyViolation(error)) return null // the sweeper took a blob that nothing pointed at any more
    throw error
  }
}

export function refuseTooLarge(sizeBytes: number): void {
  if (sizeBytes <= PUT_MAX_BYTES) return
  throw new S3Error(
    'InvalidRequest',
    `The specified copy source is larger than the maximum allowable size for a copy source: ${PUT_MAX_BYTES}`,
  )
}

/** The storage class and where a website redirects to are never copied (S3 API reference, "CopyObject"). */
function wishFor({ version }: Source, { object, metadataDirective, taggingDirective }: CopyWish): ObjectWish {
  const redirect = 'x-amz-website-redirect-location'
  const { [redirect]: _, ...headers } = version.headers
  const isNew = object.headers[redirect] === undefined ? {} : { [redirect]: object.headers[redirect] }
  const hasTags = Object.keys(version.tags).length > 0
  return {
    ...object,
    ...(metadataDirective === 'COPY' ? { headers: { ...headers, ...isNew }, metadata: version.metadata } : {}),
    ...(taggingDirective === 'COPY' ? { tags: hasTags ? version.tags : undefined } : {}),
  }
}

function refuseSame({ version, bucket }: Source, target: Bucket, key: string, wish: CopyWish): void {
  const { source, object, metadataDirective, taggingDirective, encryption, checksumAlgorithm } = wish
  const isSame =
    bucket.number === target.number &&
    version.key === key &&
    source.versionId === undefined &&
    metadataDirective === 'COPY' &&
    taggingDirective === 'COPY' &&
    object.storageClass === version.storageClass &&
    object.headers['x-amz-website-redirect-location'] === undefined &&
    encryption === undefined &&
    (checksumAlgorithm === undefined || checksumAlgorithm === version.checksum?.algorithm)
  if (!isSame) return
  throw new S3Error(
    'InvalidRequest',
    "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
  )
}

interface Made {
  body: NewBody
  etag: string
  checksum: Checksum | null
  encryption: Encryption | null
  parts: readonly ObjectPart[] | null
  /** The bytes that were made for it, if any. */
  received: ReceivedBody | null
}

async function make(
  ctx: S3Ctx,
  { source, stored, parts }: { source: Source; stored: StoredBody; parts: readonly ObjectPart[] },
  wish: CopyWish & { target: Bucket },
): Promise<Made> {
  const { version, key } = source
  const bytes = { body: stored, range: { start: 0, length: version.sizeBytes }, key }
  const sealing = sealingFor(ctx, source, wish)
  const algorithm = wish.checksumAlgorithm ?? version.checksum?.algorithm
  const customerKey = wish.encryption?.by === 'customer' ? wish.encryption.key : undefined
  if (!isSharable(version.encryption, sealing.encryption, customerKey)) {
    const received = await moveBytes(ctx, bytes, { key: sealing.key, checksums: algorithm ? [algorithm] : [] })
    const value = algorithm && received.checksums[algorithm]
    return {
      body: bodyOf(received),
      etag: etagOf(received, sealing.encryption),
      checksum: algorithm && value ? fullObject(algorithm, value) : null,
      encryption: sealing.encryption,
      parts: null,
      received,
    }
  }
  const isKnown = algorithm === version.checksum?.algorithm
  const checksum =
    isKnown || !algorithm
      ? version.checksum
      : fullObject(algorithm, (await digestBytes(ctx, bytes, algorithm)).checksum)
  return {
    body:
      'inline' in stored
        ? { kind: 'inline', bytes: stored.inline, wrappedKey: stored.wrappedKey }
        : { kind: 'segments', segments: stored.segments },
    etag: version.etag,
    checksum,
    encryption: version.encryption,
    parts: version.partCount === null ? null : isKnown ? parts : parts.map((part) => ({ ...part, checksum: null })),
    received: null,
  }
}

/** What is encrypted stays so where nobody asks for anything else. */
function sealingFor(ctx: S3Ctx, { version }: Source, wish: CopyWish & { target: Bucket }): Sealing {
  const isKept = wish.encryption === undefined && version.encryption?.by === 'master'
  return sealingOf(ctx, wish.target, isKept ? { by: 'master' } : wish.encryption)
}

const fullObject = (algorithm: ChecksumAlgorithm, value: Buffer): Checksum => ({
  algorithm,
  type: 'FULL_OBJECT',
  value: value.toString('base64'),
})
