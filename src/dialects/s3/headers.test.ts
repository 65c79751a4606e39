import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readWords } from './call.ts'
import { readHeaders } from './headers.ts'
import { parseQuery } from './target.ts'

test('no name of metadata is lost, whatever it means to JavaScript', () => {
  const headers = readHeaders(['X-Amz-Meta-__proto__', 'a', 'x-amz-meta-constructor', 'b', 'x-amz-meta-both', 'header'])
  assert.deepEqual(Object.entries(headers.under('x-amz-meta-')), [
    ['__proto__', 'a'],
    ['constructor', 'b'],
    ['both', 'header'],
  ])
  const query = parseQuery('x-amz-meta-toString=c&x-amz-meta-__proto__=d&x-amz-meta-both=query')
  const fromQuery = readWords(readHeaders(['x-amz-meta-both', 'header']), query).headersUnder('x-amz-meta-')
  assert.deepEqual(Object.entries(fromQuery), [
    ['tostring', 'c'],
    ['__proto__', 'd'],
    ['both', 'header'],
  ])
})
