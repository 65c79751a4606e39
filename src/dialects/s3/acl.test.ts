import assert from 'node:assert/strict'
import { test } from 'node:test'
import { privateAcl } from '../../model/acl.ts'
import { canonicalIdOf } from '../../model/canonical-id.ts'
import { newId } from '../../model/ids.ts'
import { S3Error } from '../../model/s3-error.ts'
import { aclOfHeaders, parseAcl, presentAcl } from './acl.ts'
import { group, leaf } from './xml.ts'

const account = newId('account')
const id = canonicalIdOf(account)
const ALL = 'http://acs.amazonaws.com/groups/global/AllUsers'
const refuses = (code: string) => (error: unknown) => error instanceof S3Error && error.s3Code === code
const parse = (xml: string) => parseAcl(Buffer.from(xml))
const policy = (grants: string) =>
  `<AccessControlPolicy><Owner><ID>${id}</ID></Owner><AccessControlList>${grants}</AccessControlList></AccessControlPolicy>`

test('an ACL as XML, and back', () => {
  const acl = {
    grants: [
      ...privateAcl(account).grants,
      { grantee: { kind: 'everyone' as const }, permission: 'READ' as const },
      { grantee: { kind: 'authenticated' as const }, permission: 'WRITE' as const },
      { grantee: { kind: 'logDelivery' as const }, permission: 'READ_ACP' as const },
    ],
  }
  const xml = presentAcl(group('Owner', [leaf('ID', id)]), acl)
  assert.ok(xml.includes('xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"'))
  assert.deepEqual(parse(xml), { ownerId: id, ...acl })
})

test('grants as clients write them', () => {
  const grant = (grantee: string) => policy(`<Grant>${grantee}<Permission>READ</Permission></Grant>`)
  const granteeOf = (xml: string) => {
    const wish = parse(grant(xml))
    return 'grants' in wish ? wish.grants[0]?.grantee : undefined
  }
  const xsi = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
  assert.deepEqual(granteeOf(`<Grantee><ID>${id}</ID><DisplayName>x</DisplayName></Grantee>`), {
    kind: 'account',
    canonicalId: id,
  })
  assert.deepEqual(granteeOf(`<Grantee ${xsi} xsi:type="Group"><URI>${ALL}</URI></Grantee>`), { kind: 'everyone' })
  assert.deepEqual(
    granteeOf(`<Grantee ${xsi} xsi:type="AmazonCustomerByEmail"><EmailAddress>a@b</EmailAddress></Grantee>`),
    { kind: 'email', email: 'a@b' },
  )
})

test('what is no ACL', () => {
  for (const xml of [
    '',
    '<x/>',
    '<AccessControlPolicy/>',
    policy('<Grant/>'),
    policy('<Grant><Grantee/><Permission>READ</Permission></Grant>'),
    policy(`<Grant><Grantee><ID>${id}</ID></Grantee><Permission>read</Permission></Grant>`),
    policy(`<Grant><Grantee><ID>${id}</ID><URI>${ALL}</URI></Grantee><Permission>READ</Permission></Grant>`),
    policy('<Other/>'),
    policy(`<Grant><Grantee><ID>${id}</ID></Grantee><Permission>READ</Permission></Grant>`.repeat(101)),
  ]) {
    assert.throws(() => parse(xml), refuses('MalformedACLError'), xml)
  }
  const unknownGroup = policy('<Grant><Grantee><URI>http://x/</URI></Grantee><Permission>READ</Permission></Grant>')
  assert.throws(() => parse(unknownGroup), refuses('InvalidArgument'))
})

test('ACLs of headers', () => {
  const of = (headers: Record<string, string>) => aclOfHeaders((name) => headers[name])
  assert.equal(of({}), undefined)
  assert.deepEqual(of({ 'x-amz-acl': 'public-read' }), { canned: 'public-read' })
  assert.deepEqual(
    of({ 'x-amz-grant-read': `id="${id}", uri="${ALL}"`, 'x-amz-grant-write-acp': 'emailAddress=a@b' }),
    {
      ownerId: null,
      grants: [
        { grantee: { kind: 'account', canonicalId: id }, permission: 'READ' },
        { grantee: { kind: 'everyone' }, permission: 'READ' },
        { grantee: { kind: 'email', email: 'a@b' }, permission: 'WRITE_ACP' },
      ],
    },
  )
  assert.throws(() => of({ 'x-amz-acl': 'public' }), refuses('InvalidArgument'))
  assert.throws(() => of({ 'x-amz-acl': 'private', 'x-amz-grant-read': `id=${id}` }), refuses('InvalidRequest'))
  for (const value of ['', 'x=y', id, 'id=', `id="${id}`, 'uri="http://x/"', `id=${id},`]) {
    assert.throws(() => of({ 'x-amz-grant-read': value }), refuses('InvalidArgument'), value)
  }
})
