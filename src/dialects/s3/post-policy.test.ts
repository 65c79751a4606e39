import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkPostPolicy, parsePostPolicy } from './post-policy.ts'

const NOW = new Date('2026-03-01T12:00:00Z')
const encode = (document: unknown) => Buffer.from(JSON.stringify(document)).toString('base64')
const policy = (...conditions: unknown[]) =>
  parsePostPolicy(encode({ expiration: '2026-03-01T13:00:00.000Z', conditions }))
const check = (conditions: unknown[], fields: Record<string, string>) =>
  checkPostPolicy(policy(...conditions), new Map(Object.entries({ bucket: 'b', ...fields })), NOW)

test('every field must be covered, and fit', () => {
  const conditions = [
    { bucket: 'b' },
    ['starts-with', '$key', 'user/'],
    ['eq', '$Acl', 'private'],
    ['starts-with', '$x-amz-meta-a', ''],
  ]
  const good = {
    key: 'user/x',
    acl: 'private',
    'x-amz-meta-a': 'anything',
    policy: 'p',
    'x-amz-signature': 's',
    'x-ignore-me': '1',
  }
  assert.deepEqual(check(conditions, good), { min: 0, max: Number.MAX_SAFE_INTEGER })
  const wrong: Record<string, string>[] = [
    { ...good, key: 'other/x' },
    { ...good, acl: 'public-read' },
    { ...good, bucket: 'c' },
    { ...good, tagging: 'x' },
    { ...good, 'content-type': 'text/html' },
    { acl: 'private', 'x-amz-meta-a': '' }, // no key
  ]
  for (const fields of wrong)
    assert.throws(() => check(conditions, fields), { s3Code: 'AccessDenied' }, JSON.stringify(fields))
})

test('sizes: the narrowest of all ranges', () => {
  assert.deepEqual(
    check(
      [
        ['content-length-range', 1, 100],
        ['content-length-range', '10', '200'],
      ],
      {},
    ),
    { min: 10, max: 100 },
  )
})

test('an expired policy allows nothing; a broken one is said to be broken', () => {
  const expired = parsePostPolicy(encode({ expiration: '2026-03-01T12:00:00Z', conditions: [] }))
  assert.throws(() => checkPostPolicy(expired, new Map(), NOW), { s3Code: 'AccessDenied' })
  const broken = [
    'not base64 of JSON',
    encode([]),
    encode({ conditions: [] }),
    encode({ expiration: 'tomorrow', conditions: [] }),
    encode({ expiration: '2030-01-01T00:00:00Z' }),
    ...[
      ['eq', '$key'],
      ['like', '$key', 'x'],
      ['eq', 'key', 'x'],
      'text',
      { key: 1 },
      ['content-length-range', 'a', 1],
    ].map((condition) => encode({ expiration: '2030-01-01T00:00:00Z', conditions: [condition] })),
  ]
  for (const text of broken) assert.throws(() => parsePostPolicy(text), { s3Code: 'InvalidPolicyDocument' }, text)
})
