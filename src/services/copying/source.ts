/** What is copied: found, allowed, as the client expects it, and with the key that opens it. */
import type { Bucket } from '../../model/bucket.ts'
import type { Encryption, ObjectVersion } from '../../model/object.ts'
import { S3Error } from '../../model/s3-error.ts'
import * as bodies from '../../store/bodies.ts'
import { bodyKeyOf } from '../buckets/encryption.ts'
import { refuseOtherOwner } from '../buckets/owners.ts'
import { type BodyKey, isCustomerKey } from '../object-bodies/encryption.ts'
import type { ByteRange, StoredBody } from '../object-bodies/read.ts'
import { judgeRead, type ReadConditions } from '../objects/conditions.ts'
import { findReadable } from '../objects/read.ts'
import type { S3Ctx } from '../s3-ctx.ts'

export interface SourceWish {
  bucketName: string
  key: string
  versionId: string | undefined
  conditions: ReadConditions
  customerKey: Buffer | undefined
  /** Whose the client says the bucket is, by any of its ids; undefined = it does not say. */
  expectedOwner: string | undefined
}

export interface Source {
  version: ObjectVersion
  bucket: Bucket
  /** Opens it; null when it is not encrypted. */
  key: BodyKey | null
}

/** Throws as findReadable does; PreconditionFailed; InvalidRequest for a delete marker. */
export async function openSource(ctx: S3Ctx, wish: SourceWish): Promise<Source> {
  const { key, versionId } = wish
  const remembered = await ctx.buckets.get(wish.bucketName)
  await refuseOtherOwner(ctx, remembered, wish.expectedOwner)
  const { version, bucket } = await findReadable(ctx, { bucket: remembered, key, versionId }, undefined, true).catch(
    (error) => {
      throw error instanceof S3Error && error.s3Code === 'MethodNotAllowed' ? isMarker() : error
    },
  )
  const verdict = judgeRead(wish.conditions, version)
  if (verdict !== 'go on') {
    const { ifNoneMatch } = wish.conditions
    const notModified = ifNoneMatch === undefined ? 'If-Modified-Since' : 'If-None-Match'
    const condition = verdict === 'not modified' ? notModified : verdict.failed
    throw new S3Error('PreconditionFailed', undefined, { elements: { Condition: `x-amz-copy-source-${condition}` } })
  }
  return { version, bucket, key: bodyKeyOf(ctx, version.encryption, wish.customerKey) }
}

const isMarker = () =>
  new S3Error(
    'InvalidRequest',
    'The source of a copy request may not specifically refer to a delete marker by version id.',
  )

/** Where a range of it lies; null when the version was removed in the meantime. */
export async function bodyOfSource(ctx: S3Ctx, { version }: Source, range: ByteRange): Promise<StoredBody | null> {
  if (version.inlineBody) return { inline: version.inlineBody, wrappedKey: version.inlineKey }
  if (range.length === 0) return { segments: [] }
  const segments = await bodies.segments(ctx.db, version.seq, range.start, range.length)
  const found = segments.reduce((sum, { length }) => sum + length, 0)
  return found === range.length ? { segments } : null
}

/** Whether bytes that are encrypted like this can be the bytes of what is encrypted like that, as they lie there. */
export function isSharable(
  source: Encryption | null,
  target: Encryption | null,
  customerKey: Buffer | undefined,
): boolean {
  if (source?.by !== target?.by) return false
  // Data keys are wrapped by the customer's key itself, so it has to be the same one.
  return source?.by !== 'customer' || (customerKey !== undefined && isCustomerKey(source, customerKey))
}
