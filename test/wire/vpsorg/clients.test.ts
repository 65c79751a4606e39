/** VPS.org's API as its clients use it: paths, keys, bodies, compression, repeated calls. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { startCloud } from '../../cloud.ts'
import { rawConnection } from '../raw.ts'
import { wireOfSuite } from '../wire.ts'
import { type Json, SERVER, SERVERS } from './vpsorg.ts'

describe('clients', () => {
  const wire = wireOfSuite()
  const server = (path = '') => `${SERVERS}${wire().instance.number}/${path}`
  const call = (method: string, path: string, body?: unknown, key?: string | null) =>
    wire().call<Json>(method, path, body, key)

  test('every path with and without its slash, and never a redirect', async () => {
    for (const path of [SERVERS, SERVERS.slice(0, -1), server(), server().slice(0, -1)]) {
      const answer = await fetch(wire().apiUrl + path, {
        headers: { authorization: `Bearer ${wire().ownerKey}` },
        redirect: 'manual',
      })
      assert.equal(answer.status, 200, path)
    }
    for (const path of [server('start'), server('start/')]) assert.equal((await call('POST', path)).status, 400, path)
  })

  test('keys: how they may come, and what is said of those that do not', async () => {
    const say = async (authorization?: string) => {
      const answer = await fetch(wire().apiUrl + SERVERS, { headers: authorization ? { authorization } : {} })
      return [answer.status, ((await answer.json()) as Json).detail, answer.headers.get('www-authenticate')]
    }
    const MISSING = [401, 'Authentication credentials were not provided.', 'Bearer']
    assert.equal((await say(`Bearer ${wire().ownerKey}`))[0], 200)
    assert.equal((await say(`bearer ${wire().ownerKey}`))[0], 200)
    assert.deepEqual(await say(), MISSING)
    assert.deepEqual(await say(`Token ${wire().ownerKey}`), MISSING)
    assert.deepEqual(await say(`Basic ${btoa(`a:${wire().ownerKey}`)}`), MISSING)
    assert.deepEqual(await say('Bearer vps_nonsense'), [401, 'Invalid token.', 'Bearer'])
    assert.deepEqual(await say(`Bearer ${wire().keys.expired}`), [401, 'Invalid token.', 'Bearer'])
    assert.equal((await say(`Bearer ${wire().keys.storage}`))[0], 403)
  })

  test('odd clients: content types, empty bodies, compression, HEAD and OPTIONS', async () => {
    const send = (method: string, path: string, headers: Record<string, string>, body?: string | Buffer) =>
      fetch(wire().apiUrl + path, {
        method,
        headers: { authorization: `Bearer ${wire().ownerKey}`, ...headers },
        ...(body !== undefined && { body }),
      })
    const json = { 'content-type': 'application/json' }
    for (const headers of [json, {}, { ...json, 'accept-encoding': 'gzip' }, { accept: 'text/html' }]) {
      const answer = await send('GET', server(), headers)
      assert.deepEqual([answer.status, answer.headers.get('content-type')], [200, 'application/json; charset=utf-8'])
      assert.equal(((await answer.json()) as Json).id, wire().instance.number)
    }
    for (const body of ['', ' ', '{}', 'null', undefined]) {
      const answer = await send('POST', server('start/'), json, body)
      assert.deepEqual([answer.status, await answer.json()], [400, { detail: 'Server is already running.' }])
    }
    const created = await send('POST', SERVERS, {}, Buffer.from(JSON.stringify(SERVER)))
    assert.equal(created.status, 201)
    const parameter = { 'content-type': 'application/json; charset=utf-8' }
    assert.equal((await send('PATCH', server(), parameter, '{"backups_enabled": true}')).status, 200)
    const form = await send('POST', SERVERS, { 'content-type': 'application/x-www-form-urlencoded' }, 'name=a')
    assert.deepEqual([form.status, Object.keys((await form.json()) as Json)], [415, ['detail']])
    const packed = await send('POST', SERVERS, { ...json, 'content-encoding': 'gzip' }, gzipSync('{}'))
    assert.equal(packed.status, 415)
    const broken = await send('POST', SERVERS, json, '{"name": ')
    assert.equal(broken.status, 400)
    assert.match(((await broken.json()) as Json).detail, /^JSON parse error - /)
    const large = await send('POST', SERVERS, json, JSON.stringify({ ...SERVER, hostname: 'a'.repeat(2 ** 20) }))
    assert.deepEqual([large.status, Object.keys((await large.json()) as Json)], [413, ['detail']])
    const head = await send('HEAD', server(), {})
    assert.deepEqual([head.status, await head.text()], [200, ''])
    const options = await send('OPTIONS', server(), {})
    assert.deepEqual([options.status, options.headers.get('allow')], [204, 'GET, PUT, PATCH, DELETE, HEAD, OPTIONS'])
  })

  test('a client that asks for gzip can read what it gets', async () => {
    const { ownerKey, apiUrl } = wire()
    const connection = rawConnection(apiUrl)
    connection.send(
      `GET ${SERVERS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${ownerKey}\r\naccept-encoding: gzip\r\n\r\n`,
    )
    const answer = await connection.answer()
    connection.end()
    assert.equal(answer?.status, 200)
    const isPacked = answer.headers['content-encoding'] === 'gzip'
    const text = isPacked ? gunzipSync(Buffer.from(answer.body, 'latin1')).toString() : answer.body
    assert.ok(JSON.parse(text).count > 0)
  })

  test('a wrong method: who is not known gets 401, who is known 405 with Allow', async () => {
    for (const [method, path, allow] of [
      ['DELETE', SERVERS, 'GET, POST, HEAD, OPTIONS'],
      ['PUT', SERVERS, 'GET, POST, HEAD, OPTIONS'],
      ['POST', server(), 'GET, PUT, PATCH, DELETE, HEAD, OPTIONS'],
      ['GET', server('start/'), 'POST, OPTIONS'],
    ] as const) {
      assert.equal((await call(method, path, undefined, null)).status, 401)
      assert.equal((await call(method, path, undefined, wire().keys.wrong)).status, 401)
      const answer = await call(method, path)
      assert.deepEqual([answer.status, answer.body], [405, { detail: `Method "${method}" not allowed.` }])
      assert.equal(answer.headers.get('allow'), allow)
    }
  })

  test('an Idempotency-Key makes one server of two calls; limits and the request id are in the headers', async () => {
    const post = (body: unknown) =>
      fetch(wire().apiUrl + SERVERS, {
        method: 'POST',
        headers: { authorization: `Bearer ${wire().ownerKey}`, 'idempotency-key': 'once' },
        body: Buffer.from(JSON.stringify(body)),
      })
    const first = await post(SERVER)
    const second = await post(SERVER)
    assert.deepEqual([first.status, second.status], [201, 201])
    assert.equal(await second.text(), await first.text())
    assert.equal(second.headers.get('idempotent-replayed'), 'true')
    const other = await post({ ...SERVER, name: 'other' })
    assert.deepEqual([other.status, Object.keys((await other.json()) as Json)], [409, ['detail']])
    for (const header of ['ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset', 'x-request-id']) {
      assert.ok(first.headers.get(header), header)
    }
    const audit = await call('GET', '/havn/v1/audit?limit=3')
    const rows = audit.body.items.filter(({ requestId }: Json) => requestId === first.headers.get('x-request-id'))
    assert.deepEqual([rows.length, rows[0].dialect, rows[0].status], [1, 'vpsorg', 201])
    assert.match(rows[0].resourceId, /^inst_/)
  })
})

test('too many creates at once', async (t) => {
  const cloud = await startCloud(t, { withoutWorker: true, env: { HAVN_RATE_CREATES: '2' } })
  const answers = await Promise.all(Array.from({ length: 6 }, () => cloud.call<Json>('POST', SERVERS, {})))
  const refused = answers.filter(({ status }) => status === 429)
  assert.ok(refused.length > 0)
  for (const { headers, body } of refused) {
    assert.ok(Number(headers.get('retry-after')) >= 1)
    assert.match(body.detail, /^too many creates, try again in \d+ s$/)
  }
})
