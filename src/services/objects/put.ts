/** PutObject: a body comes in, and a version of it is published. */
import type { Bucket } from '../../model/bucket.ts'
import {
  CHECKSUM_ALGORITHMS,
  type Checksum,
  type Encryption,
  INLINE_MAX_BYTES,
  type IncomingBody,
  NULL_VERSION,
  PUT_MAX_BYTES,
} from '../../model/object.ts'
import type { ObjectWish } from '../../model/object-wish.ts'
import { S3Error } from '../../model/s3-error.ts'
import * as usage from '../../store/object-usage.ts'
import * as versions from '../../store/object-versions.ts'
import type { NewBody, Preconditions } from '../../store/objects.ts'
import * as objects from '../../store/objects.ts'
import { authorize } from '../buckets/access.ts'
import { type EncryptionWish, sealingOf } from '../buckets/encryption.ts'
import { type ReceivedBody, receiveBody } from '../object-bodies/receive.ts'
import { grantObjectWish } from '../object-wishes.ts'
import { publishedOrThrow } from '../publishing.ts'
import type { S3Ctx } from '../s3-ctx.ts'
import { judgeWrite } from './conditions.ts'
import { etagOf } from './etag.ts'
import { onBucket } from './known-bucket.ts'

export interface PutRequest {
  wish: ObjectWish
  encryption: EncryptionWish
  preconditions: Preconditions
  /** Only touched when everything else is well: until then the client may still wait to send it. */
  body(): IncomingBody
}

export interface PutResult {
  /** Undefined where the bucket never made versions. */
  versionId: string | undefined
  etag: string
  checksum: Checksum | null
  sizeBytes: number
  encryption: Encryption | null
  modifiedAt: Date
}

/**
 * Throws AccessDenied and what grantObjectWish does; PreconditionFailed, NoSuchKey (If-Match), QuotaExceeded; and what
 * receiveBody throws. Either the version is published, or nothing is left of it.
 */
export async function put(ctx: S3Ctx, remembered: Bucket, key: string, request: PutRequest): Promise<PutResult> {
  const { wish, preconditions } = request
  const allow = (bucket: Bucket) => {
    authorize(ctx, { action: 's3:PutObject', bucket, key, ...(wish.tags ? { requestTags: wish.tags } : {}) })
    return grantObjectWish(ctx, bucket, key, wish)
  }
  const known = await onBucket(ctx, remembered, async (bucket) => {
    await allow(bucket)
    return (await judgeEarly(ctx, bucket, key, preconditions)) === 'stale' ? 'stale' : bucket
  })
  const { encryption, key: sealing } = sealingOf(ctx, known, request.encryption)
  const incoming = request.body()
  const left = await bytesLeft(ctx, known, key, incoming.sizeBytes)
  const received = await receiveBody(ctx, incoming, {
    maxBytes: PUT_MAX_BYTES,
    key: sealing,
    check: (sizeBytes) => refuseBeyond(left, sizeBytes),
  })
  const etag = etagOf(received, encryption)
  const checksum = givenChecksum(received)
  const { sizeBytes } = received
  const { published, versioning } = await keepOrDiscard(ctx, received, () =>
    onBucket(ctx, known, async (bucket) => {
      const { properties, ownerId } = await allow(bucket)
      const published = await objects.publish(ctx.db, {
        bucket,
        key,
        accountId: ownerId,
        sizeBytes,
        etag,
        checksum,
        encryption,
        properties,
        defaultRetention: bucket.settings.objectLock?.defaultRetention,
        body: bodyOf(received),
        preconditions,
      })
      const done = publishedOrThrow(published)
      return done === 'stale' ? 'stale' : { published: done, versioning: bucket.versioning }
    }),
  )
  const versionId = versioning === 'off' ? undefined : published.versionId
  return { versionId, etag, checksum, sizeBytes, encryption, modifiedAt: published.modifiedAt }
}

/**
 * Removes a blob that did not become part of anything. Not when the database did not say so: a commit whose answer was
 * lost may have happened, and then the blob is somebody's; the sweeper will know.
 */
export async function keepOrDiscard<T>(
  ctx: S3Ctx,
  { blob }: Pick<ReceivedBody, 'blob'>,
  publish: () => Promise<T>,
): Promise<T> {
  try {
    return await publish()
  } catch (error) {
    if (blob && objects.hasNotHappened(error)) {
      await ctx.objects.remove([blob.id]).catch((cause) => ctx.warn(`blob ${blob.id} is left for the sweeper`, cause))
    }
    throw error
  }
}

/** How publish wants what receiveBody gives. */
export function bodyOf({ inline, blob, md5, wrappedKey }: ReceivedBody): NewBody {
  if (inline) return { kind: 'inline', bytes: inline, wrappedKey }
  if (blob) return { kind: 'blob', blob: { ...blob, md5, wrappedKey } }
  throw new Error('a body was received and is nowhere')
}

function givenChecksum({ checksums }: ReceivedBody): Checksum | null {
  const algorithm = CHECKSUM_ALGORITHMS.find((name) => checksums[name] !== undefined)
  return algorithm ? { algorithm, type: 'FULL_OBJECT', value: checksums[algorithm]!.toString('base64') } : null
}

async function judgeEarly(
  ctx: S3Ctx,
  bucket: Bucket,
  key: string,
  preconditions: Preconditions,
): Promise<'stale' | 'go on'> {
  if (!preconditions.ifMatch && !preconditions.ifNoneMatch) return 'go on'
  const latest = await versions.find(ctx.db, { bucket, key })
  if (latest === 'stale') return 'stale'
  const verdict = judgeWrite(preconditions, latest && !latest.isDeleteMarker ? latest : null)
  if (verdict === 'no_such_key') throw new S3Error('NoSuchKey')
  if (verdict !== 'go on') throw new S3Error('PreconditionFailed', undefined, { elements: { Condition: verdict } })
  return 'go on'
}

/**
 * What there is room for, so that a body that will be refused is not taken in first; publishing decides. What it
 * replaces makes room. Null = nothing to look at while the body comes.
 */
async function bytesLeft(ctx: S3Ctx, bucket: Bucket, key: string, sizeBytes: number | null): Promise<number | null> {
  if (sizeBytes !== null && sizeBytes <= INLINE_MAX_BYTES) return null
  const left = await usage.bytesLeft(ctx.db, bucket.accountId)
  if (left === null || (sizeBytes !== null && sizeBytes <= left)) return null
  const version = { id: NULL_VERSION, seq: null }
  const replaced = bucket.versioning === 'enabled' ? null : await versions.find(ctx.db, { bucket, key, version })
  const room = left + (replaced && replaced !== 'stale' ? replaced.sizeBytes : 0)
  refuseBeyond(room, sizeBytes ?? 0)
  return room
}

function refuseBeyond(left: number | null, sizeBytes: number): void {
  if (left !== null && sizeBytes > left) throw new S3Error('QuotaExceeded')
}
