/** The version that a request is about, and how an answer names it. */
import type { Bucket } from '../../model/bucket.ts'
import { S3Error } from '../../model/s3-error.ts'
import type { ObjectRef } from '../../services/object-settings.ts'
import type { ObjectCall } from './operation.ts'

/** Throws InvalidArgument for `?versionId=`, which means nothing. */
export function objectRef(call: ObjectCall): ObjectRef {
  const versionId = call.query('versionId')
  if (versionId === '') {
    throw new S3Error('InvalidArgument', 'Version id cannot be the empty string', {
      elements: { ArgumentName: 'versionId', ArgumentValue: '' },
    })
  }
  return { bucket: call.bucket, key: call.key, versionId }
}

/** Of a bucket that makes no versions nobody wants to know the id. */
export const versionHeader = ({ versioning }: Bucket, versionId: string): Record<string, string | undefined> => ({
  'x-amz-version-id': versioning === 'off' ? undefined : versionId,
})
