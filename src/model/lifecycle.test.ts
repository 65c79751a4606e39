import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type AgingVersion,
  expirationHeader,
  fateOf,
  isUploadOverdue,
  type LifecycleRule,
  prefixesOf,
} from './lifecycle.ts'

const rule = (parts: Partial<LifecycleRule>): LifecycleRule => ({ id: 'r', isEnabled: true, filter: {}, ...parts })
const version = (parts: Partial<AgingVersion> = {}): AgingVersion => ({
  key: 'logs/a',
  sizeBytes: 100,
  tags: { team: 'red' },
  modifiedAt: new Date('2030-01-15T10:30:00Z'),
  isLatest: true,
  isDeleteMarker: false,
  noncurrentSince: null,
  newerNoncurrentVersions: 0,
  isOnly: true,
  ...parts,
})
const at = (time: string) => new Date(time)
const old = at('2040-01-01T00:00:00Z')

test('days are rounded up to midnight UTC', () => {
  const rules = [rule({ expiration: { days: 3 } })]
  assert.equal(fateOf(rules, version(), at('2030-01-18T23:59:59Z')), 'keep')
  assert.equal(fateOf(rules, version(), at('2030-01-19T00:00:00Z')), 'expire')
  assert.equal(expirationHeader(rules, version()), 'expiry-date="Sat, 19 Jan 2030 00:00:00 GMT", rule-id="r"')
  const atMidnight = version({ modifiedAt: at('2030-01-15T00:00:00Z') })
  assert.equal(fateOf(rules, atMidnight, at('2030-01-18T00:00:00Z')), 'expire')
})

test('a date is that date', () => {
  const rules = [rule({ id: 'a b"', expiration: { date: '2030-02-01T00:00:00.000Z' } })]
  assert.equal(fateOf(rules, version(), at('2030-01-31T23:59:59Z')), 'keep')
  assert.equal(fateOf(rules, version(), at('2030-02-01T00:00:00Z')), 'expire')
  assert.equal(
    expirationHeader([rule({ expiration: { days: 1000 } }), ...rules], version()),
    'expiry-date="Fri, 01 Feb 2030 00:00:00 GMT", rule-id="a%20b%22"',
  )
})

test('filters', () => {
  const cases: readonly (readonly [filter: LifecycleRule['filter'], fits: boolean])[] = [
    [{}, true],
    [{ prefix: 'logs/' }, true],
    [{ prefix: 'log/' }, false],
    [{ tags: { team: 'red' } }, true],
    [{ tags: { team: 'blue' } }, false],
    [{ tags: { team: 'red', other: 'x' } }, false],
    [{ sizeGreaterThanBytes: 99 }, true],
    [{ sizeGreaterThanBytes: 100 }, false],
    [{ sizeLessThanBytes: 101 }, true],
    [{ sizeLessThanBytes: 100 }, false],
    [{ prefix: 'logs/', tags: { team: 'red' }, sizeGreaterThanBytes: 1, sizeLessThanBytes: 1000 }, true],
  ]
  for (const [filter, fits] of cases) {
    const rules = [rule({ filter, expiration: { days: 1 } })]
    assert.equal(fateOf(rules, version(), old), fits ? 'expire' : 'keep', JSON.stringify(filter))
    assert.equal(expirationHeader(rules, version()) !== undefined, fits)
  }
  assert.equal(fateOf([rule({ isEnabled: false, expiration: { days: 1 } })], version(), old), 'keep')
})

test('noncurrent versions', () => {
  const noncurrent = (newerNoncurrentVersions: number) =>
    version({ isLatest: false, isOnly: false, noncurrentSince: at('2030-01-20T12:00:00Z'), newerNoncurrentVersions })
  const rules = [rule({ noncurrentExpiration: { days: 2, newerNoncurrentVersions: 2 } })]
  assert.equal(fateOf(rules, noncurrent(2), at('2030-01-22T23:59:59Z')), 'keep')
  assert.equal(fateOf(rules, noncurrent(2), at('2030-01-23T00:00:00Z')), 'remove')
  assert.equal(fateOf(rules, noncurrent(1), old), 'keep')
  assert.equal(fateOf(rules, version(), old), 'keep')
  assert.equal(fateOf([rule({ expiration: { days: 1 } })], noncurrent(9), old), 'keep')
  const marker = { ...noncurrent(0), isDeleteMarker: true }
  assert.equal(fateOf([rule({ noncurrentExpiration: { days: 2 } })], marker, old), 'remove')
})

test('delete markers that hide nothing', () => {
  const marker = (isOnly: boolean) => version({ isDeleteMarker: true, isOnly, sizeBytes: 0, tags: {} })
  const cleaning = [rule({ expiration: { expiredObjectDeleteMarker: true } })]
  assert.equal(fateOf(cleaning, marker(true), marker(true).modifiedAt), 'remove')
  assert.equal(fateOf(cleaning, marker(false), old), 'keep')
  assert.equal(fateOf(cleaning, version(), old), 'keep')
  const aging = [rule({ expiration: { days: 3 } })]
  assert.equal(fateOf(aging, marker(true), at('2030-01-18T00:00:00Z')), 'keep')
  assert.equal(fateOf(aging, marker(true), at('2030-01-19T00:00:00Z')), 'remove')
  assert.equal(fateOf(aging, marker(false), old), 'keep')
  assert.equal(fateOf([rule({ filter: { tags: { a: 'b' } }, expiration: { days: 3 } })], marker(true), old), 'keep')
})

test('uploads that nobody finishes', () => {
  const rules = [rule({ filter: { prefix: 'up/' }, abortIncompleteUploadDays: 1 })]
  const upload = (key: string) => ({ key, startedAt: at('2030-01-15T10:00:00Z') })
  assert.equal(isUploadOverdue(rules, upload('up/x'), at('2030-01-16T23:00:00Z')), false)
  assert.equal(isUploadOverdue(rules, upload('up/x'), at('2030-01-17T00:00:00Z')), true)
  assert.equal(isUploadOverdue(rules, upload('down/x'), old), false)
})

test('only where a rule means anything is looked', () => {
  const under = (...prefixes: string[]) => prefixesOf(prefixes.map((prefix) => rule({ filter: { prefix } })))
  assert.deepEqual(under('a/', 'a/b', 'c'), ['a/', 'c'])
  assert.deepEqual(under('a/', ''), [''])
  assert.deepEqual(prefixesOf([rule({})]), [''])
  assert.deepEqual(prefixesOf([rule({ isEnabled: false })]), [])
})

test('a rule may count more days than there are', () => {
  assert.equal(fateOf([rule({ expiration: { days: 2 ** 31 - 1 } })], version(), old), 'keep')
  assert.ok(expirationHeader([rule({ expiration: { days: 2 ** 31 - 1 } })], version()))
})
