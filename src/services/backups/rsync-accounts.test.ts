import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { testDatabase } from '../../../test/database.ts'
import { make } from '../../../test/make.ts'
import { SCOPES } from '../../model/scopes.ts'
import * as instanceRows from '../../store/instances.ts'
import * as rows from '../../store/rsync-accounts.ts'
import type { Ctx } from '../ctx.ts'
import * as accounts from './rsync-accounts.ts'

async function world(t: TestContext) {
  const { db } = await testDatabase(t)
  const { accountId, instance } = await make(db)
  const other = await make(db)
  const ctxOf = (account: typeof accountId, settings: Partial<Ctx['settings']> = {}): Ctx => ({
    db,
    caller: { accountId: account, apiKeyId: null, scopes: new Set(SCOPES) },
    reach: 'account',
    requestId: 'test',
    settings: {
      ...{ masterKey: Buffer.alloc(32, 1), rsync: { host: '127.0.0.1', port: 8730 }, ...settings },
    } as Ctx['settings'],
    compute: {} as Ctx['compute'],
  })
  return {
    db,
    instance,
    ctx: ctxOf(accountId),
    off: ctxOf(accountId, { rsync: null }),
    stranger: ctxOf(other.accountId),
  }
}

test('an account keeps its name and password over off and on, and is nobody else’s', async (t) => {
  const { db, ctx, stranger, instance } = await world(t)
  const [id, another] = [await instance(), await instance()]
  await assert.rejects(accounts.get(ctx, id), { code: 'not_found' })
  await accounts.disable(ctx, id)
  const made = await accounts.enable(ctx, id)
  assert.equal(made.username, 1000)
  assert.match(made.password, /^[\w-]{20}$/)
  assert.equal(made.quotaBytes, 10 * 2 ** 30)
  assert.equal(made.usedBytes, null)
  assert.deepEqual(await accounts.enable(ctx, id), made)
  assert.deepEqual(await accounts.get(ctx, id), made)
  assert.equal((await accounts.enable(ctx, another)).username, 1001, 'enabling twice takes no number')
  assert.deepEqual(await accounts.enabledAmong(ctx, [id, another]), new Set([id, another]))
  await accounts.disable(ctx, id)
  await assert.rejects(accounts.get(ctx, id), { code: 'not_found' })
  assert.deepEqual(
    (await rows.served(db)).map(({ username }) => username),
    [1001],
  )
  assert.deepEqual(await accounts.enabledAmong(ctx, [id, another]), new Set([another]))
  assert.deepEqual(await accounts.enable(ctx, id), made)
  for (const call of [accounts.get, accounts.enable, accounts.disable]) {
    await assert.rejects(call(stranger, id), { code: 'not_found' })
    const reader = { ...ctx, caller: { ...ctx.caller, scopes: new Set(['instances:read'] as const) } }
    await assert.rejects(call(reader, id), { code: 'forbidden' })
  }
})

test('many who switch it on at once get the same account', async (t) => {
  const { ctx, instance } = await world(t)
  const id = await instance()
  const made = await Promise.all(Array.from({ length: 8 }, () => accounts.enable(ctx, id)))
  assert.equal(new Set(made.map(({ username, password }) => `${username} ${password}`)).size, 1)
})

test('where there is no server it says which setting makes one', async (t) => {
  const { ctx, off, instance } = await world(t)
  const id = await instance()
  await assert.rejects(accounts.enable(off, id), { code: 'conflict', message: /HAVN_RSYNC_LISTEN/ })
  await accounts.enable(ctx, id)
  await assert.rejects(accounts.get(off, id), { code: 'not_found' })
  assert.deepEqual(await accounts.enabledAmong(off, [id]), new Set())
  await accounts.disable(off, id)
})

test('a deleted instance and a suspended account are not served, and a purge lets the files go', async (t) => {
  const { db, ctx, instance } = await world(t)
  const [id, deleted] = [await instance(), await instance()]
  for (const one of [id, deleted]) await accounts.enable(ctx, one)
  const served = async () => (await rows.served(db)).map(({ instanceId }) => instanceId)
  await instanceRows.requestDelete(db, deleted, 12)
  assert.deepEqual(await served(), [id])
  await assert.rejects(accounts.enable(ctx, deleted), { code: 'not_found' })
  assert.deepEqual(await rows.released(db), [])
  await instanceRows.markPurged(db, deleted)
  assert.deepEqual(await rows.released(db), [{ username: 1001 }])
  await db.updateTable('account').set({ suspended_reason: 'unpaid' }).where('id', '=', ctx.caller.accountId).execute()
  assert.deepEqual(await served(), [])
})
