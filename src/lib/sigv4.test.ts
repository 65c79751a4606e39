/** Against the worked examples of the Amazon S3 API reference (key AKIAIOSFODNN7EXAMPLE, 24 May 2013). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { amzTime, canonicalQuery, canonicalRequest, EMPTY_SHA256, encodeComponent, encodePath } from './sigv4.ts'
import { presign, signHeaders } from './sigv4-sign.ts'

const keys = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  region: 'us-east-1',
}
const host = 'examplebucket.s3.amazonaws.com'
const at = new Date('2013-05-24T00:00:00Z')
const signatureOf = (headers: Record<string, string>) => headers.authorization?.split('Signature=')[1]

test('a GET with a range', () => {
  const headers = signHeaders(
    { method: 'GET', host, path: '/test.txt', headers: { range: 'bytes=0-9' } },
    EMPTY_SHA256,
    keys,
    at,
  )
  assert.equal(signatureOf(headers), 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41')
  assert.match(headers.authorization ?? '', /SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,/)
})

test('a PUT whose key needs encoding', () => {
  const headers = signHeaders(
    {
      method: 'PUT',
      host,
      path: '/test$file.text',
      headers: { date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' },
    },
    '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072',
    keys,
    at,
  )
  assert.equal(signatureOf(headers), '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd')
})

test('a subresource and a list, by their query', () => {
  const get = (query: [string, string][]) =>
    signatureOf(signHeaders({ method: 'GET', host, path: '/', query }, EMPTY_SHA256, keys, at))
  assert.equal(get([['lifecycle', '']]), 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543')
  const list: [string, string][] = [
    ['prefix', 'J'],
    ['max-keys', '2'],
  ]
  assert.equal(get(list), '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7')
})

test('a presigned URL', () => {
  const url = presign({ method: 'GET', host, path: '/test.txt' }, keys, 86_400, at)
  assert.match(
    url,
    /^\/test\.txt\?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2F/,
  )
  assert.match(url, /&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404$/)
})

test('keys keep every byte and every slash', () => {
  assert.equal(encodePath("/a//b/../c d+é~*!'()"), '/a//b/../c%20d%2B%C3%A9~%2A%21%27%28%29')
  assert.equal(encodeComponent('a/b\ud800'), 'a%2Fb%EF%BF%BD')
})

test('the query is sorted by its encoded bytes and leaves the signature out', () => {
  const query: [string, string][] = [
    ['b', '2'],
    ['uploads', ''],
    ['b', '10'],
    ['B', '~'],
    ['X-Amz-Signature', 'abc'],
    ['ü', ' '],
  ]
  assert.equal(canonicalQuery(query), '%C3%BC=%20&B=~&b=10&b=2&uploads=')
})

test('header values are trimmed, their spaces collapsed, repeated ones joined, and bytes kept', () => {
  const lines = canonicalRequest({
    method: 'GET',
    path: '/',
    query: [],
    headers: { host: ' h \t', 'x-amz-meta-a': ['  one   two ', 'three'], 'x-amz-meta-b': 'Ã\xa0 la', ignored: 'x' },
    signedHeaders: ['host', 'x-amz-meta-a', 'x-amz-meta-b'],
    payloadHash: 'UNSIGNED-PAYLOAD',
  }).split('\n')
  assert.deepEqual(lines.slice(3, 6), ['host:h', 'x-amz-meta-a:one two,three', 'x-amz-meta-b:Ã\xa0 la'])
  assert.deepEqual(lines.slice(6), ['', 'host;x-amz-meta-a;x-amz-meta-b', 'UNSIGNED-PAYLOAD'])
})

test('time is whole seconds in UTC', () => {
  assert.equal(amzTime(new Date('2026-01-31T23:59:59.999Z')), '20260131T235959Z')
})
