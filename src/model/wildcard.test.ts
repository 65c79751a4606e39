import assert from 'node:assert/strict'
import { test } from 'node:test'
import { matchesWildcard } from './wildcard.ts'

const CASES: readonly (readonly [pattern: string, text: string, matches: boolean])[] = [
  ['', '', true],
  ['', 'a', false],
  ['*', '', true],
  ['*', 'a/b', true],
  ['a', 'a', true],
  ['a', 'A', false],
  ['a?c', 'abc', true],
  ['a?c', 'ac', false],
  ['a*c', 'ac', true],
  ['a*c', 'a/b/c', true],
  ['a*c', 'a/b/cd', false],
  ['*.jpg', 'x.jpg.jpg', true],
  ['**a', 'ba', true],
  ['a*b*c', 'axbyc', true],
  ['a*b*c', 'axcyb', false],
  ['[a]+', '[a]+', true],
]

for (const [pattern, text, matches] of CASES) {
  test(`${pattern} ${matches ? 'matches' : 'does not match'} ${text}`, () => {
    assert.equal(matchesWildcard(pattern, text), matches)
  })
}

test('a question mark can stand for itself', () => {
  assert.equal(matchesWildcard('a?', 'ab', null), false)
  assert.equal(matchesWildcard('a?*', 'a?b', null), true)
})

test('many stars are not dear', () => {
  assert.equal(matchesWildcard(`${'a*'.repeat(200)}b`, 'a'.repeat(1024)), false)
})
