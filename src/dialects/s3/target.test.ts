import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { S3Error } from '../../model/s3-error.ts'
import { parseTarget } from './target.ts'

const DOMAINS = { s3: ['localhost', 's3.localhost', 's3.example.com'], website: 'website.localhost' }
const parse = (raw: string, host = '127.0.0.1:9000') => parseTarget(raw, host, DOMAINS)

test('path style: service, bucket and key', () => {
  const table: [string, string | null, string | null][] = [
    ['/', null, null],
    ['/b', 'b', null],
    ['/b/', 'b', null],
    ['/b?list-type=2', 'b', null],
    ['/b/k', 'b', 'k'],
    ['/b/k/', 'b', 'k/'],
    ['/b//k', 'b', '/k'],
    ['/b/a//b', 'b', 'a//b'],
    ['/b/./../x', 'b', './../x'],
    ['/b/../../etc/passwd', 'b', '../../etc/passwd'],
    ['/b/a+b', 'b', 'a+b'],
    ['/b/a%20b%2Fc', 'b', 'a b/c'],
    ['/b/%2525', 'b', '%25'],
    ['/b/%F0%9F%98%80', 'b', '😀'],
    ['/b/\u00c3\u00a6', 'b', 'æ'], // raw UTF-8 bytes, which strict clients never send
    ['/b/a%01%7F%0A', 'b', 'a\u0001\u007f\n'],
    ['/b/a?b', 'b', 'a'],
    ['/b/a%3Fb', 'b', 'a?b'],
    ['/b/%EF%BB%BFx', 'b', '\ufeffx'],
    ['http://proxy.example/b/k?x=1', 'b', 'k'],
    ['http://proxy.example', null, null],
  ]
  for (const [raw, bucket, key] of table) {
    const target = parse(raw)
    assert.deepEqual([target.bucket, target.key], [bucket, key], raw)
  }
})

test('virtual-hosted style: the longest base domain wins', () => {
  const table: [string, string, string, string | null, string | null][] = [
    ['b.localhost:9000', '/k', 'host', 'b', 'k'],
    ['B.LocalHost', '/', 'host', 'b', null],
    ['my.bucket.s3.localhost', '/a/b', 'host', 'my.bucket', 'a/b'],
    ['b.s3.localhost', '//a', 'host', 'b', '/a'],
    ['s3.localhost:1', '/b/k', 'path', 'b', 'k'],
    ['localhost', '/b/k', 'path', 'b', 'k'],
    ['other.example', '/b/k', 'path', 'b', 'k'],
    ['xs3.example.com', '/b/k', 'path', 'b', 'k'],
    ['b.s3.example.com.', '/k', 'host', 'b', 'k'],
    ['site.website.localhost:9000', '/dir/', 'website', 'site', 'dir/'],
    ['website.localhost', '/b/k', 'path', 'b', 'k'],
    ['[::1]:9000', '/b/k', 'path', 'b', 'k'],
  ]
  for (const [host, raw, style, bucket, key] of table) {
    const target = parse(raw, host)
    assert.deepEqual([target.style, target.bucket, target.key], [style, bucket, key], `${host} ${raw}`)
  }
  assert.equal(parseTarget('/b/k', undefined, DOMAINS).bucket, 'b')
})

test('a query is decoded once, in order, and knows presence without a value', () => {
  const { query } = parse('/b?uploads&prefix=a%2Bb+c&prefix=second&&empty=&x=a=b')
  assert.equal(query.has('uploads'), true)
  assert.equal(query.get('uploads'), '')
  assert.equal(query.get('prefix'), 'a+b c')
  assert.equal(query.get('x'), 'a=b')
  assert.equal(query.has('nothing'), false)
  assert.equal(query.raw, 'uploads&prefix=a%2Bb+c&prefix=second&&empty=&x=a=b')
  assert.equal(query.items.length, 5)
})

test('what cannot be a target is refused by its code', () => {
  const table: [string, string][] = [
    ['/b/%', 'InvalidURI'],
    ['/b/%4', 'InvalidURI'],
    ['/b/%zz', 'InvalidURI'],
    ['/b/%00', 'InvalidURI'],
    ['/b/%ff', 'InvalidURI'],
    ['/b/%C0%AF', 'InvalidURI'], // an overlong slash
    ['/b/%ED%A0%80', 'InvalidURI'], // a surrogate
    ['//k', 'InvalidURI'],
    ['*', 'InvalidURI'],
    ['b/k', 'InvalidURI'],
    ['/b?prefix=%', 'InvalidArgument'],
    ['/b?prefix=%00', 'InvalidArgument'],
    ['/b?%ff=1', 'InvalidArgument'],
    [`/b?${'a&'.repeat(201)}`, 'InvalidArgument'],
    [`/b/${'k'.repeat(1025)}`, 'KeyTooLongError'],
    [`/b/${'%C3%A6'.repeat(513)}`, 'KeyTooLongError'],
  ]
  for (const [raw, code] of table) {
    assert.throws(
      () => parse(raw),
      (error: S3Error) => error.s3Code === code,
      raw,
    )
  }
  assert.equal(parse(`/b/${'%C3%A6'.repeat(512)}`).key?.length, 512)
})
