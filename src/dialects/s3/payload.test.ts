import assert from 'node:assert/strict'
import { createHash, createHmac, createSecretKey } from 'node:crypto'
import { test } from 'node:test'
import type { S3Error } from '../../model/s3-error.ts'
import { createChunkedDecoder } from './aws-chunked.ts'
import { readHeaders } from './headers.ts'
import { openBody, readPayload } from './payload.ts'
import type { ChunkSigning } from './sigv4.ts'

const EMPTY = createHash('sha256').digest('hex')
const signing: ChunkSigning = {
  key: createSecretKey(Buffer.from('signing key')),
  time: '20260301T120000Z',
  scope: '20260301/eu-north-1/s3/aws4_request',
  seed: 'a'.repeat(64),
}
const sha = (data: Buffer | string) => createHash('sha256').update(data).digest('hex')
const hmac = (text: string) => createHmac('sha256', signing.key).update(text).digest('hex')

/** As a client frames and signs it. */
function framed(chunks: readonly string[], trailers: readonly string[] = [], edit: { flip?: number } = {}) {
  let previous = signing.seed
  const parts: string[] = []
  ;[...chunks, ''].forEach((chunk, index) => {
    previous = hmac(['AWS4-HMAC-SHA256-PAYLOAD', signing.time, signing.scope, previous, EMPTY, sha(chunk)].join('\n'))
    const shown = edit.flip === index ? 'b'.repeat(64) : previous
    parts.push(`${chunk.length.toString(16)};chunk-signature=${shown}\r\n${chunk}${chunk === '' ? '' : '\r\n'}`)
  })
  for (const line of trailers) parts.push(`${line}\r\n`)
  if (trailers.length > 0) {
    const lines = trailers.map((line) => `${line}\n`).join('')
    const text = ['AWS4-HMAC-SHA256-TRAILER', signing.time, signing.scope, previous, sha(lines)].join('\n')
    parts.push(`x-amz-trailer-signature:${hmac(text)}\r\n`)
  }
  return `${parts.join('')}\r\n`
}

interface Setting {
  sizeBytes: number
  isSigned?: boolean
  trailers?: readonly string[] | null
  /** Bytes at a time. */
  step?: number
}
function decode(text: string, { sizeBytes, isSigned = false, trailers = null, step = 1 << 20 }: Setting) {
  const decoder = createChunkedDecoder({ sizeBytes, signing: isSigned ? signing : null, trailers })
  const bytes = Buffer.from(text, 'latin1')
  const data: Buffer[] = []
  // Copies, as a socket's buffer that is used again would be.
  for (let at = 0; at < bytes.length; at += step) data.push(...decoder.push(Buffer.from(bytes.subarray(at, at + step))))
  const found = decoder.finish()
  return { data: Buffer.concat(data).toString('latin1'), trailers: Object.fromEntries(found) }
}

const CRC = 'x-amz-checksum-crc32'

test('every mode decodes, however the bytes are cut up', () => {
  const table: [string, Setting, string, Record<string, string>][] = [
    ['3\r\nabc\r\n0\r\n\r\n', { sizeBytes: 3, trailers: [] }, 'abc', {}],
    ['0\r\n\r\n', { sizeBytes: 0, trailers: [] }, '', {}],
    ['A\r\n0123456789\r\n1\r\nx\r\n0\r\n\r\n', { sizeBytes: 11, trailers: [] }, '0123456789x', {}],
    [`3\r\nabc\r\n0\r\n${CRC}:NSRBwg==\r\n\r\n`, { sizeBytes: 3, trailers: [CRC] }, 'abc', { [CRC]: 'NSRBwg==' }],
    [`3\r\nabc\r\n0\r\n${CRC}: NSRBwg== \n\n`, { sizeBytes: 3, trailers: [CRC] }, 'abc', { [CRC]: 'NSRBwg==' }],
    [framed(['abc', '\r\n', 'd'.repeat(300)]), { sizeBytes: 305, isSigned: true }, `abc\r\n${'d'.repeat(300)}`, {}],
    [framed([]), { sizeBytes: 0, isSigned: true }, '', {}],
    [
      framed(['abc'], [`${CRC}:NSRBwg==`]),
      { sizeBytes: 3, isSigned: true, trailers: [CRC] },
      'abc',
      { [CRC]: 'NSRBwg==' },
    ],
    // As the Go client of MinIO writes them.
    [`3\r\nabc\r\n0\r\n${CRC}:NSRBwg==\n\r\n\r\n`, { sizeBytes: 3, trailers: [CRC] }, 'abc', { [CRC]: 'NSRBwg==' }],
    [
      framed(['abc'], [`${CRC}:NSRBwg==`]).replace('==\r\nx-amz-trailer-', '==\n\r\nx-amz-trailer-'),
      { sizeBytes: 3, isSigned: true, trailers: [CRC] },
      'abc',
      { [CRC]: 'NSRBwg==' },
    ],
  ]
  for (const [text, setting, data, trailers] of table) {
    for (const step of [1, 2, 7, 100, 1 << 20]) {
      assert.deepEqual(decode(text, { ...setting, step }), { data, trailers }, `${text.slice(0, 60)} by ${step}`)
    }
  }
})

test('data passes through without a copy', () => {
  const decoder = createChunkedDecoder({ sizeBytes: 4, signing: null, trailers: [] })
  const bytes = Buffer.from('4\r\nabcd\r\n0\r\n\r\n')
  const [piece] = decoder.push(bytes)
  assert.equal(piece?.buffer, bytes.buffer)
  assert.equal(piece?.byteOffset, bytes.byteOffset + 3)
})

test('hostile and broken framing is refused by its code', () => {
  const table: [string, string, Setting, string][] = [
    ['no hex', 'zz\r\n', { sizeBytes: 3 }, 'InvalidChunkSizeError'],
    ['empty size', '\r\n', { sizeBytes: 3 }, 'InvalidChunkSizeError'],
    ['negative', '-1\r\n', { sizeBytes: 3 }, 'InvalidChunkSizeError'],
    ['huge', 'ffffffffffffffff\r\n', { sizeBytes: 3 }, 'InvalidChunkSizeError'],
    ['17 digits', `${'f'.repeat(17)}\r\n`, { sizeBytes: 3 }, 'InvalidChunkSizeError'],
    ['above the length', '4\r\nabcd\r\n', { sizeBytes: 3 }, 'InvalidChunkSizeError'],
    ['above in sum', '2\r\nab\r\n2\r\ncd\r\n', { sizeBytes: 3 }, 'InvalidChunkSizeError'],
    ['unknown extension', '3;x=y\r\nabc\r\n', { sizeBytes: 3 }, 'InvalidChunkSizeError'],
    ['signature where none is due', framed(['abc']), { sizeBytes: 3, trailers: [] }, 'InvalidChunkSizeError'],
    ['no signature where one is due', '3\r\nabc\r\n', { sizeBytes: 3, isSigned: true }, 'InvalidChunkSizeError'],
    ['line without an end', 'a'.repeat(1025), { sizeBytes: 3 }, 'InvalidRequest'],
    ['bare line feed', '3\nabc\r\n0\r\n\r\n', { sizeBytes: 3 }, 'InvalidRequest'],
    ['more than the size', '2\r\nabc\r\n0\r\n\r\n', { sizeBytes: 3 }, 'InvalidRequest'],
    ['after the end', '3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\n', { sizeBytes: 3 }, 'InvalidRequest'],
    ['text after the end', '3\r\nabc\r\n0\r\n\r\nmore', { sizeBytes: 3 }, 'InvalidRequest'],
    ['an empty line too many', `0\r\n${CRC}:x\r\n\r\n\r\n\r\n`, { sizeBytes: 0, trailers: [CRC] }, 'InvalidRequest'],
    ['an empty line more without trailers', '0\r\n\r\n\r\n', { sizeBytes: 0, trailers: [] }, 'InvalidRequest'],
    [
      'a trailer behind the end',
      `0\r\n${CRC}:x\r\n\r\n${CRC}:x\r\n`,
      { sizeBytes: 0, trailers: [CRC] },
      'InvalidRequest',
    ],
    [
      'cut in the signature',
      framed(['abc'], [`${CRC}:NSRBwg==`]).replace(/==\r\nx-amz-trailer-signature:.*/s, '==\n\r\nx-amz-trailer-sig'),
      { sizeBytes: 3, isSigned: true, trailers: [CRC] },
      'IncompleteBody',
    ],
    ['too short', '2\r\nab\r\n0\r\n\r\n', { sizeBytes: 3 }, 'IncompleteBody'],
    ['cut in data', '3\r\nab', { sizeBytes: 3 }, 'IncompleteBody'],
    ['cut before the last chunk', '3\r\nabc\r\n', { sizeBytes: 3 }, 'IncompleteBody'],
    ['cut in the trailer', `3\r\nabc\r\n0\r\n${CRC}:NS`, { sizeBytes: 3, trailers: [CRC] }, 'IncompleteBody'],
    ['nothing at all', '', { sizeBytes: 3 }, 'IncompleteBody'],
    ['missing trailer', '3\r\nabc\r\n0\r\n\r\n', { sizeBytes: 3, trailers: [CRC] }, 'MalformedTrailerError'],
    ['unannounced', `3\r\nabc\r\n0\r\n${CRC}:x\r\n\r\n`, { sizeBytes: 3, trailers: [] }, 'MalformedTrailerError'],
    ['no trailer in this mode', `3\r\nabc\r\n0\r\n${CRC}:x\r\n\r\n`, { sizeBytes: 3 }, 'MalformedTrailerError'],
    ['twice', `0\r\n${CRC}:x\r\n${CRC}:x\r\n\r\n`, { sizeBytes: 0, trailers: [CRC] }, 'MalformedTrailerError'],
    ['no colon', `0\r\n${CRC}\r\n\r\n`, { sizeBytes: 0, trailers: [CRC] }, 'MalformedTrailerError'],
    ['wrong first', framed(['abc'], [], { flip: 0 }), { sizeBytes: 3, isSigned: true }, 'SignatureDoesNotMatch'],
    ['wrong last', framed(['abc'], [], { flip: 1 }), { sizeBytes: 3, isSigned: true }, 'SignatureDoesNotMatch'],
    ['changed data', framed(['abc']).replace('abc', 'abd'), { sizeBytes: 3, isSigned: true }, 'SignatureDoesNotMatch'],
    [
      'changed trailer',
      framed(['abc'], [`${CRC}:NSRBwg==`]).replace('NSR', 'NSS'),
      { sizeBytes: 3, isSigned: true, trailers: [CRC] },
      'SignatureDoesNotMatch',
    ],
    [
      'unsigned trailer',
      framed(['abc'], [`${CRC}:NSRBwg==`]).replace(/x-amz-trailer-signature:\w+\r\n/, ''),
      { sizeBytes: 3, isSigned: true, trailers: [CRC] },
      'MalformedTrailerError',
    ],
  ]
  for (const [what, text, setting, code] of table) {
    for (const step of [1, 1 << 20]) {
      assert.throws(
        () => decode(text, { ...setting, step }),
        (error: S3Error) => {
          assert.equal(error.s3Code, code, `${what} by ${step}`)
          return true
        },
      )
    }
  }
})

const read = (
  headers: Record<string, string>,
  payloadHash: string | null = null,
  checksumOf: 'body' | 'object' = 'body',
) => readPayload({ headers: readHeaders(Object.entries(headers).flat()), payloadHash, chunks: signing, checksumOf })

test('headers tell the size, the framing and what the body must add up to', () => {
  const plain = read({ 'content-length': '3', 'content-md5': 'kAFQmDzST7DWlj99KOF/cg==' }, sha('abc'))
  assert.deepEqual([plain.sizeBytes, plain.framing], [3, 'plain'])
  assert.equal(plain.expected.md5?.toString('hex'), '900150983cd24fb0d6963f7d28e17f72')
  assert.equal(plain.expected.sha256?.toString('hex'), sha('abc'))

  const chunked = read(
    {
      'content-length': '99',
      'x-amz-decoded-content-length': '3',
      'x-amz-trailer': 'X-Amz-Checksum-CRC32C',
      'x-amz-sdk-checksum-algorithm': 'CRC32C',
    },
    'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
  )
  assert.deepEqual([chunked.sizeBytes, chunked.framing], [3, 'chunked'])
  assert.deepEqual(chunked.expected.checksum, { algorithm: 'CRC32C', value: null })

  assert.equal(read({}).sizeBytes, null)
  assert.equal(read({ 'transfer-encoding': 'chunked', 'x-amz-decoded-content-length': '5' }).sizeBytes, 5)
  assert.deepEqual(read({ 'x-amz-checksum-crc32': 'nonsense' }, null, 'object').expected, {})
  // About checksums, not values.
  read({ 'x-amz-checksum-mode': 'ENABLED', 'x-amz-checksum-type': 'FULL_OBJECT', 'x-amz-checksum-algorithm': 'CRC32' })
})

test('contradictions and unknown words are refused', () => {
  const table: [Record<string, string>, string | null, string][] = [
    [{}, 'nonsense', 'InvalidArgument'],
    [{}, 'STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD', 'NotImplemented'],
    [{ 'content-md5': 'kAFQmDzST7DWlj99KOF/' }, null, 'InvalidDigest'],
    [{ 'content-md5': 'not base64!' }, null, 'InvalidDigest'],
    [{ 'x-amz-checksum-crc32': 'AAAA' }, null, 'InvalidRequest'],
    [{ 'x-amz-checksum-crc32': 'AAAAAB==' }, null, 'InvalidRequest'], // not what encoding gives back
    [{ 'x-amz-checksum-md2': 'AAAAAA==' }, null, 'InvalidRequest'],
    [{ 'x-amz-checksum-crc32': 'AAAAAA==', 'x-amz-checksum-crc32c': 'AAAAAA==' }, null, 'InvalidRequest'],
    [{ 'x-amz-sdk-checksum-algorithm': 'CRC32' }, null, 'InvalidRequest'],
    [{ 'x-amz-sdk-checksum-algorithm': 'MD4', 'x-amz-checksum-crc32': 'AAAAAA==' }, null, 'InvalidRequest'],
    [{ 'x-amz-sdk-checksum-algorithm': 'SHA1', 'x-amz-checksum-crc32': 'AAAAAA==' }, null, 'InvalidRequest'],
    [{ 'x-amz-trailer': CRC }, null, 'InvalidRequest'],
    [{ 'x-amz-trailer': 'x-amz-meta-a' }, 'STREAMING-UNSIGNED-PAYLOAD-TRAILER', 'InvalidRequest'],
    [{ 'x-amz-trailer': `${CRC},x-amz-checksum-sha1` }, 'STREAMING-UNSIGNED-PAYLOAD-TRAILER', 'InvalidRequest'],
    [{ 'x-amz-decoded-content-length': '3x' }, 'STREAMING-UNSIGNED-PAYLOAD-TRAILER', 'InvalidArgument'],
    [
      { 'x-amz-decoded-content-length': '99999999999999999999' },
      'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
      'InvalidArgument',
    ],
  ]
  for (const [headers, mode, code] of table) {
    assert.throws(
      () => read(headers, mode),
      (error: S3Error) => {
        assert.equal(error.s3Code, code, JSON.stringify(headers))
        return true
      },
    )
  }
})

async function* pieces(...texts: string[]) {
  for (const text of texts) yield Buffer.from(text)
}
async function bodyOf(headers: Record<string, string>, mode: string | null, ...texts: string[]) {
  const body = openBody(read(headers, mode), pieces(...texts))
  const data: Buffer[] = []
  for await (const chunk of body.bytes) data.push(chunk)
  return { data: Buffer.concat(data).toString(), trailer: body.trailer() }
}

test('a body is as long as announced, and its trailer a checksum', async () => {
  const mode = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER'
  const headers = { 'x-amz-decoded-content-length': '3', 'x-amz-trailer': CRC }
  assert.deepEqual(await bodyOf(headers, mode, '3\r\nab', `c\r\n0\r\n${CRC}:NSRBwg==\r\n\r\n`), {
    data: 'abc',
    trailer: { algorithm: 'CRC32', value: Buffer.from('NSRBwg==', 'base64') },
  })
  await assert.rejects(bodyOf(headers, mode, `3\r\nabc\r\n0\r\n${CRC}:NS\r\n\r\n`), { s3Code: 'InvalidRequest' })
  await assert.rejects(bodyOf({ 'content-length': '4' }, null, 'abc'), { s3Code: 'IncompleteBody' })
  await assert.rejects(bodyOf({ 'x-amz-decoded-content-length': '2' }, null, 'abc'), { s3Code: 'IncompleteBody' })
  await assert.rejects(bodyOf({}, null, 'abc'), { s3Code: 'MissingContentLength' })
})
