/** What surrounds a change in every dialect: Idempotency-Key, audit rows, limits, request ids. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, test } from 'node:test'
import { startCloud } from '../cloud.ts'
import { census, wireOfSuite } from './wire.ts'

// biome-ignore lint/suspicious/noExplicitAny: what comes is what is looked at
type Json = any
const VPS = { hostname: 'a.example.net', plan_code: 'vps-2gb-1cpu', region: 'oslo', os_template: 'debian-12' }

describe('changes', () => {
  const wire = wireOfSuite()
  const create = async (key: string, body: object = VPS, headers: Record<string, string> = {}, path = '/v1/vps') => {
    const response = await fetch(wire().apiUrl + path, {
      method: 'POST',
      headers: { 'x-api-key': wire().ownerKey, 'content-type': 'application/json', 'idempotency-key': key, ...headers },
      body: JSON.stringify(body),
    })
    return {
      status: response.status,
      replayed: response.headers.get('idempotent-replayed'),
      json: (await response.json()) as Json,
    }
  }

  test('the same key replays, another request is refused, another account has keys of its own', async () => {
    const key = randomUUID()
    const first = await create(key)
    const second = await create(key)
    assert.deepEqual([first.status, first.replayed, second.status, second.replayed], [201, null, 201, 'true'])
    assert.deepEqual(second.json, first.json)
    const other = await create(key, { ...VPS, hostname: 'b' })
    assert.deepEqual([other.status, typeof other.json.detail], [409, 'string'])
    const theirs = await create(key, VPS, { 'x-api-key': wire().keys.other })
    assert.deepEqual([theirs.status, theirs.replayed], [201, null])
    assert.notEqual(theirs.json.id, first.json.id)
  })

  test('twenty at once make one', async () => {
    const key = randomUUID()
    const before = await census(wire().db)
    const answers = await Promise.all(Array.from({ length: 20 }, () => create(key)))
    assert.deepEqual([...new Set(answers.map(({ status, json }) => `${status} ${json.id}`))].length, 1)
    assert.equal(answers.filter(({ replayed }) => replayed === null).length, 1)
    const after = await census(wire().db)
    assert.equal(after.instance! - before.instance!, 1)
    assert.equal(after.operation! - before.operation!, 1)
  })

  test('a refused call is not remembered', async () => {
    const key = randomUUID()
    assert.equal((await create(key, { ...VPS, region: 'atlantis' })).status, 400)
    assert.equal((await create(key)).status, 201)
  })

  test('bodyless posts replay too, and a secret is not kept', async () => {
    const { uuid } = wire().instance
    const reboot = () => create('reboot-1', {}, {}, `/v1/vps/${uuid}/reboot`)
    const [first, second] = [await reboot(), await reboot()]
    assert.deepEqual([first.status, second.status, second.replayed], [200, 200, 'true'])
    const key = () => create('key-1', { name: 'k' }, {}, '/havn/v1/keys')
    const made = await key()
    assert.equal(made.status, 201)
    const again = await key()
    assert.deepEqual([again.status, again.json.error.code], [409, 'conflict'])
    const rows = await wire().db.selectFrom('idempotency').selectAll().execute()
    assert.ok(!JSON.stringify(rows).includes(made.json.apiKey))
  })

  test('audit: one row for each change and each refusal, with the request id of the answer', async () => {
    const requestId = randomUUID()
    const given = { 'x-request-id': requestId }
    const done = await create(randomUUID(), VPS, given)
    await create(randomUUID(), { ...VPS, region: 'atlantis' }, given)
    await create(randomUUID(), VPS, { ...given, 'x-api-key': wire().keys.reader })
    const { body } = await wire().call<Json>('GET', '/havn/v1/audit?limit=20')
    const rows = body.items.filter((row: Json) => row.requestId === requestId).reverse()
    assert.deepEqual(
      rows.map(({ dialect, method, path, status, errorCode, address }: Json) => [
        dialect,
        method,
        path,
        status,
        errorCode,
        address,
      ]),
      [
        ['wayscloud', 'POST', '/v1/vps', 201, null, '127.0.0.1'],
        ['wayscloud', 'POST', '/v1/vps', 400, 'invalid', '127.0.0.1'],
        ['wayscloud', 'POST', '/v1/vps', 403, 'forbidden', '127.0.0.1'],
      ],
    )
    const { body: instance } = await wire().call<Json>('GET', `/havn/v1/instances/${done.json.id}`)
    assert.equal(rows[0].resourceId, instance.id)
    const operations = await wire().call<Json>('GET', `/havn/v1/operations?resourceId=${instance.id}`)
    assert.equal(operations.body.items.at(-1).requestId, requestId)
  })

  test('limits come from the settings, in the shape of the dialect', async (t) => {
    const env = {
      HAVN_RATE_PER_KEY: '5',
      HAVN_RATE_PER_KEY_BURST: '8',
      HAVN_RATE_CREATES: '1',
      HAVN_RATE_FAILED_LOGINS: '3',
    }
    const cloud = await startCloud(t, { env, withoutWorker: true })
    const creates = await Promise.all(Array.from({ length: 4 }, () => cloud.call<Json>('POST', '/v1/vps', VPS)))
    assert.ok(
      creates.some(
        ({ status, headers, body }) =>
          status === 429 && headers.get('retry-after') === '1' && typeof body.detail === 'string',
      ),
    )
    const gets = await Promise.all(Array.from({ length: 30 }, () => cloud.call<Json>('GET', '/havn/v1/plans')))
    const refused = gets.find(({ status }) => status === 429)!
    assert.equal(refused.body.error.code, 'rate_limited')
    assert.deepEqual(
      ['limit', 'remaining'].map((name) => refused.headers.get(`ratelimit-${name}`)),
      ['8', '0'],
    )
    const logins = []
    for (let i = 0; i < 5; i++) logins.push((await cloud.call('GET', '/v1/vps', undefined, 'havn_vps_x_y')).status)
    assert.deepEqual(logins, [401, 401, 401, 429, 429])
  })
})
