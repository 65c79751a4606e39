/** Leaseweb's lists, as the vendor's clients page through them. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { newIdentity } from '../../../src/model/ids.ts'
import { wireOfSuite } from '../wire.ts'
import { type Json, S } from './leaseweb.ts'

describe('a long list', () => {
  const wire = wireOfSuite()

  test('paging over 60 servers comes to its end, as the vendor’s clients page', async () => {
    const { id } = wire().instance
    const { db } = wire()
    await db.transaction().execute(async (tx) => {
      const { number: _, ...row } = await tx
        .selectFrom('instance')
        .selectAll()
        .where('id', '=', id as `inst_${string}`)
        .executeTakeFirstOrThrow()
      for (let index = 0; index < 59; index++) {
        const mac = `52:54:00:aa:00:${index.toString(16).padStart(2, '0')}`
        const values = { ...row, ...newIdentity('instance'), name: `copy-${index}`, mac, ssh_port: null, host_id: null }
        await tx
          .insertInto('instance')
          .values({ ...values, state: 'stopped' })
          .execute()
      }
    })
    const list = async (query: string) => (await wire().call<Json>('GET', `${S}?${query}`)).body
    for (const limit of [50, 20, 7, 1000]) {
      const all: string[] = []
      for (let total = 1; all.length < total; ) {
        const page = await list(`limit=${limit}&offset=${all.length}`)
        assert.deepEqual(page._metadata, { totalCount: 60, offset: all.length, limit })
        assert.ok(page.virtualServers.length > 0)
        all.push(...page.virtualServers.map((server: Json) => server.id))
        total = page._metadata.totalCount
      }
      assert.equal(new Set(all).size, 60)
      assert.deepEqual(
        all,
        [...all].sort((a, b) => Number(a) - Number(b)),
      )
    }
    assert.equal((await list('')).virtualServers.length, 10)
    assert.deepEqual(await list('offset=60'), {
      virtualServers: [],
      _metadata: { totalCount: 60, offset: 60, limit: 10 },
    })
  })
})
