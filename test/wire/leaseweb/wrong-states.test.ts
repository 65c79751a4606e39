/** What Leaseweb's API refuses because of the state a server is in. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { until, untilState, wireOfSuite } from '../wire.ts'
import { isError, type Json, serverPath } from './leaseweb.ts'

describe('wrong states', () => {
  const wire = wireOfSuite()
  const isRefused = async (method: string, path: string, body?: unknown) => {
    const answer = await wire().call<Json>(method, serverPath(wire()) + path, body)
    isError(answer, 403)
    assert.deepEqual([answer.body.errorCode, typeof answer.body.userMessage], ['403', 'string'])
  }

  test('a snapshot needs a server that runs, and one that may have snapshots', async () => {
    const { id } = wire().instance
    const server = serverPath(wire())
    await wire().call('PATCH', `/havn/v1/instances/${id}`, { canSnapshot: false })
    await isRefused('POST', '/snapshots', { name: 'never' })
    const tenant = await wire().call('PATCH', `/havn/v1/instances/${id}`, { canSnapshot: true }, wire().keys.other)
    assert.equal(tenant.status, 404)
    const plain = await wire().call<Json>('POST', '/havn/v1/keys', { name: 'vps', service: 'vps' })
    const mine = await wire().call('PATCH', `/havn/v1/instances/${id}`, { canSnapshot: true }, plain.body.apiKey)
    assert.equal(mine.status, 403, 'it is the operator’s to say')
    await wire().call('PATCH', `/havn/v1/instances/${id}`, { canSnapshot: true })
    assert.equal((await wire().call('POST', `${server}/snapshots`, { name: 'One' })).status, 202)
    const list = async () => (await wire().call<Json>('GET', `${server}/snapshots`)).body.snapshots
    const [snapshot] = await until('it is ready', async () => (await list())[0]?.state === 'READY' && list())

    assert.equal((await wire().call('POST', `${server}/powerOff`)).status, 202)
    await isRefused('POST', '/snapshots', { name: 'Two' })
    await isRefused('POST', '/powerOn')
    await isRefused('POST', '/reinstall', { operatingSystemId: 'DEBIAN_12_64' })
    await untilState(wire(), id, 'stopped')
    await isRefused('POST', '/snapshots', { name: 'Two' })
    await isRefused('POST', `/snapshots/${snapshot.id}/restore`)
    assert.equal((await wire().call<Json>('GET', server)).body.state, 'STOPPED')
    assert.deepEqual(await list(), [snapshot])
    assert.equal((await wire().call('DELETE', `${server}/snapshots/${snapshot.id}`)).status, 202)
    await until('it is gone', async () => (await list()).length === 0)
  })

  test('a stopped server is reinstalled and runs, a suspended one is not', async () => {
    const { id } = wire().instance
    const server = serverPath(wire())
    await wire()
      .db.updateTable('instance')
      .set({ suspended_reason: 'unpaid' })
      .where('id', '=', id as `inst_${string}`)
      .execute()
    for (const action of ['/powerOn', '/reboot']) await isRefused('POST', action)
    await isRefused('POST', '/reinstall', { operatingSystemId: 'DEBIAN_12_64' })
    await wire()
      .db.updateTable('instance')
      .set({ suspended_reason: null })
      .where('id', '=', id as `inst_${string}`)
      .execute()
    assert.equal((await wire().call('POST', `${server}/reinstall`, { operatingSystemId: 'MICRO_1_64' })).status, 202)
    const instance = await untilState(wire(), id, 'running')
    assert.equal(instance.image.id, 'micro')
  })
})
