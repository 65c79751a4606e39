import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testDatabase } from '../../test/database.ts'
import { make } from '../../test/make.ts'
import * as addresses from './addresses.ts'
import { execute } from './db.ts'

test('a pool gives out each address once, leaves its ends alone, and takes back what was released', async (t) => {
  const { db } = await testDatabase(t)
  const { instance } = await make(db)
  await addresses.syncPools(db, [{ family: 4, cidr: '198.18.0.0/27', regionId: null }])
  const owners = await Promise.all(Array.from({ length: 16 }, () => instance()))
  const given: (string | null)[] = []
  for (const id of owners) given.push(await addresses.allocate(db, 4, 'here', id))
  assert.deepEqual(given.slice(0, 2), ['198.18.0.16', '198.18.0.17'])
  assert.deepEqual(given.slice(-2), ['198.18.0.30', null], '198.18.0.31 is the broadcast address')

  await addresses.release(db, owners[3]!, 10)
  assert.equal(await addresses.allocate(db, 4, 'here', owners[15]!), null, 'in quarantine')
  await execute(db, "UPDATE clock SET time_offset = '11 minutes'")
  assert.equal(await addresses.allocate(db, 4, 'here', owners[15]!), '198.18.0.19')
})

test('many at once get different addresses', async (t) => {
  const { db } = await testDatabase(t)
  const { instance } = await make(db)
  await addresses.syncPools(db, [{ family: 6, cidr: '2001:db8::/64', regionId: null }])
  const ids = await Promise.all(Array.from({ length: 50 }, () => instance()))
  const given = await Promise.all(ids.map((id) => addresses.allocate(db, 6, 'here', id)))
  assert.equal(new Set(given).size, 50)
  assert.ok(given.includes('2001:db8::10'))
})

test('a pool of another region gives nothing here', async (t) => {
  const { db } = await testDatabase(t)
  const { instance } = await make(db)
  await addresses.syncPools(db, [{ family: 4, cidr: '198.18.0.0/24', regionId: 'there' }])
  assert.equal(await addresses.allocate(db, 4, 'here', await instance()), null)
  assert.equal(await addresses.allocate(db, 4, 'there', await instance()), '198.18.0.16')
})
