import assert from 'node:assert/strict'
import { test } from 'node:test'
import { evaluate, type PolicyFacts, parsePolicy, type Verdict } from './bucket-policy.ts'
import type { Caller } from './bucket-policy-principal.ts'
import { isPublic } from './bucket-policy-public.ts'
import { canonicalIdOf } from './canonical-id.ts'
import { newId } from './ids.ts'
import type { S3Action } from './s3-action.ts'
import { S3Error } from './s3-error.ts'

const ana: Caller = { accountId: newId('account'), accountNumber: 10_001 }
const ben: Caller = { accountId: newId('account'), accountNumber: 10_002 }
const BUCKET = 'arn:aws:s3:::photos'
const OBJECTS = `${BUCKET}/*`

type Parts = Record<string, unknown>
const statement = (parts: Parts = {}): Parts => ({
  Effect: 'Allow',
  ...('NotPrincipal' in parts ? {} : { Principal: '*' }),
  ...('NotAction' in parts ? {} : { Action: 's3:GetObject' }),
  ...('NotResource' in parts ? {} : { Resource: OBJECTS }),
  ...parts,
})
const policyText = (...statements: Parts[]) => JSON.stringify({ Version: '2012-10-17', Statement: statements })
const policy = (...statements: Parts[]) => parsePolicy(policyText(...statements), 'photos')

interface Asked {
  action?: S3Action
  key?: string | null
  caller?: Caller | null
  values?: Record<string, readonly string[]>
}
const facts = ({ action = 's3:GetObject', key = 'a/b', caller = null, values = {} }: Asked): PolicyFacts => ({
  action,
  bucketName: 'photos',
  key,
  caller,
  valuesOf: (name) => values[name] ?? [],
})
const ask = (statements: Parts[], asked: Asked = {}): Verdict => evaluate(policy(...statements), facts(asked))

test('who: principals', () => {
  const cases: readonly (readonly [parts: Parts, caller: Caller | null, verdict: Verdict])[] = [
    [{ Principal: '*' }, null, 'Allow'],
    [{ Principal: { AWS: '*' } }, null, 'Allow'],
    [{ Principal: { AWS: ['*'] } }, ana, 'Allow'],
    [{ Principal: { AWS: ana.accountId } }, ana, 'Allow'],
    [{ Principal: { AWS: ana.accountId } }, ben, 'silent'],
    [{ Principal: { AWS: ana.accountId } }, null, 'silent'],
    [{ Principal: { AWS: [ben.accountId, ana.accountId] } }, ana, 'Allow'],
    [{ Principal: { AWS: 'arn:aws:iam::10001:root' } }, ana, 'Allow'],
    [{ Principal: { AWS: 'arn:aws:iam::000000010001:root' } }, ana, 'Allow'],
    [{ Principal: { AWS: '000000010001' } }, ana, 'Allow'],
    [{ Principal: { AWS: 'arn:aws:iam::10001:root' } }, ben, 'silent'],
    [{ Principal: { AWS: canonicalIdOf(ana.accountId) } }, ana, 'Allow'],
    [{ Principal: { CanonicalUser: canonicalIdOf(ana.accountId) } }, ana, 'Allow'],
    [{ Principal: { CanonicalUser: canonicalIdOf(ana.accountId), AWS: ben.accountId } }, ben, 'Allow'],
    [{ NotPrincipal: { AWS: ana.accountId }, Effect: 'Deny' }, ana, 'silent'],
    [{ NotPrincipal: { AWS: ana.accountId }, Effect: 'Deny' }, ben, 'Deny'],
    [{ NotPrincipal: { AWS: ana.accountId }, Effect: 'Deny' }, null, 'Deny'],
    [{ NotPrincipal: '*', Effect: 'Deny' }, null, 'silent'],
  ]
  for (const [parts, caller, verdict] of cases) {
    assert.equal(ask([statement(parts)], { caller }), verdict, JSON.stringify(parts))
  }
})

test('what: actions and resources', () => {
  const both = [BUCKET, OBJECTS]
  const cases: readonly (readonly [parts: Parts, action: S3Action, key: string | null, verdict: Verdict])[] = [
    [{}, 's3:GetObject', 'a', 'Allow'],
    [{}, 's3:PutObject', 'a', 'silent'],
    [{}, 's3:GetObjectVersion', 'a', 'silent'],
    [{ Action: 's3:getobject' }, 's3:GetObject', 'a', 'Allow'],
    [{ Action: 's3:Get*' }, 's3:GetObjectVersion', 'a', 'Allow'],
    [{ Action: 's3:*', Resource: both }, 's3:ListBucket', null, 'Allow'],
    [{ Action: '*' }, 's3:DeleteObject', 'a', 'Allow'],
    [{ Action: 's3:?etObject' }, 's3:GetObject', 'a', 'Allow'],
    [{ Action: ['s3:PutObject', 's3:DeleteObject'] }, 's3:DeleteObject', 'a', 'Allow'],
    [{ NotAction: 's3:DeleteObject' }, 's3:DeleteObject', 'a', 'silent'],
    [{ NotAction: 's3:DeleteObject' }, 's3:GetObject', 'a', 'Allow'],
    [{ Action: 's3:*' }, 's3:ListBucket', null, 'silent'],
    [{ Action: 's3:*', Resource: BUCKET }, 's3:GetObject', 'a', 'silent'],
    [{ Resource: `${BUCKET}/public/*` }, 's3:GetObject', 'public/a/b', 'Allow'],
    [{ Resource: `${BUCKET}/public/*` }, 's3:GetObject', 'publicity', 'silent'],
    [{ Resource: `${BUCKET}/?.jpg` }, 's3:GetObject', 'a.jpg', 'Allow'],
    [{ Resource: `${BUCKET}/?.jpg` }, 's3:GetObject', 'ab.jpg', 'silent'],
    [{ Resource: `${BUCKET}/A` }, 's3:GetObject', 'a', 'silent'],
    [{ Resource: [`${BUCKET}/x`, `${BUCKET}/a`] }, 's3:GetObject', 'a', 'Allow'],
    [{ NotResource: `${BUCKET}/secret/*` }, 's3:GetObject', 'secret/a', 'silent'],
    [{ NotResource: `${BUCKET}/secret/*` }, 's3:GetObject', 'a', 'Allow'],
  ]
  for (const [parts, action, key, verdict] of cases) {
    assert.equal(ask([statement(parts)], { action, key }), verdict, `${JSON.stringify(parts)} ${action} ${key}`)
  }
})

test('an explicit Deny wins in any order', () => {
  const allow = statement()
  const deny = statement({ Effect: 'Deny', Principal: { AWS: ana.accountId } })
  assert.equal(ask([allow, deny], { caller: ana }), 'Deny')
  assert.equal(ask([deny, allow], { caller: ana }), 'Deny')
  assert.equal(ask([deny, allow], { caller: ben }), 'Allow')
})

test('conditions', () => {
  const ip = (operator: string, range: unknown) => ({ [operator]: { 'aws:SourceIp': range } })
  const from = (address: string) => ({ 'aws:sourceip': [address] })
  const text = (operator: string, expected: unknown) => ({ [operator]: { 's3:prefix': expected } })
  const prefix = (value: string) => ({ 's3:prefix': [value] })
  const keys = (operator: string, expected: unknown) => ({ [operator]: { 's3:max-keys': expected } })
  const max = (value: string) => ({ 's3:max-keys': [value] })
  const date = (operator: string, expected: unknown) => ({ [operator]: { 'aws:CurrentTime': expected } })
  const time = (iso: string) => ({ 'aws:currenttime': [String(Date.parse(iso) / 1000)] })
  const tagKeys = (operator: string, expected: unknown) => ({ [operator]: { 's3:RequestObjectTagKeys': expected } })
  const tags = (...names: string[]) => ({ 's3:requestobjecttagkeys': names })
  const secure = (value: unknown) => ({ Bool: { 'aws:SecureTransport': value } })
  const cases: readonly (readonly [Condition: Parts, values: Record<string, readonly string[]>, holds: boolean])[] = [
    [text('StringEquals', 'a'), prefix('a'), true],
    [text('StringEquals', 'a'), prefix('A'), false],
    [text('StringEquals', ['b', 'a']), prefix('a'), true],
    [text('StringEquals', 'a*'), prefix('ab'), false],
    [text('StringEquals', 'a'), {}, false],
    [text('StringEqualsIfExists', 'a'), {}, true],
    [text('StringEqualsIfExists', 'a'), prefix('b'), false],
    [text('StringNotEquals', 'a'), prefix('b'), true],
    [text('StringNotEquals', ['a', 'b']), prefix('b'), false],
    [text('StringNotEquals', 'a'), {}, true],
    [text('StringEqualsIgnoreCase', 'ab'), prefix('AB'), true],
    [text('StringNotEqualsIgnoreCase', 'ab'), prefix('AB'), false],
    [text('StringLike', 'home/*'), prefix('home/ana'), true],
    [text('StringLike', 'home/*'), prefix('home'), false],
    [text('StringLike', ''), prefix(''), true],
    [text('StringNotLike', 'home/*'), prefix('home/ana'), false],
    [text('StringNotLikeIfExists', 'home/*'), prefix('etc'), true],
    [{ StringEquals: { 'S3:PREFIX': 'a' } }, prefix('a'), true],
    [keys('NumericEquals', 10), max('10'), true],
    [keys('NumericEquals', '10'), max('010'), true],
    [keys('NumericNotEquals', 10), max('11'), true],
    [keys('NumericLessThan', 10), max('9.5'), true],
    [keys('NumericLessThanEquals', '10'), max('10'), true],
    [keys('NumericLessThanEquals', '10'), max('11'), false],
    [keys('NumericLessThanEquals', '10'), {}, false],
    [keys('NumericGreaterThan', 10), max('many'), false],
    [keys('NumericGreaterThanEquals', 10), max('10'), true],
    [date('DateLessThan', '2030-01-01T00:00:00Z'), time('2029-12-31T23:59:59Z'), true],
    [date('DateLessThan', '2030-01-01'), time('2030-01-01T00:00:00Z'), false],
    [date('DateLessThanEquals', '2030-01-01T01:00:00+01:00'), time('2030-01-01T00:00:00Z'), true],
    [date('DateGreaterThan', '1893456000'), time('2030-01-01T00:00:01Z'), true],
    [date('DateGreaterThanEquals', '2030-01-01T00:00:00Z'), time('2030-01-01T00:00:00Z'), true],
    [date('DateEquals', '2030-01-01T00:00:00Z'), time('2030-01-01T00:00:00Z'), true],
    [date('DateNotEquals', '2030-01-01T00:00:00Z'), time('2030-01-01T00:00:00Z'), false],
    [secure('false'), { 'aws:securetransport': ['false'] }, true],
    [secure(false), { 'aws:securetransport': ['true'] }, false],
    [ip('IpAddress', '203.0.113.0/24'), from('203.0.113.9'), true],
    [ip('IpAddress', '203.0.113.0/24'), from('203.0.114.9'), false],
    [ip('IpAddress', ['10.0.0.0/8', '2001:db8::/32']), from('2001:db8::5'), true],
    [ip('NotIpAddress', ['10.0.0.0/8', '2001:db8::/32']), from('2001:db8::5'), false],
    [ip('NotIpAddress', '10.0.0.0/8'), from('192.0.2.1'), true],
    [{ Null: { 's3:prefix': true } }, {}, true],
    [{ Null: { 's3:prefix': 'true' } }, prefix(''), false],
    [{ Null: { 's3:prefix': 'false' } }, prefix(''), true],
    [{ StringEquals: { 's3:ExistingObjectTag/Team': 'red' } }, { 's3:existingobjecttag/Team': ['red'] }, true],
    [{ StringEquals: { 's3:ExistingObjectTag/team': 'red' } }, { 's3:existingobjecttag/Team': ['red'] }, false],
    [tagKeys('ForAllValues:StringEquals', ['a', 'b']), tags('a', 'b'), true],
    [tagKeys('ForAllValues:StringEquals', ['a', 'b']), tags('a', 'c'), false],
    [tagKeys('ForAllValues:StringEquals', ['a', 'b']), {}, true],
    [tagKeys('ForAnyValue:StringEquals', ['a', 'b']), tags('a', 'c'), true],
    [tagKeys('ForAnyValue:StringEquals', ['a', 'b']), tags('c'), false],
    [tagKeys('ForAnyValue:StringEquals', ['a', 'b']), {}, false],
    [tagKeys('ForAnyValue:StringNotEquals', 'a'), tags('a', 'c'), true],
    [tagKeys('ForAllValues:StringNotEquals', 'a'), tags('a', 'c'), false],
    [{ ...text('StringEquals', 'a'), ...secure(true) }, prefix('a'), false],
    [{ ...text('StringEquals', 'a'), ...secure(true) }, { ...prefix('a'), 'aws:securetransport': ['true'] }, true],
  ]
  for (const [Condition, values, isHeld] of cases) {
    const said = JSON.stringify({ Condition, values })
    assert.equal(ask([statement({ Condition })], { values }), isHeld ? 'Allow' : 'silent', said)
    assert.equal(ask([statement({ Condition, Effect: 'Deny' })], { values }), isHeld ? 'Deny' : 'silent', said)
  }
})

test('what we would not follow is refused with the reason', () => {
  const cases: readonly (readonly [text: string, reason: RegExp])[] = [
    ['', /invalid Json/],
    ['[]', /first byte/],
    ['"x"', /first byte/],
    [`${policyText(statement())}x`, /invalid Json/],
    ['{}', /Missing required field Statement/],
    [policyText(), /Statement is empty/],
    [JSON.stringify({ Version: '2020-01-01', Statement: [statement()] }), /valid version/],
    [JSON.stringify({ Version: '2012-10-17', Statement: [statement()], Extra: 1 }), /Unknown field Extra/],
    [JSON.stringify({ Id: 1, Statement: [statement()] }), /Id must/],
    [policyText('text' as unknown as Parts), /must be an object/],
    [policyText(statement({ Effect: 'allow' })), /Invalid effect: allow/],
    [policyText({ ...statement(), Effect: undefined }), /Missing required field Effect/],
    [policyText({ ...statement(), Principal: undefined }), /Missing required field Principal/],
    [policyText({ ...statement(), Action: undefined }), /Missing required field Action/],
    [policyText({ ...statement(), Resource: undefined }), /Missing required field Resource/],
    [policyText({ ...statement(), NotAction: 's3:GetObject', Action: 's3:PutObject' }), /exclude each other/],
    [policyText(statement({ Conditions: {} })), /Unknown field Conditions/],
    [policyText(statement({ Sid: 'a' }), statement({ Sid: 'a' })), /must be unique/],
    [policyText(statement({ Sid: 4 })), /Sid must/],
    [policyText(statement({ Principal: 'ana' })), /Invalid principal/],
    [policyText(statement({ Principal: {} })), /Invalid principal/],
    [policyText(statement({ Principal: { AWS: [] } })), /Invalid principal/],
    [policyText(statement({ Principal: { AWS: 'arn:aws:iam::10001:user/ana' } })), /Invalid principal/],
    [policyText(statement({ Principal: { AWS: 'a'.repeat(64) } })), /Invalid principal/],
    [policyText(statement({ Principal: { CanonicalUser: '*' } })), /Invalid principal/],
    [policyText(statement({ Principal: { Service: 'cloudfront.amazonaws.com' } })), /Invalid principal/],
    [policyText(statement({ Action: 's3:Nothing' })), /invalid action/],
    [policyText(statement({ Action: 'ec2:*' })), /invalid action/],
    [policyText(statement({ Action: [] })), /invalid action/],
    [policyText(statement({ Resource: '*' })), /invalid resource/],
    [policyText(statement({ Resource: 'arn:aws:s3:::*' })), /invalid resource/],
    [policyText(statement({ Resource: 'arn:aws:s3:::other/*' })), /invalid resource/],
    [policyText(statement({ Resource: 'arn:aws:s3:::photos2/*' })), /invalid resource/],
    [policyText(statement({ Resource: [OBJECTS, 5] })), /invalid resource/],
    [policyText(statement({ Resource: `${BUCKET}/\${aws:username}/*` })), /variables are not supported/],
    [policyText(statement({ Resource: BUCKET })), /does not apply to any resource/],
    [policyText(statement({ Action: 's3:ListBucket' })), /does not apply to any resource/],
    [policyText(statement({ Condition: [] })), /must be an object/],
    [policyText(statement({ Condition: { StringEquals: 'x' } })), /must hold an object/],
    [policyText(statement({ Condition: { StringEqual: { 's3:prefix': 'x' } } })), /Condition type : StringEqual/],
    [policyText(statement({ Condition: { BinaryEquals: { 's3:prefix': 'x' } } })), /Condition type/],
    [policyText(statement({ Condition: { constructor: { 's3:prefix': 'x' } } })), /Condition type/],
    [policyText(statement({ Condition: { NullIfExists: { 's3:prefix': 'true' } } })), /Condition type/],
    [policyText(statement({ Condition: { 'ForSome:Bool': { 's3:prefix': 'true' } } })), /Condition type/],
    [policyText(statement({ Condition: { StringEquals: { 'aws:SourceVpc': 'x' } } })), /invalid condition key/],
    [policyText(statement({ Condition: { StringEquals: { 's3:ExistingObjectTag/': 'x' } } })), /invalid condition key/],
    [policyText(statement({ Condition: { StringEquals: { 's3:prefix': [] } } })), /no values/],
    [policyText(statement({ Condition: { StringEquals: { 's3:prefix': {} } } })), /no values/],
    [policyText(statement({ Condition: { NumericEquals: { 's3:max-keys': 'ten' } } })), /Invalid value/],
    [policyText(statement({ Condition: { DateLessThan: { 'aws:CurrentTime': 'tomorrow' } } })), /Invalid value/],
    [policyText(statement({ Condition: { Bool: { 'aws:SecureTransport': 'maybe' } } })), /Invalid value/],
    [policyText(statement({ Condition: { IpAddress: { 'aws:SourceIp': '10.0.0.0/33' } } })), /Invalid value/],
    [policyText(statement({ Condition: { StringLike: { 's3:prefix': `\${aws:username}` } } })), /variables/],
    ['{"Statement":[],"Statement":[]}', /empty|twice/],
    [policyText(statement()).replace('"Effect":"Allow"', '"Effect":"Deny","Effect":"Allow"'), /Effect stands twice/],
    [policyText(statement({ Sid: 'x'.repeat(20 * 1024) })), /20 KiB/],
  ]
  for (const [text, reason] of cases) {
    assert.throws(
      () => parsePolicy(text, 'photos'),
      (error: unknown) => error instanceof S3Error && error.s3Code === 'MalformedPolicy' && reason.test(error.message),
      text.slice(0, 300),
    )
  }
})

test('what clients write in other ways is understood', () => {
  for (const text of [
    JSON.stringify({ Statement: statement() }),
    JSON.stringify({ Version: '2008-10-17', Id: 'x', Statement: [statement({ Resource: `${BUCKET}/\${literal}` })] }),
    policyText(statement({ Sid: '' }), statement({ Sid: '' })),
    policyText(statement({ Action: 's3:GetObjectTorrent' })),
    policyText(statement({ Resource: [OBJECTS, BUCKET], Action: ['s3:GetObject', 's3:ListBucket'] })),
    policyText(statement({ Sid: '"Effect":' })),
  ]) {
    assert.equal(parsePolicy(text, 'photos').statements.length > 0, true)
  }
  assert.equal(ask([statement({ Resource: `${BUCKET}/\${$}5` })], { key: '$5' }), 'Allow')
})

test('public is what everyone may without being tied to something', () => {
  const condition = (Condition: Parts) => statement({ Condition })
  const cases: readonly (readonly [parts: Parts, isPublic: boolean])[] = [
    [statement(), true],
    [statement({ Effect: 'Deny' }), false],
    [statement({ Principal: { AWS: '*' } }), true],
    [statement({ Principal: { AWS: ana.accountId } }), false],
    [statement({ NotPrincipal: { AWS: ana.accountId } }), true],
    [condition({ IpAddress: { 'aws:SourceIp': '203.0.113.0/24' } }), false],
    [condition({ IpAddress: { 'aws:SourceIp': ['203.0.113.0/24', '0.0.0.0/1'] } }), true],
    [condition({ IpAddress: { 'aws:SourceIp': '2001::/16' } }), true],
    [condition({ IpAddress: { 'aws:SourceIp': '2001:db8::/32' } }), false],
    [condition({ IpAddressIfExists: { 'aws:SourceIp': '203.0.113.0/24' } }), true],
    [condition({ NotIpAddress: { 'aws:SourceIp': '203.0.113.0/24' } }), true],
    [condition({ StringEquals: { 'aws:PrincipalAccount': '000000010001' } }), false],
    [condition({ StringLike: { 'aws:PrincipalAccount': '*' } }), true],
    [condition({ StringEquals: { 'aws:Referer': 'https://example.com' } }), true],
    [condition({ Bool: { 'aws:SecureTransport': 'true' } }), true],
  ]
  for (const [parts, expected] of cases) assert.equal(isPublic(policy(parts)), expected, JSON.stringify(parts))
})
