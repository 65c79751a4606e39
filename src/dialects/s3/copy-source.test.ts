import assert from 'node:assert/strict'
import { test } from 'node:test'
import { S3Error } from '../../model/s3-error.ts'
import { parseCopySource } from './copy-source.ts'

test('a source is a bucket, a key and perhaps a version, each decoded once', () => {
  const cases: [string, string, string, string?][] = [
    ['b/k', 'b', 'k'],
    ['/b/k', 'b', 'k'],
    ['/b//k', 'b', '/k'],
    ['b/a%2Fb', 'b', 'a/b'],
    ['b%2Fa%2Fb', 'b', 'a/b'],
    ['b/a+b', 'b', 'a+b'],
    ['b/%25zz', 'b', '%zz'],
    ['b/%C3%A5', 'b', 'å'],
    ['b/\u00c3\u00a5', 'b', 'å'], // bytes of UTF-8, as headers come
    ['b/k?versionId=null', 'b', 'k', 'null'],
    ['b/k?versionId=', 'b', 'k'],
    ['b/a?b?versionId=v', 'b', 'a?b', 'v'],
    ['b/a%3FversionId=v', 'b', 'a?versionId=v'],
    ['b/../x', 'b', '../x'],
  ]
  for (const [text, bucketName, key, versionId] of cases) {
    assert.deepEqual(parseCopySource(text), { bucketName, key, versionId }, text)
  }
})

test('what names no key is refused', () => {
  for (const text of ['', '/', 'b', 'b/', '/b/', '//k', 'b/%zz', 'b/%FF', 'b/%00', `b/${'k'.repeat(1025)}`]) {
    assert.throws(
      () => parseCopySource(text),
      (error) => error instanceof S3Error && error.s3Code === 'InvalidArgument',
      text,
    )
  }
})
