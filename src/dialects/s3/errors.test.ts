import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CloudError } from '../../model/errors.ts'
import { S3Error } from '../../model/s3-error.ts'
import { asS3Error, errorDocument } from './errors.ts'

test('anything thrown has an S3 code', () => {
  const coded = (code: string, more = {}) => Object.assign(new Error('x'), { code, ...more })
  const table: [unknown, string, boolean][] = [
    [new S3Error('NoSuchKey'), 'NoSuchKey', false],
    [new S3Error('InternalError'), 'InternalError', true],
    [new CloudError('unavailable', 'the disk /secret is full'), 'ServiceUnavailable', false],
    [new CloudError('quota_exceeded', 'full'), 'QuotaExceeded', false],
    [coded('57P01'), 'ServiceUnavailable', false],
    [coded('53100'), 'ServiceUnavailable', false],
    [coded('ECONNREFUSED', { syscall: 'connect' }), 'ServiceUnavailable', false],
    [coded('ENOENT', { syscall: 'connect' }), 'ServiceUnavailable', false],
    [coded('ENOENT', { syscall: 'open' }), 'InternalError', true],
    [new Error('Connection terminated due to connection timeout'), 'ServiceUnavailable', false],
    [coded('23505'), 'InternalError', true],
    [new TypeError('x is not a function'), 'InternalError', true],
    ['text', 'InternalError', true],
    [undefined, 'InternalError', true],
  ]
  for (const [thrown, code, isBug] of table) {
    const { error, ...found } = asS3Error(thrown)
    assert.deepEqual([error.s3Code, found.isBug], [code, isBug], String(thrown))
    assert.doesNotMatch(error.message, /secret|not a function/)
  }
})

test('the document has its elements in order and nothing unescaped', () => {
  const error = new S3Error('InvalidRange', 'a<b', { elements: { ActualObjectSize: '3' } })
  assert.equal(
    errorDocument(error, { resource: '/b/<k>', requestId: 'R', hostId: 'H' }),
    '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>InvalidRange</Code><Message>a&lt;b</Message>' +
      '<ActualObjectSize>3</ActualObjectSize><Resource>/b/&lt;k&gt;</Resource><RequestId>R</RequestId><HostId>H</HostId></Error>',
  )
})
