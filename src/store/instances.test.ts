import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seedFleet } from '../../bench/fleet.ts'
import { startCloud } from '../../test/cloud.ts'
import type { AccountId } from '../model/ids.ts'
import { INSTANCE_STATES } from '../model/instance.ts'
import * as instances from './instances.ts'

test('totals are exact on every page, whoever looks and whatever is filtered', async (t) => {
  const cloud = await startCloud(t)
  const make = async (key: string | null, name: string) => {
    const { status } = await cloud.call('POST', '/havn/v1/instances', { name }, key ?? cloud.ownerKey)
    assert.equal(status, 201)
  }
  const { body: other } = await cloud.call<{ account: { id: AccountId }; apiKey: string }>(
    'POST',
    '/havn/v1/accounts',
    { email: 'other@example.com' },
  )
  for (const name of ['a', 'b', 'c', 'd', 'e']) await make(null, name)
  for (const name of ['b', 'x']) await make(other.apiKey, name)
  assert.equal((await cloud.call('DELETE', '/havn/v1/instances/c')).status, 202)

  const { account_id: owner } = await cloud.db
    .selectFrom('instance')
    .select('account_id')
    .where('name', '=', 'a')
    .executeTakeFirstOrThrow()
  const alive = INSTANCE_STATES.filter((state) => state !== 'deleting' && state !== 'deleted')
  const page = async (filter: instances.InstanceFilter) => {
    const { items, total } = await instances.list(cloud.db, filter)
    return { names: items.map(({ name }) => name).join(''), total }
  }
  assert.deepEqual(await page({ accountId: owner }), { names: 'abde', total: 4 })
  assert.deepEqual(await page({ accountId: owner, limit: 2 }), { names: 'ab', total: 4 })
  assert.deepEqual(await page({ accountId: owner, limit: 2, offset: 2 }), { names: 'de', total: 4 })
  assert.deepEqual(await page({ accountId: owner, limit: 2, offset: 3 }), { names: 'e', total: 4 })
  assert.deepEqual(await page({ accountId: owner, limit: 2, offset: 4 }), { names: '', total: 4 })
  assert.deepEqual(await page({ accountId: null, limit: 5 }), { names: 'abdeb', total: 6 })
  assert.deepEqual(await page({ accountId: null, name: 'b', limit: 1 }), { names: 'b', total: 2 })
  assert.deepEqual(await page({ accountId: owner, states: alive, limit: 1 }), { names: 'a', total: 4 })
  assert.deepEqual(await page({ accountId: owner, states: [], limit: 1 }), { names: '', total: 0 })
  assert.deepEqual(await page({ accountId: 'acct_nobody', limit: 1 }), { names: '', total: 0 })

  // A deletion that is taken back.
  await cloud.db.updateTable('instance').set({ delete_requested_at: null }).where('name', '=', 'c').execute()
  assert.deepEqual(await page({ accountId: owner, limit: 1 }), { names: 'a', total: 5 })
})

test('who looks at once finds his own, by whatever key, and nothing of anybody else', async (t) => {
  const cloud = await startCloud(t, { withoutWorker: true })
  const { id: owner } = await cloud.db.selectFrom('account').select('id').executeTakeFirstOrThrow()
  const stranger: AccountId = 'acct_nobody'
  await seedFleet(cloud.db, { count: 3, accountId: owner })
  const { items } = await instances.list(cloud.db, { accountId: owner })
  const [a, b, gone] = [items[0]!, items[1]!, items[2]!]
  await cloud.db.updateTable('instance').set({ delete_requested_at: new Date() }).where('id', '=', gone.id).execute()
  const asked: [ref: string | number, accountId: AccountId | null, name: string | undefined][] = [
    [a.number, owner, a.name],
    [b.number, owner, b.name],
    [String(b.number), null, b.name],
    [a.number, stranger, undefined],
    [a.uuid.toUpperCase(), owner, a.name],
    [b.uuid, stranger, undefined],
    [a.id, owner, a.name],
    [b.id, owner, b.name],
    [gone.number, owner, undefined],
    [gone.id, null, undefined],
    [gone.name, owner, undefined],
    [a.name, owner, a.name],
    [1, owner, undefined],
    [1.5, owner, undefined],
    [2 ** 60, owner, undefined],
  ]
  const found = await Promise.all(asked.map(([ref, accountId]) => instances.find(cloud.db, ref, { accountId })))
  assert.deepEqual(
    found.map(([one]) => one?.name),
    asked.map(([, , name]) => name),
  )
})
