import assert from 'node:assert/strict'
import { test } from 'node:test'
import { aclOfCanned, CANNED_ACLS, type CannedAcl, grants, isPublicAcl, type Permission, privateAcl } from './acl.ts'
import { canonicalIdOf } from './canonical-id.ts'
import { newId } from './ids.ts'

const [owner, bucketOwner, other] = [newId('account'), newId('account'), newId('account')]
const given = (canned: CannedAcl, who: typeof owner | null, permission: Permission) =>
  grants(aclOfCanned(canned, owner, bucketOwner) ?? privateAcl(owner), permission, who)

test('what each canned ACL gives to whom', () => {
  const read: Record<CannedAcl, readonly [bucketOwner: boolean, other: boolean, nobody: boolean]> = {
    private: [false, false, false],
    'public-read': [true, true, true],
    'public-read-write': [true, true, true],
    'authenticated-read': [true, true, false],
    'bucket-owner-read': [true, false, false],
    'bucket-owner-full-control': [true, false, false],
    'log-delivery-write': [false, false, false],
  }
  for (const canned of CANNED_ACLS) {
    const seen = [bucketOwner, other, null].map((who) => given(canned, who, 'READ'))
    assert.deepEqual(seen, read[canned], canned)
    for (const permission of ['READ', 'WRITE', 'READ_ACP', 'WRITE_ACP'] as const) {
      assert.equal(given(canned, owner, permission), true)
      assert.equal(given(canned, null, permission), permission === 'READ' ? seen[2] : isWritable(canned, permission))
    }
  }
  assert.equal(given('bucket-owner-read', bucketOwner, 'WRITE_ACP'), false)
  assert.equal(given('bucket-owner-full-control', bucketOwner, 'WRITE_ACP'), true)
})

const isWritable = (canned: CannedAcl, permission: Permission) =>
  canned === 'public-read-write' && permission === 'WRITE'

test('public grants can be left out of account', () => {
  const acl = aclOfCanned('public-read', owner, owner)
  assert.ok(acl)
  assert.equal(grants(acl, 'READ', null, true), false)
  assert.equal(grants(acl, 'READ', owner, true), true)
})

test('public is what everybody or every account gets', () => {
  assert.deepEqual(
    CANNED_ACLS.filter((canned) => isPublicAcl(aclOfCanned(canned, owner, bucketOwner))),
    ['public-read', 'public-read-write', 'authenticated-read'],
  )
})

test('only the account that is named is meant', () => {
  const acl = {
    grants: [{ grantee: { kind: 'account' as const, canonicalId: canonicalIdOf(other) }, permission: 'READ' as const }],
  }
  assert.equal(grants(acl, 'READ', other), true)
  assert.equal(grants(acl, 'WRITE', other), false)
  assert.equal(grants(acl, 'READ', owner), false)
  assert.equal(grants(acl, 'READ', null), false)
})
