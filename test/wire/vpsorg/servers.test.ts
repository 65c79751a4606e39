/** What becomes of servers that VPS.org's API makes and changes, beyond its samples. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { cryptSha512 } from '../../../src/lib/crypt.ts'
import { untilState, wireOfSuite } from '../wire.ts'
import { type Json, made, SERVER, SERVERS } from './vpsorg.ts'

describe('servers', () => {
  const wire = wireOfSuite()
  const server = (path = '') => `${SERVERS}${wire().instance.number}/${path}`
  const call = (method: string, path: string, body?: unknown, key?: string | null) =>
    wire().call<Json>(method, path, body, key)

  test('PATCH changes what it names, an empty one nothing, and what cannot be changed is ignored', async () => {
    const { id } = (await call('POST', SERVERS, { ...SERVER, hostname: null, ssh_key_id: null })).body
    const path = `${SERVERS}${id}/`
    await untilState(wire(), String(id), 'running')
    const before = (await call('GET', path)).body
    assert.deepEqual([before.hostname, before.backups_enabled], ['web-2', false])
    for (const body of [undefined, {}, { plan_id: 2, location: 'us-east', id: 1 }]) {
      const answer = await call('PATCH', path, body)
      assert.deepEqual([answer.status, answer.body], [200, before])
    }
    await wire().advance(2_000)
    const { updated_at, ...after } = (await call('PATCH', path, { backups_enabled: true })).body
    const { updated_at: earlier, ...rest } = before
    assert.deepEqual(after, { ...rest, backups_enabled: true })
    assert.ok(updated_at > earlier)
    const put = await call('PUT', path, { name: 'Web-3', hostname: 'web3.example.com', backups_enabled: false })
    assert.deepEqual([put.body.name, put.body.hostname], ['Web-3', 'web3.example.com'])
    const native = (await call('GET', `/havn/v1/instances/${id}`)).body
    assert.deepEqual([native.name, native.hostname, native.automaticBackups], ['Web-3', 'web3.example.com', false])
    assert.equal((await call('DELETE', path)).status, 204)
  })

  test('power actions in the wrong state are refused and change nothing', async () => {
    const { id } = wire().instance
    const refused = async (action: string, detail: string) => {
      const answer = await call('POST', server(`${action}/`))
      assert.deepEqual([answer.status, answer.body], [400, { detail }], action)
    }
    await refused('start', 'Server is already running.')
    assert.equal((await call('POST', server('stop/'))).status, 200)
    await untilState(wire(), id, 'stopped')
    const before = await made(wire())
    await refused('stop', 'Server is not running.')
    await refused('reboot', 'Server is not running.')
    const stopped = (await call('GET', server())).body
    assert.equal(stopped.status, 'stopped')
    assert.deepEqual(stopped.resource_usage, { cpu_percent: 0, memory_used: 0, disk_used: 0, bandwidth_used: null })
    await wire()
      .db.updateTable('instance')
      .set({ suspended_reason: 'unpaid' })
      .where('id', '=', id as never)
      .execute()
    assert.equal((await call('GET', server())).body.status, 'suspended')
    for (const action of ['start', 'reboot']) await refused(action, 'Server is suspended.')
    assert.deepEqual(await made(wire()), before)
    const numbers = async (status: string) =>
      (await call('GET', `${SERVERS}?status=${status}`)).body.results.map((found: Json) => found.id)
    assert.deepEqual(await numbers('suspended'), [wire().instance.number])
    assert.ok(!(await numbers('stopped')).includes(wire().instance.number))
    await wire()
      .db.updateTable('instance')
      .set({ suspended_reason: null })
      .where('id', '=', id as never)
      .execute()
    const created = (await call('POST', SERVERS, SERVER)).body
    const early = await call('POST', `${SERVERS}${created.id}/start/`)
    assert.deepEqual([early.status, early.body], [400, { detail: 'Server is provisioning.' }])
    assert.equal((await call('DELETE', `${SERVERS}${created.id}/`)).status, 204, 'deleting is possible in every state')
    assert.equal((await call('POST', server('start/'))).status, 200)
    await untilState(wire(), id, 'running')
  })

  test('usage is what was measured, in MB and GB; the traffic of a month outlives a stop', async () => {
    const created = (await call('POST', SERVERS, SERVER)).body
    const { id } = await untilState(wire(), String(created.id), 'running')
    const usage = async () => (await call('GET', `${SERVERS}${created.id}/`)).body.resource_usage
    const sample = async (stats: object) => {
      wire().simulator.setStats(id as never, { run: 'a', ...stats })
      await wire().worker.reconcilers.runNow('stats.sample')
    }
    const GIB = 2 ** 30
    await sample({ networkInBytes: 0, networkOutBytes: 0 })
    await wire().advance(10_000)
    await sample({
      cpuPercent: 12.34,
      memoryUsedBytes: 1536 * 2 ** 20,
      diskUsedBytes: 21 * GIB + 200 * 2 ** 20,
      networkInBytes: 150 * GIB,
      networkOutBytes: 30 * GIB,
    })
    assert.deepEqual(await usage(), { cpu_percent: 12.3, memory_used: 1536, disk_used: 21, bandwidth_used: 180 })
    assert.equal((await call('POST', `${SERVERS}${created.id}/stop/`)).status, 200)
    await untilState(wire(), id, 'stopped')
    assert.deepEqual(await usage(), { cpu_percent: 0, memory_used: 0, disk_used: 0, bandwidth_used: 180 })
  })

  test('without credit nothing is made, and what is wrong is told before what it would cost', async () => {
    const credit = (creditMinor: number | null) =>
      call('PUT', '/havn/v1/accounts/other@example.net/credit', { creditMinor })
    assert.equal((await credit(0)).status, 200)
    const before = await made(wire())
    const refused = await call('POST', SERVERS, SERVER, wire().keys.other)
    assert.deepEqual([refused.status, refused.body], [402, { detail: 'Insufficient credit.' }])
    assert.equal((await call('POST', SERVERS, { ...SERVER, plan_id: 'x' }, wire().keys.other)).status, 400)
    assert.deepEqual(await made(wire()), before)
    await credit(null)
    assert.equal((await call('POST', SERVERS, SERVER, wire().keys.other)).status, 201)
  })

  const credentialsOf = async (number: number) =>
    (await call('GET', `/cloud/v2/virtualServers/${number}/credentials/OPERATING_SYSTEM`)).body.credentials

  test('a server that was given no SSH key has a root password, which its credentials tell', async () => {
    const { body } = await call('POST', SERVERS, SERVER)
    assert.deepEqual(await credentialsOf(body.id), [{ type: 'OPERATING_SYSTEM', username: 'root' }])
    const { password_hash } = await wire()
      .db.selectFrom('instance')
      .select('password_hash')
      .where('number', '=', body.id)
      .executeTakeFirstOrThrow()
    const told = await call('GET', `/cloud/v2/virtualServers/${body.id}/credentials/OPERATING_SYSTEM/root`)
    const [, , salt] = password_hash!.split('$')
    assert.equal(cryptSha512(told.body.password, salt), password_hash)
  })

  test('a stored SSH key is put into the server; another account’s is not there', async () => {
    const line = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3Q5rT8nN3yYkqV0o1mXb2c4d5e6f7g8h9i0jKLMNOP me@laptop'
    const mine = (await call('POST', '/havn/v1/ssh-keys', { name: 'laptop', publicKey: line })).body
    const theirs = (await call('POST', '/havn/v1/ssh-keys', { name: 'x', publicKey: line }, wire().keys.other)).body
    const created = await call('POST', SERVERS, { ...SERVER, ssh_key_id: mine.number })
    assert.equal(created.status, 201)
    const { ssh_keys } = await wire()
      .db.selectFrom('instance')
      .select('ssh_keys')
      .where('number', '=', created.body.id)
      .executeTakeFirstOrThrow()
    assert.ok(ssh_keys.includes(line))
    assert.deepEqual(await credentialsOf(created.body.id), [], 'the key is the way in')
    const refused = await call('POST', SERVERS, { ...SERVER, ssh_key_id: theirs.number })
    assert.deepEqual(refused.body, { ssh_key_id: [`Invalid pk "${theirs.number}" - object does not exist.`] })
  })
})
