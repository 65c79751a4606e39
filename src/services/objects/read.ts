/** Reading: GetObject and HeadObject, and what else must find a version that the caller may see. */
import type { Writable } from 'node:stream'
import type { Bucket } from '../../model/bucket.ts'
import type { ObjectVersion } from '../../model/object.ts'
import type { S3Action } from '../../model/s3-action.ts'
import { S3Error } from '../../model/s3-error.ts'
import * as bodies from '../../store/bodies.ts'
import * as versions from '../../store/object-versions.ts'
import { seqOfVersionId } from '../../store/version-ids.ts'
import { authorize, isAllowed } from '../buckets/access.ts'
import { bodyKeyOf } from '../buckets/encryption.ts'
import type { BodyKey } from '../object-bodies/encryption.ts'
import { inlineBytes } from '../object-bodies/read.ts'
import { type OpenBody, openBody, type Sending } from '../object-bodies/send.ts'
import type { S3Ctx } from '../s3-ctx.ts'
import { judgeRead, type ReadConditions, rangeStillHolds } from './conditions.ts'
import { onBucket } from './known-bucket.ts'
import { type Range, rangeOf, rangeOfPart } from './ranges.ts'

export interface Place {
  /** As remembered. */
  bucket: Bucket
  key: string
  /** As the client wrote it; undefined = the latest. */
  versionId?: string | undefined
}

/** The actions that reading wants: without a version's id, and with one. */
export type ReadActions = readonly [latest: S3Action, byId: S3Action]
const GET: ReadActions = ['s3:GetObject', 's3:GetObjectVersion']

/**
 * A version that the caller may see, and the bucket as it was then. Throws NoSuchKey, NoSuchVersion, MethodNotAllowed
 * (a delete marker, by its id), AccessDenied, InvalidArgument (no version's id).
 */
export async function findReadable(
  ctx: S3Ctx,
  { bucket: remembered, key, versionId }: Place,
  actions: ReadActions = GET,
  withBody = false,
): Promise<{ version: ObjectVersion; bucket: Bucket }> {
  const wanted = wantedVersion(versionId)
  return onBucket(ctx, remembered, async (bucket) => {
    const version = await versions.find(ctx.db, { bucket, key, version: wanted, withBody })
    if (version === 'stale') return 'stale'
    const action = actions[wanted ? 1 : 0]
    if (!version) throw missing(ctx, bucket, { action, key, isById: wanted !== undefined })
    authorize(ctx, { action, bucket, key, version: version.isDeleteMarker ? null : version })
    if (version.isDeleteMarker) throw markerFound(version, wanted !== undefined)
    return { version, bucket }
  })
}

/** Throws InvalidArgument. */
export function wantedVersion(versionId: string | undefined): { id: string; seq: number | null } | undefined {
  if (versionId === undefined) return undefined
  const seq = seqOfVersionId(versionId)
  if (seq !== undefined) return { id: versionId, seq }
  throw new S3Error('InvalidArgument', 'Invalid version id specified', {
    elements: { ArgumentName: 'versionId', ArgumentValue: versionId },
  })
}

/** That it is not there is told only to whom a listing would tell as well. */
function missing(
  ctx: S3Ctx,
  bucket: Bucket,
  { action, key, isById }: { action: S3Action; key: string; isById: boolean },
): S3Error {
  const list = isById ? 's3:ListBucketVersions' : 's3:ListBucket'
  const mayKnow =
    isAllowed(ctx, { action: list, bucket, key: null }) ||
    isAllowed(ctx, { action: 's3:ListBucket', bucket, key: null })
  if (!mayKnow) {
    authorize(ctx, { action, bucket, key })
    return new S3Error('AccessDenied')
  }
  return isById
    ? new S3Error('NoSuchVersion', undefined, { elements: { Key: key } })
    : new S3Error('NoSuchKey', undefined, { elements: { Key: key } })
}

function markerFound({ key, versionId, modifiedAt }: ObjectVersion, isById: boolean): S3Error {
  const headers = { 'x-amz-delete-marker': 'true', 'x-amz-version-id': versionId }
  return isById
    ? new S3Error('MethodNotAllowed', undefined, {
        elements: { Method: 'GET', ResourceType: 'DeleteMarker' },
        headers: { ...headers, allow: 'DELETE', 'last-modified': modifiedAt.toUTCString() },
      })
    : new S3Error('NoSuchKey', undefined, { elements: { Key: key }, headers })
}

export interface ReadRequest {
  conditions: ReadConditions
  range?: string | undefined
  ifRange?: string | undefined
  /** 1..10,000. */
  partNumber?: number | undefined
  customerKey: Buffer | undefined
  /** HEAD: what the body would be, without it. */
  withoutBody?: boolean
}

export interface Reading {
  version: ObjectVersion
  bucket: Bucket
  /** Null: all of it was asked for. */
  range: Range | null
  /** When a part was asked for. */
  partsCount: number | null
  lengthBytes: number
  /** What is in memory already, or who sends it. That also ends what keeps the bytes from being removed. */
  body: Buffer | ((target: Writable, signal: AbortSignal) => Promise<void>)
  /** For whoever does not send the body. */
  cancel(): Promise<void>
}

const OVERTAKEN_MAX = 8 // a reader whose object is replaced between two queries so many times in a row

/**
 * Throws as findReadable, and PreconditionFailed, NotModified, InvalidRange, InvalidPartNumber, InvalidRequest. When
 * it returns, the first bytes of the body have been read: what is missing is an error, never a body cut short.
 */
export async function read(ctx: S3Ctx, place: Place, request: ReadRequest): Promise<Reading> {
  // From before its row is read: what is released later stays until this is over.
  const done = request.withoutBody ? () => {} : ctx.reading()
  try {
    for (let tries = 0; tries < OVERTAKEN_MAX; tries++) {
      const reading = await tryReading(ctx, place, request, done)
      if (reading) return reading
    }
    throw new S3Error('OperationAborted')
  } catch (error) {
    done()
    throw error
  }
}

/** Null: the version was replaced while it was looked at. */
async function tryReading(ctx: S3Ctx, place: Place, request: ReadRequest, done: () => void): Promise<Reading | null> {
  const { version, bucket } = await findReadable(ctx, place, GET, !request.withoutBody)
  const key = bodyKeyOf(ctx, version.encryption, request.customerKey)
  refuseByConditions(version, request.conditions, bucket.versioning !== 'off')
  const choice = await chooseRange(ctx, version, request)
  if (!choice) return null
  const { start, length } = choice.range ?? { start: 0, length: version.sizeBytes }
  const sending = request.withoutBody ? null : await sendingOf(ctx, version, { start, length }, key)
  if (sending === 'gone') return null
  const about = { ...choice, version, bucket, lengthBytes: length }
  if (sending && 'inline' in sending.body) {
    done()
    return { ...about, body: inlineBytes(sending.body, sending.range, key), async cancel() {} }
  }
  const body = sending && length > 0 ? await openOrWarn(ctx, version, sending) : null
  return {
    ...about,
    async cancel() {
      await body?.close()
      done()
    },
    async body(target, signal) {
      try {
        await body?.sendTo(target, signal)
      } catch (error) {
        if (!signal.aborted) ctx.warn(`cannot send the rest of ${nameOf(version)}`, error)
        throw error
      } finally {
        done()
      }
    },
  }
}

async function openOrWarn(ctx: S3Ctx, version: ObjectVersion, sending: Sending): Promise<OpenBody> {
  try {
    return await openBody(ctx.objects, sending)
  } catch (error) {
    ctx.warn(`cannot read ${nameOf(version)}`, error)
    throw error
  }
}

const nameOf = ({ seq, bucketNumber }: ObjectVersion): string => `version ${seq} in bucket ${bucketNumber}`

async function sendingOf(
  ctx: S3Ctx,
  version: ObjectVersion,
  range: Range,
  key: BodyKey | null,
): Promise<Sending | 'gone'> {
  const { inlineBody: inline, inlineKey: wrappedKey, seq } = version
  if (inline) return { body: { inline, wrappedKey }, range, key }
  const { start, length } = range
  if (length === 0) return { body: { segments: [] }, range, key }
  const segments = await bodies.segments(ctx.db, seq, start, length)
  if (segments.reduce((sum, segment) => sum + segment.length, 0) === length) {
    return { body: { segments }, range: { start: 0, length }, key }
  }
  if (!(await versions.isThere(ctx.db, version))) return 'gone'
  throw new Error(`the body of ${nameOf(version)} is not whole`)
}

function refuseByConditions(version: ObjectVersion, conditions: ReadConditions, hasVersions: boolean): void {
  const verdict = judgeRead(conditions, version)
  if (verdict === 'go on') return
  if (verdict !== 'not modified') {
    throw new S3Error('PreconditionFailed', undefined, { elements: { Condition: verdict.failed } })
  }
  const cacheControl = version.headers['cache-control']
  throw new S3Error('NotModified', undefined, {
    headers: {
      etag: `"${version.etag}"`,
      'last-modified': version.modifiedAt.toUTCString(),
      ...(cacheControl === undefined ? {} : { 'cache-control': cacheControl }),
      ...(hasVersions ? { 'x-amz-version-id': version.versionId } : {}),
    },
  })
}

async function chooseRange(
  ctx: S3Ctx,
  version: ObjectVersion,
  { range, ifRange, partNumber }: ReadRequest,
): Promise<{ range: Range | null; partsCount: number | null } | null> {
  if (partNumber === undefined) {
    return {
      range: rangeStillHolds(ifRange, version) ? rangeOf(range, version.sizeBytes) : null,
      partsCount: null,
    }
  }
  if (range !== undefined) {
    throw new S3Error('InvalidRequest', 'Cannot specify both Range header and partNumber query parameter')
  }
  if (version.partCount === null) {
    rangeOfPart([{ number: 1, sizeBytes: version.sizeBytes }], partNumber) // throws for any other
    return { range: null, partsCount: null }
  }
  const parts = await versions.parts(ctx.db, version)
  if (!parts) return null
  const part = rangeOfPart(parts, partNumber)
  // An empty part is all of an empty object, and there is no Content-Range for nothing.
  return { range: part.length === 0 ? null : part, partsCount: version.partCount }
}
