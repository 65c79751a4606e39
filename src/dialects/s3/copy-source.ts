/** The headers that say what is copied (S3 API reference, "CopyObject"). */
import { KEY_MAX_BYTES } from '../../model/object.ts'
import { S3Error } from '../../model/s3-error.ts'
import type { SourceWish } from '../../services/copying/source.ts'
import { readCustomerKey } from './encryption-headers.ts'
import type { ObjectCall } from './operation.ts'
import { decode } from './target.ts'

/** Throws InvalidArgument. */
export function readSource(call: ObjectCall): SourceWish {
  const condition = (name: string) => call.header(`x-amz-copy-source-if-${name}`)
  return {
    ...parseCopySource(call.header('x-amz-copy-source') ?? ''),
    conditions: {
      ifMatch: condition('match'),
      ifNoneMatch: condition('none-match'),
      ifModifiedSince: condition('modified-since'),
      ifUnmodifiedSince: condition('unmodified-since'),
    },
    customerKey: readCustomerKey(call, 'copy-source-'),
    expectedOwner: call.header('x-amz-source-expected-bucket-owner'),
  }
}

const VERSION = '?versionId='

/**
 * `[/]bucket/key[?versionId=…]`, percent-encoded once; a question mark of the key is encoded. Some clients encode the
 * slash between bucket and key as well.
 */
export function parseCopySource(text: string): Pick<SourceWish, 'bucketName' | 'key' | 'versionId'> {
  const mark = text.lastIndexOf(VERSION)
  const path = decode(mark === -1 ? text : text.slice(0, mark), 'InvalidArgument').replace(/^\//, '')
  const slash = path.indexOf('/')
  const [bucketName, key] = [path.slice(0, slash), path.slice(slash + 1)]
  if (slash < 1 || key === '' || Buffer.byteLength(key) > KEY_MAX_BYTES) {
    throw new S3Error('InvalidArgument', 'Copy Source must mention the source bucket and key: sourcebucket/sourcekey', {
      elements: { ArgumentName: 'x-amz-copy-source', ArgumentValue: text },
    })
  }
  const versionId = mark === -1 ? undefined : decode(text.slice(mark + VERSION.length), 'InvalidArgument')
  return { bucketName, key, versionId: versionId === '' ? undefined : versionId }
}

/** `bytes=a-b`, both ends given. Throws InvalidArgument. */
export function readSourceRange(call: ObjectCall): { first: number; last: number } | undefined {
  const text = call.header('x-amz-copy-source-range')
  if (text === undefined) return undefined
  const [, first, last] = /^bytes=(\d{1,15})-(\d{1,15})$/.exec(text) ?? []
  if (first !== undefined && last !== undefined && Number(first) <= Number(last)) {
    return { first: Number(first), last: Number(last) }
  }
  throw new S3Error(
    'InvalidArgument',
    'The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy',
    { elements: { ArgumentName: 'x-amz-copy-source-range', ArgumentValue: text } },
  )
}
