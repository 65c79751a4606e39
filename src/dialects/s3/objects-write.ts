/** PutObject (S3 API reference). */
import { expirationHeader } from '../../model/lifecycle.ts'
import { S3Error } from '../../model/s3-error.ts'
import { authorizeKnown } from '../../services/objects/known-bucket.ts'
import { put } from '../../services/objects/put.ts'
import { encryptionHeaders, readEncryption } from './encryption-headers.ts'
import { checksumHeaders } from './object-answer.ts'
import { readObjectHeaders } from './object-headers.ts'
import type { ObjectCall, ObjectOperation } from './operation.ts'
import { readWriteConditions } from './write-conditions.ts'

const putObject: ObjectOperation = {
  name: 'PutObject',
  method: 'PUT',
  on: 'object',
  action: 'itself',
  checksRevision: true,
  body: 'stream',
  async run(call) {
    const { bucket, key } = call
    const request = await readRequest(call)
    const result = await put(call.ctx, bucket, key, request)
    const written = { ...result, key, tags: request.wish.tags ?? {} }
    return {
      headers: {
        'x-amz-expiration': expirationHeader(bucket.settings.lifecycle ?? [], written),
        etag: `"${result.etag}"`,
        'x-amz-version-id': result.versionId,
        ...encryptionHeaders(result.encryption),
        ...checksumHeaders(result.checksum),
      },
    }
  },
}

export const objectWriteOperations: readonly ObjectOperation[] = [putObject]

async function readRequest(call: ObjectCall) {
  try {
    if (call.header('x-amz-write-offset-bytes') !== undefined) {
      throw new S3Error('NotImplemented', 'Objects cannot be appended to.')
    }
    return {
      wish: readObjectHeaders(call),
      encryption: readEncryption(call),
      preconditions: readWriteConditions(call),
      body: () => call.body,
    }
  } catch (error) {
    // Whoever may not write here is told that, not what is wrong with his headers.
    await authorizeKnown(call.ctx, { action: 's3:PutObject', bucket: call.bucket, key: call.key })
    throw error
  }
}
