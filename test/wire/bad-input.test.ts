/** Bad input: refused in the dialect's shape, and nothing is changed. Paths and syntax of every kind: http/server.test.ts. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { census, wireOfSuite } from './wire.ts'

// biome-ignore lint/suspicious/noExplicitAny: what comes is what is looked at
type Json = any

const VPS = { hostname: 'a.example.net', plan_code: 'vps-2gb-1cpu', region: 'oslo', os_template: 'debian-12' }
const without = (field: keyof typeof VPS) => Object.fromEntries(Object.entries(VPS).filter(([key]) => key !== field))
const INSTANCE = { name: 'a', planId: 'vps-2gb-1cpu', regionId: 'oslo', imageId: 'debian-12' }

/** Status, and for a list of issues the field and type of the first. */
const WAYSCLOUD: [why: string, body: unknown, status: number, field?: string | undefined, type?: string][] = [
  ['unknown plan', { ...VPS, plan_code: 'vps-1tb' }, 400],
  ['unknown region', { ...VPS, region: 'atlantis' }, 400],
  ['unknown template', { ...VPS, os_template: 'beos-5' }, 400],
  ['Windows on too small a plan', { ...VPS, os_template: 'windows-server-2025' }, 400],
  ['a private key as public key', { ...VPS, ssh_keys: ['-----BEGIN OPENSSH PRIVATE KEY-----'] }, 400],
  ['a key of two lines', { ...VPS, ssh_keys: ['ssh-ed25519 AAAA\nssh-rsa BBBB'] }, 400],
  ['no host name', without('hostname'), 422, 'hostname', 'missing'],
  ['no plan', without('plan_code'), 422, 'plan_code', 'missing'],
  ['no region', without('region'), 422, 'region', 'missing'],
  ['no template', without('os_template'), 422, 'os_template', 'missing'],
  ['a number as host name', { ...VPS, hostname: 7 }, 422, 'hostname', 'type_error'],
  ['an underscore in the host name', { ...VPS, hostname: 'a_b' }, 422, 'hostname', 'value_error'],
  ['an option as host name', { ...VPS, hostname: '-rf' }, 422, 'hostname', 'value_error'],
  ['a host name of 254 characters', { ...VPS, hostname: `${'a.'.repeat(126)}aa` }, 422, 'hostname', 'value_error'],
  ['a path as host name', { ...VPS, hostname: '../../etc' }, 422, 'hostname', 'value_error'],
  ['keys as text', { ...VPS, ssh_keys: 'ssh-ed25519 AAAA' }, 422, 'ssh_keys', 'type_error'],
  ['a list', [VPS], 422, undefined, 'type_error'],
  ['nothing', undefined, 422, undefined, 'missing'],
]

const NATIVE: [why: string, body: unknown, field?: string][] = [
  ['unknown plan', { ...INSTANCE, planId: 'vps-1tb' }, 'planId'],
  ['unknown region', { ...INSTANCE, regionId: 'atlantis' }, 'regionId'],
  ['unknown image', { ...INSTANCE, imageId: 'beos-5' }, 'imageId'],
  ['no name', {}, 'name'],
  ['an empty name', { ...INSTANCE, name: '  ' }, 'name'],
  ['a name with a newline', { ...INSTANCE, name: 'a\nb' }, 'name'],
  ['a bad host name', { ...INSTANCE, hostname: 'a b' }, 'hostname'],
  ['a key that is none', { ...INSTANCE, sshKeys: ['hello'] }, 'sshKeys'],
  ['an unknown field', { ...INSTANCE, plan: 'vps-2gb-1cpu' }],
  ['a list', []],
  ['nothing', undefined],
]

describe('bad input', () => {
  const wire = wireOfSuite()

  test('WAYSCloud: create', async () => {
    const before = await census(wire().db)
    for (const [why, body, status, field, type] of WAYSCLOUD) {
      const answer = await wire().call<Json>('POST', '/v1/vps', body)
      assert.equal(answer.status, status, `${why}: ${JSON.stringify(answer.body)}`)
      assert.deepEqual(Object.keys(answer.body), ['detail'], why)
      if (status !== 422) assert.equal(typeof answer.body.detail, 'string', why)
      else {
        const [issue] = answer.body.detail
        assert.deepEqual(Object.keys(issue).sort(), ['input', 'loc', 'msg', 'type'], why)
        assert.deepEqual([issue.loc, issue.type], [field ? ['body', field] : ['body'], type], why)
      }
    }
    assert.deepEqual(await census(wire().db), before)
  })

  test('WAYSCloud: ids, unknown paths and other methods', async () => {
    const before = await census(wire().db)
    const { uuid, id, name, number } = wire().instance
    const nobody = uuid.replace(/.{12}$/, '0'.repeat(12))
    for (const bad of [
      nobody,
      'x',
      id,
      name,
      String(number),
      '..%2f..%2fetc',
      '%00',
      '%zz',
      'x'.repeat(4096),
      `${uuid}%00`,
    ]) {
      for (const [method, rest] of [
        ['GET', ''],
        ['GET', '/status'],
        ['POST', '/stop'],
        ['DELETE', ''],
      ] as const) {
        const answer = await wire().call<Json>(method, `/v1/vps/${bad}${rest}`)
        assert.equal(answer.status, 404, `${method} ${bad.slice(0, 50)}`)
        assert.match(answer.body.detail, /^(VPS not found|Not Found)$/)
      }
    }
    for (const path of ['/v1', '/v1/nothing', `/v1/vps/${uuid}/nothing`, '/v1/storage/nothing']) {
      assert.deepEqual((await wire().call('GET', path)).body, { detail: 'Not Found' }, path)
    }
    const refused = await wire().call('PUT', '/v1/vps')
    assert.deepEqual([refused.status, refused.body], [405, { detail: 'Method Not Allowed' }])
    assert.equal(refused.headers.get('allow'), 'GET, POST, HEAD, OPTIONS')
    assert.deepEqual((await wire().call('GET', '/v1/vps', undefined, null)).body, {
      detail: 'Invalid or missing API key',
    })
    assert.deepEqual(await census(wire().db), before)
  })

  test('WAYSCloud: rename, and a filter given twice', async () => {
    const { uuid } = wire().instance
    for (const body of [{}, { display_name: '' }, { display_name: null }, { display_name: 'x'.repeat(129) }]) {
      assert.equal((await wire().call('PATCH', `/v1/vps/${uuid}`, body)).status, 422, JSON.stringify(body))
    }
    const twice = await wire().call<Json>('GET', '/v1/vps?status=running&status=stopped')
    assert.deepEqual([twice.status, twice.body.detail[0].loc], [422, ['query', 'status']])
  })

  test('native: create', async () => {
    const before = await census(wire().db)
    for (const [why, body, field] of NATIVE) {
      const answer = await wire().call<Json>('POST', '/havn/v1/instances', body)
      assert.equal(answer.status, 400, `${why}: ${JSON.stringify(answer.body)}`)
      assert.deepEqual([answer.body.error.code, typeof answer.body.error.message], ['invalid', 'string'], why)
      assert.equal(answer.body.error.requestId, answer.headers.get('x-request-id'), why)
      if (field) assert.equal(answer.body.error.issues[0].path[0], field, why)
    }
    assert.deepEqual(await census(wire().db), before)
  })

  test('native: rebuild and credentials', async () => {
    const { id, number } = wire().instance
    const before = await census(wire().db)
    const root = { type: 'operating_system', username: 'root' }
    for (const [method, path, body] of [
      ['POST', 'rebuild', undefined],
      ['POST', 'rebuild', {}],
      ['POST', 'rebuild', { imageId: 'beos-5' }],
      ['POST', 'rebuild', { imageId: 'windows-server-2025' }],
      ['POST', 'rebuild', { imageId: 'micro', generatePassword: true, passwordHash: '$6$x$y' }],
      ['PUT', 'credentials', { ...root }],
      ['PUT', 'credentials', { ...root, password: '' }],
      ['PUT', 'credentials', { ...root, type: 'root', password: 'x' }],
      ['PUT', 'credentials', { ...root, username: 'a\tb', password: 'x' }],
      ['POST', 'credentials/reveal', { username: 'root' }],
      ['GET', 'credentials?type=x', undefined],
    ] as const) {
      const answer = await wire().call<Json>(method, `/havn/v1/instances/${id}/${path}`, body)
      assert.deepEqual([answer.status, answer.body.error.code], [400, 'invalid'], `${path} ${JSON.stringify(body)}`)
    }
    const unknown = await wire().call<Json>('POST', `/havn/v1/instances/${number}/credentials/reveal`, root)
    assert.deepEqual([unknown.status, unknown.body.error.code], [404, 'not_found'])
    assert.deepEqual(await census(wire().db), before)
  })

  test('native: queries, ids, unknown paths', async () => {
    const code = async (path: string) => {
      const { status, body } = await wire().call<Json>('GET', path)
      return [status, body.error.code]
    }
    for (const query of [
      'limit=0',
      'limit=1001',
      'limit=x',
      'offset=-1',
      'state=happy',
      'all=maybe',
      'colour=red',
      'name=%00',
    ]) {
      assert.deepEqual(await code(`/havn/v1/instances?${query}`), [400, 'invalid'], query)
    }
    for (const id of ['nobody', '999999', '..%2f..', '%00', '%zz', 'x'.repeat(4096), "'; DROP TABLE instance; --"]) {
      assert.deepEqual(await code(`/havn/v1/instances/${id}`), [404, 'not_found'], id.slice(0, 40))
    }
    for (const path of ['/favicon.ico', '/havn', '/havn/v2/instances', '/nothing', '/havn/v1/instances/']) {
      if (path.endsWith('instances/')) assert.equal((await wire().call('GET', path)).status, 200)
      else assert.deepEqual(await code(path), [404, 'not_found'], path)
    }
    assert.deepEqual(await code('/havn/v1/events?after=x'), [400, 'invalid'])
  })
})
