import assert from 'node:assert/strict'
import { test } from 'node:test'
import { S3Error } from '../../model/s3-error.ts'
import { parseInstant, readObjectHeaders } from './object-headers.ts'

const read = (headers: Record<string, string>) =>
  readObjectHeaders({
    header: (name) => headers[name],
    headersUnder: (prefix) =>
      Object.fromEntries(
        Object.entries(headers).flatMap(([name, value]) =>
          name.startsWith(prefix) ? [[name.slice(prefix.length), value]] : [],
        ),
      ),
  })

test('what is kept of the headers', () => {
  assert.deepEqual(read({}), {
    headers: { 'content-type': 'binary/octet-stream' },
    metadata: {},
    storageClass: 'STANDARD',
    tags: undefined,
    acl: undefined,
    retention: undefined,
    legalHold: undefined,
  })
  const wish = read({
    'content-type': 'text/plain',
    'content-encoding': 'aws-chunked, gzip',
    expires: 'whenever',
    'x-amz-meta-a': 'caf\u00c3\u00a9',
    'x-amz-storage-class': 'REDUCED_REDUNDANCY',
    'x-amz-tagging': 'a=b',
    'x-amz-acl': 'public-read',
    'x-amz-object-lock-mode': 'GOVERNANCE',
    'x-amz-object-lock-retain-until-date': '2030-01-02T03:04:05.678Z',
    'x-amz-object-lock-legal-hold': 'OFF',
    'x-amz-website-redirect-location': '/other',
    'x-unknown': 'y',
  })
  assert.deepEqual(wish, {
    headers: {
      'content-type': 'text/plain',
      'content-encoding': 'gzip',
      expires: 'whenever',
      'x-amz-website-redirect-location': '/other',
    },
    metadata: { a: 'caf\u00c3\u00a9' },
    storageClass: 'STANDARD',
    tags: { a: 'b' },
    acl: { canned: 'public-read' },
    retention: { mode: 'GOVERNANCE', until: new Date('2030-01-02T03:04:05.678Z') },
    legalHold: false,
  })
  assert.equal(read({ 'content-encoding': 'aws-chunked' }).headers['content-encoding'], undefined)
  assert.equal(read({ 'x-amz-storage-class': 'GLACIER' }).storageClass, 'GLACIER')
})

test('headers that are refused', () => {
  const cases: readonly (readonly [headers: Record<string, string>, code: string])[] = [
    [{ 'x-amz-storage-class': 'standard' }, 'InvalidStorageClass'],
    [{ 'x-amz-meta-a': 'x'.repeat(2048) }, 'MetadataTooLarge'],
    [{ 'x-amz-tagging': 'a=b&a=b' }, 'InvalidTag'],
    [{ 'x-amz-object-lock-mode': 'GOVERNANCE' }, 'InvalidArgument'],
    [{ 'x-amz-object-lock-retain-until-date': '2030-01-01T00:00:00Z' }, 'InvalidArgument'],
    [{ 'x-amz-object-lock-mode': 'X', 'x-amz-object-lock-retain-until-date': '2030-01-01' }, 'InvalidArgument'],
    [{ 'x-amz-object-lock-mode': 'COMPLIANCE', 'x-amz-object-lock-retain-until-date': 'soon' }, 'InvalidArgument'],
    [{ 'x-amz-object-lock-legal-hold': 'on' }, 'InvalidArgument'],
    [{ 'x-amz-website-redirect-location': 'javascript:x' }, 'InvalidArgument'],
    // From a URL or a form they may be any text, and would go out as headers.
    [{ 'x-amz-website-redirect-location': '/x\r\nset-cookie: a' }, 'InvalidArgument'],
    [{ 'x-amz-meta-a': 'x\r\nset-cookie: a' }, 'InvalidArgument'],
    [{ 'x-amz-meta-a': '\x07' }, 'InvalidArgument'],
    [{ 'x-amz-meta-a b': 'x' }, 'InvalidArgument'],
    [{ 'x-amz-meta-a:b': 'x' }, 'InvalidArgument'],
    [{ 'x-amz-meta-\xc3\xbc': 'x' }, 'InvalidArgument'],
    [{ 'content-type': 'text/\nplain' }, 'InvalidArgument'],
    [{ 'cache-control': '\x7f' }, 'InvalidArgument'],
    [{ 'content-encoding': 'gz\r\nip' }, 'InvalidArgument'],
  ]
  for (const [headers, code] of cases) {
    assert.throws(
      () => read(headers),
      (error) => error instanceof S3Error && error.s3Code === code,
      JSON.stringify(headers),
    )
  }
})

test('instants', () => {
  assert.equal(parseInstant('2030-01-01')?.toISOString(), '2030-01-01T00:00:00.000Z')
  assert.equal(parseInstant('2030-01-01T01:00:00+01:00')?.toISOString(), '2030-01-01T00:00:00.000Z')
  assert.equal(parseInstant('2030-01-01T00:00:00.123456Z')?.toISOString(), '2030-01-01T00:00:00.123Z')
  for (const text of ['', '2030', '2030-13-01', 'tomorrow', '2030-01-01T25:00:00Z'])
    assert.equal(parseInstant(text), null)
})
