import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { S3Error } from '../../model/s3-error.ts'
import { createDispatcher, type Level } from './dispatch.ts'
import type { Operation } from './operation.ts'
import { parseQuery } from './target.ts'

const operation = (name: string, on: Operation['on'], method: string, query: string[] = [], header?: string) =>
  ({
    name,
    on,
    method,
    query,
    header,
    action: 'itself',
    run: () => Promise.reject(new Error()),
  }) as unknown as Operation

const dispatcher = createDispatcher([
  operation('ListBuckets', 'service', 'GET'),
  operation('CreateBucket', 'bucket-name', 'PUT'),
  operation('ListObjects', 'bucket', 'GET'),
  operation('ListObjectsV2', 'bucket', 'GET', ['list-type']),
  operation('GetBucketAcl', 'bucket', 'GET', ['acl']),
  operation('PutBucketAcl', 'bucket', 'PUT', ['acl']),
  operation('DeleteObjects', 'bucket', 'POST', ['delete']),
  operation('GetObject', 'object', 'GET'),
  operation('HeadObject', 'object', 'HEAD'),
  operation('PutObject', 'object', 'PUT'),
  operation('CopyObject', 'object', 'PUT', [], 'x-amz-copy-source'),
  operation('UploadPart', 'object', 'PUT', ['uploadId', 'partNumber']),
  operation('UploadPartCopy', 'object', 'PUT', ['uploadId', 'partNumber'], 'x-amz-copy-source'),
  operation('ListParts', 'object', 'GET', ['uploadId']),
  operation('CreateMultipartUpload', 'object', 'POST', ['uploads']),
  operation('GetObjectAcl', 'object', 'GET', ['acl']),
])

const find = (level: Level, method: string, query: string, header?: string) =>
  dispatcher.find({ level, method, query: parseQuery(query), hasHeader: (name) => name === header }).name

test('method, level and presence of subresources choose', () => {
  const table: [Level, string, string, string, string?][] = [
    ['service', 'GET', 'x-id=ListBuckets', 'ListBuckets'],
    ['service', 'HEAD', '', 'ListBuckets'],
    ['bucket', 'PUT', '', 'CreateBucket'],
    ['bucket', 'GET', 'prefix=acl', 'ListObjects'],
    ['bucket', 'GET', 'list-type=2', 'ListObjectsV2'],
    ['bucket', 'GET', 'acl', 'GetBucketAcl'],
    ['bucket', 'GET', 'acl=', 'GetBucketAcl'],
    ['bucket', 'POST', 'delete=', 'DeleteObjects'],
    ['object', 'GET', 'versionId=x', 'GetObject'],
    ['object', 'GET', 'partNumber=1', 'GetObject'],
    ['object', 'HEAD', 'partNumber=1', 'HeadObject'],
    ['object', 'HEAD', 'acl', 'GetObjectAcl'],
    ['object', 'HEAD', 'uploadId=u', 'ListParts'],
    ['object', 'PUT', 'x-id=PutObject&unknown=1', 'PutObject'],
    ['object', 'PUT', '', 'CopyObject', 'x-amz-copy-source'],
    ['object', 'PUT', 'partNumber=1&uploadId=u', 'UploadPart'],
    ['object', 'PUT', 'partNumber=1&uploadId=u', 'UploadPartCopy', 'x-amz-copy-source'],
    ['object', 'GET', 'uploadId=u', 'ListParts'],
    ['object', 'POST', 'uploads=', 'CreateMultipartUpload'],
  ]
  for (const [level, method, query, name, header] of table) {
    assert.equal(find(level, method, query, header), name, `${method} ${level}?${query}`)
  }
})

test('nothing that changes the meaning is ignored', () => {
  const table: [Level, string, string, string, string?][] = [
    ['object', 'GET', 'torrent', 'NotImplemented'],
    ['object', 'HEAD', 'torrent', 'NotImplemented'],
    ['object', 'HEAD', 'uploads', 'MethodNotAllowed', 'POST'],
    ['object', 'PUT', 'policy', 'NotImplemented'],
    ['object', 'POST', 'restore', 'NotImplemented'],
    ['bucket', 'PUT', 'inventory&id=1', 'NotImplemented'],
    ['object', 'PUT', 'partNumber=1', 'InvalidArgument'],
    ['object', 'PUT', 'uploadId=u', 'MethodNotAllowed', 'GET, HEAD'],
    ['object', 'PUT', 'acl', 'MethodNotAllowed', 'GET, HEAD'],
    ['bucket', 'GET', 'acl&delete', 'MethodNotAllowed', 'POST'],
    ['object', 'GET', 'acl&uploadId=1', 'InvalidArgument'],
    ['object', 'PATCH', '', 'MethodNotAllowed', 'GET, HEAD, PUT'],
    ['object', 'POST', '', 'MethodNotAllowed', 'GET, HEAD, PUT'],
    ['service', 'PUT', '', 'MethodNotAllowed', 'GET, HEAD'],
    ['service', 'GET', 'acl', 'NotImplemented'],
  ]
  for (const [level, method, query, code, allow] of table) {
    assert.throws(
      () => find(level, method, query),
      (error: S3Error) => {
        assert.deepEqual([error.s3Code, error.headers.allow], [code, allow], `${method} ${level}?${query}`)
        return true
      },
    )
  }
})
