/** Leaseweb's API as its clients use it, odd ways included; what they may see of passwords and traffic. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Instance } from '../../../src/dialects/native/contract/instances.ts'
import { rawConnection } from '../raw.ts'
import { until, untilState, wireOfSuite } from '../wire.ts'
import { isError, type Json, S, serverPath } from './leaseweb.ts'

describe('clients', () => {
  const wire = wireOfSuite()
  const send = async (path: string, init: RequestInit) => {
    const response = await fetch(wire().apiUrl + path, init)
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: (text ? JSON.parse(text) : null) as Json }
  }

  test('the four spellings of the header, and a bearer token', async () => {
    for (const name of ['X-LSW-Auth', 'x-lsw-auth', 'X-Lsw-Auth', 'X-LSW-AUTH']) {
      const { hostname, port } = new URL(wire().apiUrl)
      const connection = rawConnection(wire().apiUrl)
      connection.send(`GET ${S}?limit=1 HTTP/1.1\r\nHost: ${hostname}:${port}\r\n${name}: ${wire().ownerKey}\r\n\r\n`)
      assert.equal((await connection.answer())?.status, 200, name)
      connection.end()
    }
    const bearer = await send(S, { headers: { authorization: `Bearer ${wire().ownerKey}` } })
    assert.equal(bearer.status, 200)
  })

  test('a JSON content type with an empty body, none, and a wish for gzip', async () => {
    const key = { 'x-lsw-auth': wire().ownerKey }
    const json = { ...key, 'content-type': 'application/json' }
    for (const headers of [
      key,
      json,
      { ...json, accept: 'application/json', 'accept-encoding': 'gzip' },
      { ...json, 'content-length': '0' },
    ]) {
      const answer = await send(`${serverPath(wire())}/powerOn`, { method: 'POST', headers })
      assert.equal(answer.status, 202, JSON.stringify(headers))
      assert.equal(answer.headers.get('content-encoding'), null)
    }
    assert.equal((await send(`${serverPath(wire())}`, { headers: json })).status, 200, 'on a GET too')
    assert.equal((await send(`${S}/`, { headers: key })).status, 200, 'a slash at the end is put up with')
  })

  test('its correlation id is kept, another text is not', async () => {
    const given = '0b7c2f5e-9d3a-4f6b-8a1c-2e3d4f5a6b7c'
    const headers = { 'x-lsw-auth': wire().ownerKey, 'APIGW-CORRELATION-ID': given }
    const kept = await send(`${S}/1`, { headers })
    isError(kept, 404)
    assert.equal(kept.body.correlationId, given)
    const other = await send(`${S}/1`, { headers: { ...headers, 'APIGW-CORRELATION-ID': 'x' } })
    isError(other, 404)
    assert.equal((await send(S, { headers })).headers.get('apigw-correlation-id'), given, 'on a success too')
  })

  test('no key, a wrong key, a key that only reads', async () => {
    const none = await send(S, {})
    isError(none, 401)
    assert.deepEqual(Object.keys(none.body), ['errorCode', 'errorMessage', 'correlationId'])
    assert.equal(none.body.errorCode, '401')
    const wrong = await send(S, { headers: { 'x-lsw-auth': wire().keys.wrong } })
    isError(wrong, 403)
    assert.deepEqual(
      [wrong.body.errorCode, wrong.body.errorMessage],
      ['ACCESS_DENIED', 'The access token is expired or invalid.'],
    )
    const reader = await send(`${serverPath(wire())}/powerOff`, {
      method: 'POST',
      headers: { 'x-lsw-auth': wire().keys.reader },
    })
    isError(reader, 403)
    assert.equal(reader.body.errorCode, '403')
  })

  test('an Idempotency-Key', async () => {
    const post = (key: string, path = 'powerOff') =>
      send(`${serverPath(wire())}/${path}`, {
        method: 'POST',
        headers: { 'x-lsw-auth': wire().ownerKey, 'idempotency-key': key },
      })
    const first = await post('once')
    assert.equal(first.status, 202)
    assert.ok(Number(first.headers.get('ratelimit-remaining') ?? first.headers.get('x-ratelimit-remaining')) > 0)
    assert.deepEqual((await post('once')).body, first.body)
    isError(await post('once', 'powerOn'), 409)
    await untilState(wire(), wire().instance.id, 'stopped')
    assert.equal((await post('twice', 'powerOn')).status, 202)
    await untilState(wire(), wire().instance.id, 'running')
  })

  test('who looked at a password is on record, and so is who was refused', async () => {
    const path = `${serverPath(wire())}/credentials/OPERATING_SYSTEM/root`
    const answers = []
    for (const key of [wire().ownerKey, wire().keys.reader])
      answers.push(await send(path, { headers: { 'x-lsw-auth': key } }))
    const { body } = await wire().call<Json>('GET', '/havn/v1/audit?limit=20')
    for (const { status, headers } of answers) {
      const entry = body.items.find(({ requestId }: Json) => requestId === headers.get('apigw-correlation-id'))
      assert.deepEqual([entry?.dialect, entry?.method, entry?.path, entry?.status], ['leaseweb', 'GET', path, status])
    }
  })

  test('passwords are sealed, and gone with the instance', async () => {
    const made = await wire().call<{ instance: Instance }>('POST', '/havn/v1/instances', {
      name: 'sealed',
      imageId: 'micro',
      generatePassword: true,
    })
    const { id, number } = await untilState(wire(), made.body.instance.id, 'running')
    const row = () =>
      wire()
        .db.selectFrom('credential')
        .selectAll()
        .where('instance_id', '=', id as `inst_${string}`)
        .executeTakeFirst()
    const shown = await wire().call<Json>('GET', `${S}/${number}/credentials/OPERATING_SYSTEM/root`)
    assert.equal(shown.headers.get('cache-control'), 'no-store')
    assert.ok(!(await row())!.password_sealed.includes(shown.body.password))
    const revealed = await wire().call<Json>('POST', `/havn/v1/instances/${id}/credentials/reveal`, {
      type: 'operating_system',
      username: 'root',
    })
    assert.deepEqual(revealed.body, { type: 'operating_system', username: 'root', password: shown.body.password })
    const replay = await wire().db.selectFrom('idempotency').selectAll().execute()
    assert.ok(!JSON.stringify(replay).includes(shown.body.password))
    await wire().call('DELETE', `/havn/v1/instances/${id}?purge=true`)
    isError(await wire().call('GET', `${S}/${number}/credentials/OPERATING_SYSTEM/root`), 404)
    await until('it is forgotten', async () => (await row()) === undefined)
  })

  test('data traffic is what the server sent and received', async () => {
    const { id } = wire().instance
    const sweep = () => wire().worker.reconcilers.runNow('stats.sample')
    const measure = async (networkInBytes: number, networkOutBytes: number) => {
      wire().simulator.setStats(id as `inst_${string}`, { run: 'one', networkInBytes, networkOutBytes })
      await sweep()
    }
    await measure(1_000, 70)
    await measure(1_500, 75)
    for (const granularity of ['NONE', 'DAY', 'MONTH', 'YEAR']) {
      const path = `${serverPath(wire())}/metrics/datatraffic?granularity=${granularity}`
      const { body } = await wire().call<Json>('GET', path)
      assert.equal(body._metadata.granularity, granularity)
      const sum = ({ unit, values }: Json) => [unit, values.reduce((all: number, { value }: Json) => all + value, 0)]
      assert.deepEqual(sum(body.metrics.DATATRAFFIC_UP), ['B', 75], granularity)
      assert.deepEqual(sum(body.metrics.DATATRAFFIC_DOWN), ['B', 1_500], granularity)
      for (const { timestamp } of body.metrics.DATATRAFFIC_UP.values) {
        assert.match(timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$/)
      }
    }
    wire().simulator.setStats(id as `inst_${string}`, null)
  })

  test('a user name with all that a path can hold', async () => {
    for (const username of ['Administrator', 'a/b', 'é ü', 'x@y.z', '%2e', '..']) {
      const body = { username, password: `of ${username}`, type: 'CONTROL_PANEL' }
      assert.equal((await wire().call('PUT', `${serverPath(wire())}/credentials`, body)).status, 204, username)
      if (username === '..') continue // no URL can carry it
      const path = `${serverPath(wire())}/credentials/CONTROL_PANEL/${encodeURIComponent(username)}`
      assert.equal((await wire().call<Json>('GET', path)).body.password, `of ${username}`, username)
    }
    const { body } = await wire().call<Json>('GET', `${serverPath(wire())}/credentials/CONTROL_PANEL?limit=2&offset=1`)
    assert.deepEqual(body._metadata, { totalCount: 6, offset: 1, limit: 2 })
    assert.equal(body.credentials.length, 2)
  })
})
