import assert from 'node:assert/strict'
import { test } from 'node:test'
import { S3Error } from './s3-error.ts'
import { tagsOf, tagsOfHeader } from './tags.ts'

test('tags of the header', () => {
  assert.deepEqual(tagsOfHeader('a=b&c=d%20e&f=+&g=&h'), { a: 'b', c: 'd e', f: ' ', g: '', h: '' })
  assert.deepEqual(tagsOfHeader(''), {})
  assert.deepEqual(tagsOfHeader('%C3%A9=x%3Dy=z'), { é: 'x=y=z' })
  assert.equal(Object.hasOwn(tagsOfHeader('__proto__=x'), '__proto__'), true)
})

test('what is no tag', () => {
  const many = (count: number) => Array.from({ length: count }, (_, index) => [`k${index}`, ''] as const)
  const cases: readonly (readonly [make: () => unknown, code: string])[] = [
    [() => tagsOfHeader('=b'), 'InvalidTag'],
    [() => tagsOfHeader('a=b&a=c'), 'InvalidTag'],
    [() => tagsOfHeader('a=%'), 'InvalidArgument'],
    [() => tagsOfHeader('a=%FF'), 'InvalidArgument'],
    [() => tagsOfHeader('a=b%3Cc'), 'InvalidTag'],
    [() => tagsOfHeader('aws:x=1'), 'InvalidTag'],
    [() => tagsOf([['k'.repeat(129), '']], 'object'), 'InvalidTag'],
    [() => tagsOf([['k', 'v'.repeat(257)]], 'object'), 'InvalidTag'],
    [() => tagsOf([['a\nb', '']], 'object'), 'InvalidTag'],
    [() => tagsOf(many(11), 'object'), 'BadRequest'],
    [() => tagsOf(many(51), 'bucket'), 'BadRequest'],
  ]
  for (const [make, code] of cases) {
    assert.throws(make, (error) => error instanceof S3Error && error.s3Code === code, code)
  }
  assert.equal(Object.keys(tagsOf(many(50), 'bucket')).length, 50)
})
