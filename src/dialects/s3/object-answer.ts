/** What an answer says about a version besides its bytes. */
import { expirationHeader } from '../../model/lifecycle.ts'
import type { Checksum, ObjectVersion } from '../../model/object.ts'
import type { S3Action } from '../../model/s3-action.ts'
import { S3Error } from '../../model/s3-error.ts'
import { isAllowed } from '../../services/buckets/access.ts'
import type { Reading } from '../../services/objects/read.ts'
import { checksumHeader } from './checksum-headers.ts'
import { encryptionHeaders } from './encryption-headers.ts'
import type { ObjectCall } from './operation.ts'
import { versionHeader } from './version.ts'

type Headers = Record<string, string | undefined>

/** Of GetObject and HeadObject. */
export function readingHeaders(call: ObjectCall, { version, bucket, range, partsCount }: Reading): Headers {
  const { sizeBytes, storageClass, tags } = version
  const tagCount = Object.keys(tags).length
  const isWhole = range === null
  const wantsChecksum = call.header('x-amz-checksum-mode')?.toUpperCase() === 'ENABLED'
  return {
    'accept-ranges': 'bytes',
    'last-modified': version.modifiedAt.toUTCString(),
    etag: `"${version.etag}"`,
    ...metadataHeaders(version),
    ...version.headers,
    ...overrides(call),
    ...versionHeader(bucket, version.versionId),
    ...encryptionHeaders(version.encryption),
    ...lockHeaders(call, version),
    'x-amz-expiration': version.isLatest ? expirationHeader(bucket.settings.lifecycle ?? [], version) : undefined,
    'x-amz-storage-class': storageClass === 'STANDARD' ? undefined : storageClass,
    'x-amz-tagging-count': tagCount === 0 ? undefined : String(tagCount),
    'x-amz-mp-parts-count': partsCount === null ? undefined : String(partsCount),
    'content-range': range ? `bytes ${range.start}-${range.start + range.length - 1}/${sizeBytes}` : undefined,
    // Of a range clients would compare it with what they got (S3 user guide, "Checking object integrity").
    ...(isWhole && wantsChecksum ? checksumHeaders(version.checksum) : {}),
  }
}

export const checksumHeaders = (checksum: Checksum | null): Headers =>
  checksum ? { [checksumHeader(checksum.algorithm)]: checksum.value, 'x-amz-checksum-type': checksum.type } : {}

const metadataHeaders = ({ metadata }: ObjectVersion): Headers =>
  Object.fromEntries(Object.entries(metadata).map(([name, value]) => [`x-amz-meta-${name}`, value]))

/** Each is only shown to whom may ask for it (S3 API, "GetObject"). */
function lockHeaders({ ctx, bucket, key }: ObjectCall, version: ObjectVersion): Headers {
  const may = (action: S3Action) => isAllowed(ctx, { action, bucket, key, version })
  const { retention, legalHold } = version
  return {
    ...(retention && may('s3:GetObjectRetention')
      ? {
          'x-amz-object-lock-mode': retention.mode,
          'x-amz-object-lock-retain-until-date': retention.until.toISOString(),
        }
      : {}),
    ...(legalHold && may('s3:GetObjectLegalHold') ? { 'x-amz-object-lock-legal-hold': 'ON' } : {}),
  }
}

const OVERRIDABLE = [
  'content-type',
  'content-language',
  'expires',
  'cache-control',
  'content-disposition',
  'content-encoding',
] as const

/** `response-content-type` and the like. Whoever is unknown could make any file of a bucket into any other thing. */
function overrides({ ctx, query }: ObjectCall): Headers {
  const headers: Headers = {}
  for (const name of OVERRIDABLE) {
    const value = query(`response-${name}`)
    if (value === undefined) continue
    if (ctx.caller === null) {
      throw new S3Error(
        'InvalidRequest',
        'Request specific response headers cannot be used for anonymous GET requests.',
      )
    }
    const bytes = Buffer.from(value).toString('latin1')
    if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(bytes)) {
      throw new S3Error('InvalidArgument', undefined, { elements: { ArgumentName: `response-${name}` } })
    }
    headers[name] = bytes
  }
  return headers
}
