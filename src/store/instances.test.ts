import assert from 'node:assert/strict'
import { test } from 'node:test'
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
