/** VPS.org's lists: pages, filters, and a word for every state. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { seedFleet } from '../../../bench/fleet.ts'
import type { AccountId } from '../../../src/model/ids.ts'
import { INSTANCE_STATES, type InstanceState } from '../../../src/model/instance.ts'
import { type Cloud, startCloud } from '../../cloud.ts'
import { type Json, SERVERS } from './vpsorg.ts'

describe('lists', () => {
  const COUNT = 57
  const ends: (() => Promise<void>)[] = []
  let cloud: Cloud
  let account: { id: AccountId; key: string }
  // Without a worker: the fleet is rows without machines, and nobody shall miss them.
  before(async () => {
    cloud = await startCloud({ after: (end) => void ends.push(end) }, { withoutWorker: true })
    const { body } = await cloud.call<Json>('POST', '/havn/v1/accounts', { email: 'fleet@example.net' })
    const { id } = (await cloud.call<Json>('GET', '/havn/v1/account', undefined, body.apiKey)).body
    account = { id, key: body.apiKey }
  })
  after(async () => {
    for (const end of ends) await end()
  })
  const list = (query = '') => cloud.call<Json>('GET', `${SERVERS}${query}`, undefined, account.key)

  test('pages end, hold every server once, and count them all', async () => {
    assert.deepEqual((await list('?page=1')).body, { count: 0, results: [] })
    await seedFleet(cloud.db, { count: COUNT, accountId: account.id })
    const all = (await list()).body
    assert.deepEqual([all.count, all.results.length], [COUNT, COUNT])
    const ids = all.results.map(({ id }: Json) => id)
    assert.deepEqual(
      ids,
      [...ids].sort((a, b) => a - b),
      'oldest first',
    )
    for (const [query, size] of [
      ['', 20],
      ['page_size=51', 51],
      ['page_size=100', 100],
      ['page_size=1', 1],
    ] as const) {
      const seen: number[] = []
      for (let page = 1; ; page++) {
        const { status, body } = await list(`?page=${page}${query && `&${query}`}`)
        if (status === 404) {
          assert.deepEqual(body, { detail: 'Invalid page.' })
          break
        }
        assert.equal(body.count, COUNT)
        assert.ok(body.results.length <= size)
        seen.push(...body.results.map(({ id }: Json) => id))
      }
      assert.deepEqual(seen, ids, query)
    }
    assert.equal((await list('?page_size=10')).body.results.length, 10)
  })

  test('pages that are none, and absurd sizes, are refused', async () => {
    for (const page of ['0', '-1', 'abc', '1.5', '', '1e3', '9'.repeat(40), '999999999999', 'last']) {
      const answer = await list(`?page=${page}`)
      assert.deepEqual([answer.status, answer.body], [404, { detail: 'Invalid page.' }], page)
    }
    for (const size of ['0', '-1', 'abc', '1.5', '101', '1e1', '0x10', '%2010', '', '9'.repeat(40)]) {
      const answer = await list(`?page_size=${size}`)
      assert.deepEqual([answer.status, Object.keys(answer.body)], [400, ['page_size']], size)
      assert.equal(answer.body.page_size.length, 1)
    }
  })

  test('what is asked twice is refused in words of this API', async () => {
    for (const field of ['page', 'status', 'location']) {
      const answer = await list(`?${field}=1&${field}=2`)
      assert.deepEqual([answer.status, answer.body], [400, { [field]: ['Not a valid string.'] }])
    }
  })

  test('filters are exact; what nothing has matches nothing', async () => {
    const [somewhere] = (await list()).body.results
    const there = (await list(`?location=${somewhere.location}`)).body
    assert.ok(there.count > 0 && there.results.every((one: Json) => one.location === somewhere.location))
    assert.equal((await list(`?location=${somewhere.location}&status=active&page_size=2`)).body.count, there.count)
    assert.equal((await list('?status=active')).body.count, COUNT)
    for (const query of ['?status=running', '?status=aktiv', '?location=moon', "?location=' OR 1=1--", '?status=%25']) {
      assert.deepEqual((await list(query)).body, { count: 0, results: [] }, query)
    }
    assert.equal((await list('?status=&location=')).body.count, COUNT, 'an empty filter is none')
    assert.equal((await list('?status=%00')).status, 400)
  })

  test('every state has a word, and each word finds its states', async () => {
    const [{ id: number }] = (await list()).body.results
    const change = (to: { state: InstanceState }) =>
      cloud.db.updateTable('instance').set(to).where('number', '=', number).execute()
    const SHOWN = INSTANCE_STATES.filter((state) => !state.startsWith('delet'))
    for (const state of SHOWN) {
      await change({ state })
      const { status, ip_address } = (await cloud.call<Json>('GET', `${SERVERS}${number}/`, undefined, account.key))
        .body
      assert.equal(ip_address === null, state === 'provisioning')
      const found = (await list(`?status=${status}`)).body
      assert.ok(
        found.results.some((one: Json) => one.id === number && one.status === status),
        state,
      )
      assert.equal(found.count, found.results.length)
    }
    await change({ state: 'running' })
  })
})
