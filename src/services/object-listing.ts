/** Pages of a bucket: one entry more than asked for is read, so that "there is more" is known and never guessed. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Bucket } from '../model/bucket.ts'
import { S3Error } from '../model/s3-error.ts'
import * as listing from '../store/object-listing.ts'
import { seqOfVersionId } from '../store/version-ids.ts'
import type { S3Ctx } from './s3-ctx.ts'

export const LISTED_MAX = 1000 // S3 API reference, "max-keys", "max-uploads"

export interface ListingWish {
  prefix: string
  delimiter: string | null
  /** Behind this key; null = from the first. */
  afterKey: string | null
  /** Rows and common prefixes; 0 to LISTED_MAX. */
  limit: number
}

export interface Page<Row> {
  rows: Row[]
  commonPrefixes: string[]
  /** The last entry, when there are more behind it. */
  next: { key: string; row: Row | null } | null
}

export const objects = (ctx: S3Ctx, bucket: Bucket, wish: ListingWish): Promise<Page<listing.ListedVersion>> =>
  page(wish, (more) => listing.objects(ctx.db, { ...wish, ...more, bucketNumber: bucket.number }))

/** Throws InvalidArgument when the marker is no version's id. */
export function versions(
  ctx: S3Ctx,
  bucket: Bucket,
  wish: ListingWish & { afterVersionId: string | null },
): Promise<Page<listing.ListedVersion>> {
  if (wish.afterVersionId !== null && seqOfVersionId(wish.afterVersionId) === undefined) {
    throw new S3Error('InvalidArgument', 'Invalid version id specified', {
      elements: { ArgumentName: 'version-id-marker', ArgumentValue: wish.afterVersionId },
    })
  }
  return page(wish, (more) => listing.versions(ctx.db, { ...wish, ...more, bucketNumber: bucket.number }))
}

export const uploads = (
  ctx: S3Ctx,
  bucket: Bucket,
  wish: ListingWish & { afterUploadId: string | null },
): Promise<Page<listing.ListedUpload>> =>
  page(wish, (more) => listing.uploads(ctx.db, { ...wish, ...more, bucketNumber: bucket.number }))

async function page<Row extends { key: string }>(
  { limit }: ListingWish,
  read: (more: { entriesMax: number }) => Promise<listing.Entry<Row>[]>,
): Promise<Page<Row>> {
  if (limit === 0) return { rows: [], commonPrefixes: [], next: null }
  const entries = await read({ entriesMax: limit + 1 })
  const shown = entries.slice(0, limit)
  const last = shown.at(-1)
  return {
    rows: shown.flatMap(({ row }) => row ?? []),
    commonPrefixes: shown.flatMap(({ commonPrefix }) => commonPrefix ?? []),
    next: last && entries.length > limit ? { key: last.commonPrefix ?? last.row.key, row: last.row } : null,
  }
}

/** What a client sends back to go on behind `key`; of no use in another bucket, nor when a byte of it was changed. */
export function continuationToken(ctx: S3Ctx, bucket: Bucket, key: string): string {
  const bytes = Buffer.from(key)
  return Buffer.concat([sealOf(ctx, bucket, bytes), bytes]).toString('base64url')
}

/** The key in a token. Throws InvalidArgument for what is none of ours. */
export function keyOfToken(ctx: S3Ctx, bucket: Bucket, token: string): string {
  const bytes = Buffer.from(token, 'base64url')
  const [seal, key] = [bytes.subarray(0, SEAL_BYTES), bytes.subarray(SEAL_BYTES)]
  if (key.length > 0 && bytes.toString('base64url') === token && timingSafeEqual(seal, sealOf(ctx, bucket, key))) {
    return key.toString()
  }
  throw new S3Error('InvalidArgument', 'The continuation token provided is incorrect', {
    elements: { ArgumentName: 'continuation-token' },
  })
}

const SEAL_BYTES = 12
const sealOf = ({ settings }: S3Ctx, bucket: Bucket, key: Buffer): Buffer =>
  createHmac('sha256', settings.masterKey)
    .update(`continuation token of ${bucket.id}\n`)
    .update(key)
    .digest()
    .subarray(0, SEAL_BYTES)
