import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { testDatabase } from '../../test/database.ts'
import type { AclWish } from '../model/acl.ts'
import type { Bucket, BucketSettings } from '../model/bucket.ts'
import { canonicalIdOf } from '../model/canonical-id.ts'
import { type AccountId, newId } from '../model/ids.ts'
import type { ObjectWish } from '../model/object-wish.ts'
import { S3Error } from '../model/s3-error.ts'
import * as accounts from '../store/accounts.ts'
import type { Db } from '../store/db.ts'
import { grantObjectWish } from './object-wishes.ts'
import type { S3Ctx } from './s3-ctx.ts'

let db: Db
const cleanups: (() => Promise<void>)[] = []
let ana: AccountId
let ben: AccountId

before(async () => {
  ;({ db } = await testDatabase({ after: (fn) => void cleanups.push(fn) }))
  const make = async (name: string) =>
    (
      await accounts.insert(db, {
        email: `${name}@example.com`,
        name,
        isOperator: false,
        creditMinor: null,
        consolePasswordHash: '',
      })
    ).id
  ana = await make('ana')
  ben = await make('ben')
})
// The pool is closed after the last test of the file.
test.after(async () => {
  for (const clean of cleanups) await clean()
})

const ctxOf = (accountId: AccountId | null): S3Ctx =>
  ({
    db,
    caller: accountId && {
      accountId,
      accountNumber: 1,
      canonicalId: canonicalIdOf(accountId),
      displayName: 'x',
      accessKeyId: 'AK',
      isReadOnly: false,
      buckets: null,
    },
    request: { id: '1', sourceIp: '192.0.2.1', isSecure: false, header: () => undefined, query: () => undefined },
  }) as unknown as S3Ctx

const bucketOf = (settings: BucketSettings = {}): Bucket => ({
  id: newId('bucket'),
  number: 1,
  name: 'photos',
  accountId: ana,
  tier: 'standard',
  location: 'x',
  versioning: 'enabled',
  settings,
  revision: 1,
  isSuspended: false,
  createdAt: new Date(0),
})
const wishOf = (parts: Partial<ObjectWish> = {}): ObjectWish => ({
  headers: {},
  metadata: {},
  storageClass: 'STANDARD',
  tags: undefined,
  acl: undefined,
  retention: undefined,
  legalHold: undefined,
  ...parts,
})
const grant = (who: AccountId | null, parts: Partial<ObjectWish>, settings: BucketSettings = {}) =>
  grantObjectWish(ctxOf(who), bucketOf(settings), 'k', wishOf(parts))
const refuses = (code: string) => (error: unknown) => error instanceof S3Error && error.s3Code === code

test('a new object is its writer’s, or the bucket owner’s where that is set', async () => {
  const ownerOf = async (who: AccountId | null, acl?: AclWish, ownership?: BucketSettings['ownership']) =>
    (await grant(who, { acl }, ownership ? { ownership } : {})).ownerId
  const full: AclWish = { canned: 'bucket-owner-full-control' }
  assert.equal(await ownerOf(ben), ben)
  assert.equal(await ownerOf(null), ana)
  assert.equal(await ownerOf(ben, full), ben)
  assert.equal(await ownerOf(ben, full, 'BucketOwnerPreferred'), ana)
  assert.equal(await ownerOf(ben, undefined, 'BucketOwnerPreferred'), ben)
  assert.equal(await ownerOf(ben, undefined, 'BucketOwnerEnforced'), ana)
})

test('grants name accounts that exist', async () => {
  const acl = (grantee: object): AclWish => ({ ownerId: null, grants: [{ grantee, permission: 'READ' } as never] })
  const { properties } = await grant(ana, { acl: acl({ kind: 'email', email: 'BEN@example.com' }) })
  assert.deepEqual(properties.acl?.grants, [
    { grantee: { kind: 'account', canonicalId: canonicalIdOf(ana) }, permission: 'FULL_CONTROL' },
    { grantee: { kind: 'account', canonicalId: canonicalIdOf(ben) }, permission: 'READ' },
  ])
  await assert.rejects(
    grant(ana, { acl: acl({ kind: 'email', email: 'eve@example.com' }) }),
    refuses('UnresolvableGrantByEmailAddress'),
  )
  for (const canonicalId of ['x', 'a'.repeat(64), canonicalIdOf(newId('account'))]) {
    await assert.rejects(grant(ana, { acl: acl({ kind: 'account', canonicalId }) }), refuses('InvalidArgument'))
  }
})

test('what a bucket forbids', async () => {
  const open: AclWish = { canned: 'public-read' }
  const enforced: BucketSettings = { ownership: 'BucketOwnerEnforced' }
  const blocked: BucketSettings = {
    publicAccessBlock: {
      blockPublicAcls: true,
      ignorePublicAcls: false,
      blockPublicPolicy: false,
      restrictPublicBuckets: false,
    },
  }
  await assert.rejects(grant(ana, { acl: open }, enforced), refuses('AccessControlListNotSupported'))
  await assert.rejects(grant(ana, { acl: open }, blocked), refuses('AccessDenied'))
  assert.equal((await grant(ana, { acl: { canned: 'bucket-owner-full-control' } }, enforced)).properties.acl, null)
  assert.equal((await grant(ana, { acl: { canned: 'private' } }, blocked)).properties.acl, null)
  await assert.rejects(grant(ana, { legalHold: true }), refuses('InvalidRequest'))
})

test('tags, ACLs and locks take rights of their own', async () => {
  const settings: BucketSettings = {
    objectLock: {},
    policy: JSON.stringify({
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Principal: '*', Action: 's3:PutObject', Resource: 'arn:aws:s3:::photos/*' }],
    }),
  }
  const until = new Date(Date.now() + 60_000)
  for (const parts of [
    { tags: { a: 'b' } },
    { acl: { canned: 'public-read' } },
    { legalHold: true },
    { retention: { mode: 'GOVERNANCE', until } },
  ] as const satisfies readonly Partial<ObjectWish>[]) {
    await assert.rejects(grant(ben, parts, settings), refuses('AccessDenied'))
    assert.ok(await grant(ana, parts, settings))
  }
  const past: Partial<ObjectWish> = { retention: { mode: 'GOVERNANCE', until: new Date(0) } }
  await assert.rejects(grant(ana, past, settings), refuses('InvalidArgument'))
})
