/** CopyObject and UploadPartCopy (S3 API reference). */
import { S3Error } from '../../model/s3-error.ts'
import { copy } from '../../services/copying/copy.ts'
import { copyPart } from '../../services/copying/copy-part.ts'
import { algorithmOf } from './checksum-headers.ts'
import { readSource, readSourceRange } from './copy-source.ts'
import { encryptionHeaders, readCustomerKey, readEncryption } from './encryption-headers.ts'
import { soonOrLate } from './late-answer.ts'
import { checksumXml, readPartRef } from './multipart.ts'
import { readObjectHeaders } from './object-headers.ts'
import type { ObjectCall, ObjectOperation } from './operation.ts'
import { readWriteConditions } from './write-conditions.ts'
import { leaf, resultXml } from './xml.ts'

export const copyObject: ObjectOperation = {
  name: 'CopyObject',
  method: 'PUT',
  header: 'x-amz-copy-source',
  on: 'object',
  action: 'itself',
  async run(call) {
    if (call.header('x-amz-copy-source-range') !== undefined) {
      throw new S3Error('InvalidRequest', 'A range can only be copied as a part of an upload.')
    }
    const algorithm = call.header('x-amz-checksum-algorithm')
    const wish = {
      source: readSource(call),
      object: readObjectHeaders(call),
      metadataDirective: readDirective(call, 'x-amz-metadata-directive'),
      taggingDirective: readDirective(call, 'x-amz-tagging-directive'),
      encryption: readEncryption(call),
      checksumAlgorithm: algorithm === undefined ? undefined : algorithmOf(algorithm),
      preconditions: readWriteConditions(call),
    }
    return soonOrLate(
      copy(call.ctx, call.bucket, call.key, wish).then((copied) => ({
        headers: {
          ...encryptionHeaders(copied.encryption),
          'x-amz-version-id': copied.versionId,
          'x-amz-copy-source-version-id': copied.sourceVersionId,
        },
        xml: resultXml('CopyObjectResult', [
          leaf('LastModified', copied.modifiedAt),
          leaf('ETag', `"${copied.etag}"`),
          ...checksumXml(copied.checksum),
        ]),
      })),
    )
  },
}

export const uploadPartCopy: ObjectOperation = {
  name: 'UploadPartCopy',
  method: 'PUT',
  query: ['partNumber', 'uploadId'],
  header: 'x-amz-copy-source',
  on: 'object',
  action: 's3:PutObject',
  async run(call) {
    const wish = {
      ...readPartRef(call),
      source: readSource(call),
      range: readSourceRange(call),
      customerKey: readCustomerKey(call),
    }
    return soonOrLate(
      copyPart(call.ctx, call.bucket, call.key, wish).then((copied) => ({
        headers: {
          ...encryptionHeaders(copied.encryption),
          'x-amz-copy-source-version-id': copied.sourceVersionId,
        },
        xml: resultXml('CopyPartResult', [
          leaf('LastModified', copied.modifiedAt),
          leaf('ETag', `"${copied.etag}"`),
          ...(copied.checksum ? [leaf(`Checksum${copied.checksum.algorithm}`, copied.checksum.value)] : []),
        ]),
      })),
    )
  },
}

function readDirective(call: ObjectCall, name: string): 'COPY' | 'REPLACE' {
  const value = call.header(name) ?? 'COPY'
  if (value === 'COPY' || value === 'REPLACE') return value
  throw new S3Error('InvalidArgument', `Unknown ${name.includes('tagging') ? 'tagging' : 'metadata'} directive.`, {
    elements: { ArgumentName: name, ArgumentValue: value },
  })
}
