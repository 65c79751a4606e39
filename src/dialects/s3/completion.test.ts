import assert from 'node:assert/strict'
import { test } from 'node:test'
import { S3Error } from '../../model/s3-error.ts'
import { readCompletion } from './completion.ts'

const wrap = (inside: string) => Buffer.from(`<CompleteMultipartUpload>${inside}</CompleteMultipartUpload>`)
const part = (number: string, etag: string, more = '') =>
  `<Part><PartNumber>${number}</PartNumber><ETag>${etag}</ETag>${more}</Part>`

test('parts come with or without quotes, in any order of elements', () => {
  assert.deepEqual(
    readCompletion(
      wrap(
        part('1', '&quot;abc&quot;', '<ChecksumCRC32>AAAAAA==</ChecksumCRC32>') +
          ' <Part>\n<ETag>"def"</ETag><PartNumber> 10000 </PartNumber></Part>',
      ),
    ),
    [
      { number: 1, etag: 'abc', checksums: { CRC32: 'AAAAAA==' } },
      { number: 10_000, etag: 'def', checksums: {} },
    ],
  )
})

test('ten thousand parts are read', () => {
  const parts = Array.from({ length: 10_000 }, (_, index) => part(String(index + 1), 'e'))
  assert.equal(readCompletion(wrap(parts.join(''))).length, 10_000)
})

test('anything else is refused', () => {
  const cases: [Buffer, string][] = [
    [Buffer.from(''), 'MalformedXML'],
    [Buffer.from('<Other/>'), 'MalformedXML'],
    [wrap(''), 'MalformedXML'],
    [wrap('<Part><PartNumber>1</PartNumber></Part>'), 'MalformedXML'],
    [wrap('<Part><ETag>e</ETag></Part>'), 'MalformedXML'],
    [wrap(part('one', 'e')), 'MalformedXML'],
    [wrap(part('1', 'e', '<Other>x</Other>')), 'MalformedXML'],
    [wrap(part('1', 'e', '<ETag>f</ETag>')), 'MalformedXML'],
    [wrap(part('0', 'e')), 'InvalidArgument'],
    [wrap(part('10001', 'e')), 'InvalidArgument'],
  ]
  for (const [document, code] of cases) {
    assert.throws(
      () => readCompletion(document),
      (error) => error instanceof S3Error && error.s3Code === code,
      document.toString(),
    )
  }
})
