import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { testDatabase } from '../../test/database.ts'
import { make } from '../../test/make.ts'
import { CloudError } from '../model/errors.ts'
import { SCOPES } from '../model/scopes.ts'
import * as store from '../store/buckets.ts'
import { execute } from '../store/db.ts'
import * as accessKeys from './access-keys.ts'
import { createBucketMemory } from './buckets/memory.ts'
import type { Ctx } from './ctx.ts'
import { createSigners } from './signers.ts'

async function start(t: Parameters<typeof testDatabase>[0]) {
  const { db } = await testDatabase(t)
  const { accountId } = await make(db)
  const masterKey = randomBytes(32)
  const caller = { accountId, apiKeyId: null, scopes: new Set(SCOPES) }
  const ctx = { db, caller, settings: { masterKey } } as unknown as Ctx
  return { db, ctx, accountId, masterKey }
}
const code = (expected: string) => (error: unknown) => error instanceof CloudError && error.code === expected

test('a key is found with its secret until it is revoked or its account is suspended', async (t) => {
  const { db, ctx, accountId, masterKey } = await start(t)
  const key = await accessKeys.create(ctx, { name: 'backup', isReadOnly: true })
  const signers = createSigners(db, masterKey, assert.fail)
  assert.match(key.accessKeyId, /^[A-Z0-9]{20}$/)
  assert.match(key.secretAccessKey, /^[A-Za-z0-9]{40}$/)
  const signer = await signers.find(key.accessKeyId)
  assert.equal(signer?.secretAccessKey, key.secretAccessKey)
  const { caller, isSuspended } = signer!
  assert.deepEqual([caller.accountId, caller.isReadOnly, caller.buckets, isSuspended], [accountId, true, null, false])
  assert.match(caller.canonicalId, /^[0-9a-f]{64}$/)
  await execute(db, "UPDATE account SET suspended_reason = 'unpaid'")
  assert.equal((await signers.find(key.accessKeyId))?.isSuspended, true)
  await accessKeys.revoke(ctx, key.accessKeyId)
  assert.equal(await signers.find(key.accessKeyId), null)
  await assert.rejects(accessKeys.revoke(ctx, key.accessKeyId), code('not_found'))
  await assert.rejects(accessKeys.show(ctx, key.accessKeyId), code('not_found'))
  for (const strange of ['', "' OR 1=1", 'A'.repeat(200), 'HAVN\u0000AAAAAAAAAAAAAAA']) {
    assert.equal(await signers.find(strange), null)
  }
})

test("the account's main key is its first full one, made once when there is none", async (t) => {
  const { ctx } = await start(t)
  await accessKeys.create(ctx, { name: 'reader', isReadOnly: true })
  const many = await Promise.all(Array.from({ length: 6 }, () => accessKeys.main(ctx)))
  assert.equal(new Set(many.map(({ accessKeyId }) => accessKeyId)).size, 1)
  assert.equal(new Set(many.map(({ secretAccessKey }) => secretAccessKey)).size, 1)
  await accessKeys.revoke(ctx, many[0]!.accessKeyId)
  assert.notEqual((await accessKeys.main(ctx)).accessKeyId, many[0]!.accessKeyId)
})

test('a key opens only buckets that its account has', async (t) => {
  const { db, ctx, accountId } = await start(t)
  const stranger = await make(db)
  const wish = { tier: 'standard', location: 'no-oslo-1', versioning: 'off', settings: {} } as const
  await store.insert(db, { ...wish, name: 'mine', accountId }, false)
  await store.insert(db, { ...wish, name: 'theirs', accountId: stranger.accountId }, false)
  assert.deepEqual((await accessKeys.create(ctx, { name: 'k', buckets: ['mine'] })).buckets, ['mine'])
  await assert.rejects(accessKeys.create(ctx, { name: 'k', buckets: ['mine', 'theirs'] }), code('invalid'))
  assert.equal((await accessKeys.list(ctx, { ofBucket: 'mine' })).length, 1)
})

test('many who ask at once are answered each his own, and their use is noted', async (t) => {
  const { ctx, db, masterKey } = await start(t)
  const keys = await Promise.all(['a', 'b', 'c'].map((name) => accessKeys.create(ctx, { name })))
  await accessKeys.revoke(ctx, keys[2]!.accessKeyId)
  const signers = createSigners(db, masterKey, assert.fail)
  const found = await Promise.all(Array.from({ length: 60 }, (_, index) => signers.find(keys[index % 3]!.accessKeyId)))
  assert.deepEqual(
    found.map((signer) => signer?.secretAccessKey),
    found.map((_, index) => (index % 3 === 2 ? undefined : keys[index % 3]!.secretAccessKey)),
  )
  await signers.stop()
  assert.ok((await accessKeys.list(ctx)).every(({ lastUsedAt }) => lastUsedAt !== null))
})

test('a process remembers buckets, a bounded number of them, and forgets one that is gone', async (t) => {
  const { db, accountId } = await start(t)
  const wish = { accountId, tier: 'standard', location: 'no-oslo-1', versioning: 'off', settings: {} } as const
  for (const name of ['one', 'two', 'three']) await store.insert(db, { ...wish, name }, false)
  const memory = createBucketMemory(db, 2)
  const first = await memory.get('one')
  assert.equal(await memory.get('one'), first, 'no second reading')
  await store.change(db, first, () => ({ versioning: 'enabled' }))
  assert.equal((await memory.get('one')).versioning, 'off')
  assert.equal((await memory.fresh('one')).versioning, 'enabled')
  assert.equal((await memory.get('one')).versioning, 'enabled')
  await memory.get('two')
  await memory.get('three')
  assert.notEqual(await memory.get('two'), undefined)
  await store.remove(db, first)
  await assert.rejects(memory.get('one'), { s3Code: 'NoSuchBucket' })
  for (const strange of ['../x', 'a\0b', '', 'x'.repeat(300)]) {
    await assert.rejects(memory.get(strange), { s3Code: 'NoSuchBucket' })
  }
})
