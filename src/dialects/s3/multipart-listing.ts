/** ListParts and ListMultipartUploads (S3 API reference). */

import { ownersOf } from '../../services/buckets/owners.ts'
import * as uploads from '../../services/multipart/uploads.ts'
import * as listing from '../../services/object-listing.ts'
import { commonPrefixes, ownerXml } from './listing.ts'
import { uploadIdOf } from './multipart.ts'
import type { BucketOperation, ObjectOperation } from './operation.ts'
import { keyWriter, limitOf, numberOf, textOrNull } from './paging.ts'
import { group, leaf, resultXml } from './xml.ts'

export const listParts: ObjectOperation = {
  name: 'ListParts',
  method: 'GET',
  query: ['uploadId'],
  on: 'object',
  action: 'itself',
  async run(call) {
    const limit = limitOf(call, 'max-parts', listing.LISTED_MAX)
    const after = numberOf(call, 'part-number-marker', 0)
    const id = uploadIdOf(call)
    const { upload, parts, isTruncated } = await uploads.listParts(call.ctx, call.bucket, call.key, {
      id,
      after,
      limit,
    })
    const owner = await ownersOf(call.ctx, [upload.accountId, upload.ownerId])
    return {
      xml: resultXml('ListPartsResult', [
        leaf('Bucket', call.bucket.name),
        leaf('Key', call.key),
        leaf('UploadId', id),
        ownerXml('Initiator', owner(upload.accountId)),
        ownerXml('Owner', owner(upload.ownerId)),
        leaf('StorageClass', upload.properties.storageClass),
        leaf('ChecksumAlgorithm', upload.checksumAlgorithm),
        leaf('ChecksumType', upload.checksumType),
        leaf('PartNumberMarker', after),
        leaf('NextPartNumberMarker', parts.at(-1)?.number ?? 0),
        leaf('MaxParts', limit),
        leaf('IsTruncated', isTruncated),
        ...parts.map((part) =>
          group('Part', [
            leaf('PartNumber', part.number),
            leaf('LastModified', part.modifiedAt),
            leaf('ETag', `"${part.etag}"`),
            leaf('Size', part.sizeBytes),
            ...(part.checksum ? [leaf(`Checksum${part.checksum.algorithm}`, part.checksum.value)] : []),
          ]),
        ),
      ]),
    }
  },
}

export const listMultipartUploads: BucketOperation = {
  name: 'ListMultipartUploads',
  method: 'GET',
  query: ['uploads'],
  on: 'bucket',
  action: 's3:ListBucketMultipartUploads',
  async run(call) {
    const prefix = call.query('prefix') ?? ''
    const delimiter = textOrNull(call, 'delimiter')
    const limit = limitOf(call, 'max-uploads', listing.LISTED_MAX)
    const afterKey = textOrNull(call, 'key-marker')
    // Without a key it says nothing (S3 API reference, "upload-id-marker").
    const afterUploadId = afterKey === null ? null : textOrNull(call, 'upload-id-marker')
    const keys = keyWriter(call)
    const page = await listing.uploads(call.ctx, call.bucket, { prefix, delimiter, limit, afterKey, afterUploadId })
    const owner = await ownersOf(
      call.ctx,
      page.rows.flatMap(({ accountId, ownerId }) => [accountId, ownerId]),
    )
    return {
      xml: resultXml('ListMultipartUploadsResult', [
        leaf('Bucket', call.bucket.name),
        keys.leaf('KeyMarker', afterKey ?? ''),
        leaf('UploadIdMarker', afterUploadId ?? ''),
        keys.leaf('NextKeyMarker', page.next?.key),
        leaf('NextUploadIdMarker', page.next?.row?.id),
        keys.leaf('Prefix', prefix),
        keys.leaf('Delimiter', delimiter),
        keys.encodingType,
        leaf('MaxUploads', limit),
        leaf('IsTruncated', page.next !== null),
        ...page.rows.map((row) =>
          group('Upload', [
            keys.leaf('Key', row.key),
            leaf('UploadId', row.id),
            ownerXml('Initiator', owner(row.accountId)),
            ownerXml('Owner', owner(row.ownerId)),
            leaf('StorageClass', row.storageClass),
            leaf('Initiated', row.startedAt),
            leaf('ChecksumAlgorithm', row.checksumAlgorithm),
            leaf('ChecksumType', row.checksumType),
          ]),
        ),
        ...commonPrefixes(page.commonPrefixes, keys),
      ]),
    }
  },
}
