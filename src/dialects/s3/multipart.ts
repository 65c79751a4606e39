/** Uploads in parts (S3 API reference, "CreateMultipartUpload" and those that follow it). */
import {
  CHECKSUM_ALGORITHMS,
  type Checksum,
  type ChecksumAlgorithm,
  type ChecksumType,
  MIB,
  PARTS_MAX,
} from '../../model/object.ts'
import { S3Error } from '../../model/s3-error.ts'
import { complete } from '../../services/multipart/complete.ts'
import { putPart } from '../../services/multipart/put-part.ts'
import * as uploads from '../../services/multipart/uploads.ts'
import { algorithmOf, checksumHeader } from './checksum-headers.ts'
import { readCompletion } from './completion.ts'
import { encryptionHeaders, readCustomerKey, readEncryption } from './encryption-headers.ts'
import { readObjectHeaders } from './object-headers.ts'
import type { ObjectCall, ObjectOperation, Operation } from './operation.ts'
import { readWriteConditions } from './write-conditions.ts'
import { leaf, resultXml, urlEncode, type Xml } from './xml.ts'

const createMultipartUpload: ObjectOperation = {
  name: 'CreateMultipartUpload',
  method: 'POST',
  query: ['uploads'],
  on: 'object',
  action: 'itself',
  async run(call) {
    const algorithm = call.header('x-amz-checksum-algorithm')
    const begun = await uploads.begin(call.ctx, call.bucket, call.key, {
      object: readObjectHeaders(call),
      encryption: readEncryption(call),
      checksumAlgorithm: algorithm === undefined ? null : algorithmOf(algorithm),
      checksumType: readChecksumType(call) ?? null,
    })
    return {
      headers: {
        ...encryptionHeaders(begun.encryption),
        'x-amz-checksum-algorithm': begun.checksumAlgorithm ?? undefined,
        'x-amz-checksum-type': begun.checksumType ?? undefined,
      },
      xml: resultXml('InitiateMultipartUploadResult', [
        leaf('Bucket', call.bucket.name),
        leaf('Key', call.key),
        leaf('UploadId', begun.uploadId),
      ]),
    }
  },
}

const uploadPart: ObjectOperation = {
  name: 'UploadPart',
  method: 'PUT',
  query: ['partNumber', 'uploadId'],
  on: 'object',
  action: 's3:PutObject',
  body: 'stream',
  async run(call) {
    const { etag, checksum, encryption } = await putPart(call.ctx, call.bucket, call.key, {
      ...readPartRef(call),
      body: call.body,
      customerKey: readCustomerKey(call),
    })
    return {
      headers: {
        etag: `"${etag}"`,
        ...encryptionHeaders(encryption),
        ...(checksum && { [checksumHeader(checksum.algorithm)]: checksum.value }),
      },
    }
  },
}

const completeMultipartUpload: ObjectOperation = {
  name: 'CompleteMultipartUpload',
  method: 'POST',
  query: ['uploadId'],
  on: 'object',
  action: 's3:PutObject',
  body: 'document',
  documentMaxBytes: 4 * MIB,
  checksumOf: 'object',
  async run(call) {
    const completed = await complete(call.ctx, call.bucket, call.key, {
      uploadId: uploadIdOf(call),
      parts: readCompletion(await call.document()),
      preconditions: readWriteConditions(call),
      claims: {
        checksum: readClaimedChecksum(call),
        checksumType: readChecksumType(call),
        sizeBytes: readClaimedSize(call),
      },
    })
    return {
      headers: {
        ...encryptionHeaders(completed.encryption),
        'x-amz-version-id': completed.versionId ?? undefined,
      },
      xml: resultXml('CompleteMultipartUploadResult', [
        leaf('Location', `${call.origin}/${urlEncode(`${call.bucket.name}/${call.key}`)}`),
        leaf('Bucket', call.bucket.name),
        leaf('Key', call.key),
        leaf('ETag', `"${completed.etag}"`),
        ...checksumXml(completed.checksum),
      ]),
    }
  },
}

const abortMultipartUpload: ObjectOperation = {
  name: 'AbortMultipartUpload',
  method: 'DELETE',
  query: ['uploadId'],
  on: 'object',
  action: 'itself',
  async run(call) {
    await uploads.abort(call.ctx, call.bucket, call.key, uploadIdOf(call))
    return { status: 204 }
  },
}

export const multipartOperations: readonly Operation[] = [
  createMultipartUpload,
  uploadPart,
  completeMultipartUpload,
  abortMultipartUpload,
]

export const uploadIdOf = (call: ObjectCall): string => call.query('uploadId') ?? ''

export function readPartRef(call: ObjectCall): { uploadId: string; number: number } {
  const text = call.query('partNumber') ?? ''
  const number = Number(text)
  if (!/^\d{1,5}$/.test(text) || number < 1 || number > PARTS_MAX) {
    throw new S3Error('InvalidArgument', `Part number must be an integer between 1 and ${PARTS_MAX}, inclusive`, {
      elements: { ArgumentName: 'partNumber', ArgumentValue: text },
    })
  }
  return { uploadId: uploadIdOf(call), number }
}

function readChecksumType(call: ObjectCall): ChecksumType | undefined {
  const type = call.header('x-amz-checksum-type')
  if (type === undefined || type === 'COMPOSITE' || type === 'FULL_OBJECT') return type
  throw new S3Error('InvalidRequest', 'Value for x-amz-checksum-type header is invalid.')
}

function readClaimedChecksum(call: ObjectCall): { algorithm: ChecksumAlgorithm; value: string } | undefined {
  const given = CHECKSUM_ALGORITHMS.flatMap((algorithm) => {
    const value = call.header(checksumHeader(algorithm))
    return value === undefined ? [] : [{ algorithm, value }]
  })
  if (given.length > 1) {
    throw new S3Error(
      'InvalidRequest',
      'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.',
    )
  }
  return given[0]
}

function readClaimedSize(call: ObjectCall): number | undefined {
  const text = call.header('x-amz-mp-object-size')
  if (text === undefined) return undefined
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new S3Error('InvalidRequest', 'Value for x-amz-mp-object-size header is invalid.')
}

export const checksumXml = (checksum: Checksum | null): Xml[] =>
  checksum ? [leaf(`Checksum${checksum.algorithm}`, checksum.value), leaf('ChecksumType', checksum.type)] : []
