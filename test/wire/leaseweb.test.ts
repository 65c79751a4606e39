/** Leaseweb's API off the published path: its clients' odd ways, long lists, wrong input, wrong states. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Instance } from '../../src/dialects/native/contract/instances.ts'
import { newIdentity } from '../../src/model/ids.ts'
import { rawConnection } from './raw.ts'
import { census, until, untilState, type Wire, wireOfSuite } from './wire.ts'

// biome-ignore lint/suspicious/noExplicitAny: what comes is what is looked at
type Json = any

const S = '/cloud/v2/virtualServers'
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Every error, whatever it is about. */
function isError({ status, body, headers }: { status: number; body: Json; headers: Headers }, wanted: number) {
  assert.equal(status, wanted, JSON.stringify(body))
  assert.equal(body.errorCode, wanted === 404 ? 404 : wanted === 400 ? 'APP00900' : body.errorCode)
  assert.equal(typeof body.errorMessage, 'string')
  assert.match(body.correlationId, UUID)
  assert.equal(headers.get('apigw-correlation-id'), body.correlationId)
  assert.match(headers.get('content-type')!, /^application\/json/)
}

const serverPath = ({ instance }: Wire) => `${S}/${instance.number}`

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

describe('wrong input', () => {
  const wire = wireOfSuite()
  const refused = async (method: string, path: string, body?: unknown, fields?: string[]) => {
    const answer = await wire().call<Json>(method, path, body)
    isError(answer, 400)
    assert.deepEqual(Object.keys(answer.body.errorDetails), fields, `${method} ${path} ${JSON.stringify(body)}`)
    for (const texts of Object.values<string[]>(answer.body.errorDetails)) {
      assert.ok(texts.length > 0 && texts.every((text) => /[.!?]$/.test(text)), JSON.stringify(texts))
    }
  }

  test('bodies', async () => {
    const server = serverPath(wire())
    const before = await census(wire().db)
    const wrong: [method: string, path: string, body: unknown, fields: string[]][] = [
      ['PUT', '', undefined, ['reference']],
      ['PUT', '', {}, ['reference']],
      ['PUT', '', { reference: null }, ['reference']],
      ['PUT', '', { reference: 7 }, ['reference']],
      ['PUT', '', { reference: 'x'.repeat(256) }, ['reference']],
      ['PUT', '', ['reference'], ['body']],
      ['PUT', '', 'text', ['body']],
      ['POST', '/reinstall', undefined, ['operatingSystemId']],
      ['POST', '/reinstall', { operatingSystemId: 12 }, ['operatingSystemId']],
      ['POST', '/reinstall', { operatingSystemId: 'BEOS_5' }, ['operatingSystemId']],
      ['POST', '/reinstall', { operatingSystemId: 'debian-12' }, ['operatingSystemId']],
      ['POST', '/reinstall', { operatingSystemId: 'WINDOWS_SERVER_2025_64' }, ['operatingSystemId']],
      ['PUT', '/credentials', undefined, ['username', 'password', 'type']],
      ['PUT', '/credentials', { username: '', password: '', type: 'ROOT' }, ['username', 'password', 'type']],
      ['PUT', '/credentials', { username: 'a\nb', password: 'x', type: 'OPERATING_SYSTEM' }, ['username']],
      ['PUT', '/credentials', { username: 'root', password: 5, type: 'OPERATING_SYSTEM' }, ['password']],
      ['PUT', '/credentials', { username: 'root', password: 'x'.repeat(1025), type: 'CONTROL_PANEL' }, ['password']],
      ['PUT', '/credentials', { username: 'root', password: 'x', type: 'operating_system' }, ['type']],
      ['POST', '/snapshots', undefined, ['name']],
      ...['', ' a', '1a', 'a-b', 'a_b', 'a\n', 'ä', 'a'.repeat(256), 'a/b', "a'; --", null, 5, ['a']].map(
        (name): [string, string, unknown, string[]] => ['POST', '/snapshots', { name }, ['name']],
      ),
    ]
    for (const [method, path, body, fields] of wrong) await refused(method, server + path, body, fields)
    const unreadable = await fetch(`${wire().apiUrl}${server}/snapshots`, {
      method: 'POST',
      headers: { 'x-lsw-auth': wire().ownerKey, 'content-type': 'application/json' },
      body: '{"name":',
    })
    isError({ status: unreadable.status, headers: unreadable.headers, body: await unreadable.json() }, 400)
    assert.deepEqual(await census(wire().db), before)
    const { body } = await wire().call<Instance>('GET', `/havn/v1/instances/${wire().instance.id}`)
    assert.deepEqual(body, wire().instance, 'nothing was changed')
  })

  test('queries', async () => {
    const server = serverPath(wire())
    const lists = [S, `${server}/templates`, `${server}/snapshots`, `${server}/credentials/OPERATING_SYSTEM`]
    for (const path of lists) {
      for (const limit of ['0', '-1', 'x', '1.5', '1e2', '1001', '9'.repeat(30), '%20', '']) {
        await refused('GET', `${path}?limit=${limit}`, undefined, ['limit'])
      }
      for (const offset of ['-1', 'x', '0.5', '9'.repeat(30), '']) {
        await refused('GET', `${path}?offset=${offset}`, undefined, ['offset'])
      }
      await refused('GET', `${path}?limit=1&limit=2`, undefined, ['limit'])
      assert.equal((await wire().call('GET', `${path}?limit=1000&offset=999999999999999`)).status, 200)
    }
    const traffic = `${server}/metrics/datatraffic`
    const span = 'from=2024-02-01&to=2024-02-02'
    for (const [query, fields] of [
      ['granularity=1h', ['granularity']],
      ['granularity=WEEK', ['granularity']],
      ['granularity=day', ['granularity']],
      ['aggregation=AVG', ['aggregation']],
      ['from=yesterday', ['from']],
      ['from=2024-02-30', ['from']],
      ['to=2024-13-01', ['to']],
      ['from=2024-02-02&to=2024-02-01', ['to']],
      ['from=2024-02-02&to=2024-02-02', ['to']],
      ['from=0001-01-01&to=2024-02-02', ['from']],
      ['from=1971-01-01&to=2024-02-02&granularity=5MIN', ['granularity']],
    ] as [string, string[]][]) {
      await refused('GET', `${traffic}?${query}`, undefined, fields)
    }
    for (const query of [
      span,
      `${span}&granularity=HOUR`,
      'from=2024-02-01T00:00:00+00:00&to=2024-03-01',
      'from=2999-01-01&to=2999-02-01',
    ]) {
      assert.equal((await wire().call('GET', `${traffic}?${query}`)).status, 200, query)
    }
    await refused('GET', `${server}/credentials/ROOT`, undefined, ['credentialType'])
    await refused('GET', `${server}/credentials/operating_system/root`, undefined, ['credentialType'])
  })

  test('ids that are none, unknown, or another account’s', async () => {
    const before = await census(wire().db)
    const { uuid, id, name, number } = wire().instance
    const nobody = newIdentity('snapshot').uuid
    const theirs = await wire().call<{ instance: Instance }>(
      'POST',
      '/havn/v1/instances',
      { name: String(number + 7) },
      wire().keys.other,
    )
    const foreign = theirs.body.instance.number
    for (const bad of [
      '0',
      '999999',
      String(foreign),
      uuid,
      id,
      name,
      `0${number}`,
      `+${number}`,
      `${number}.0`,
      '1e4',
      '-1',
      '9'.repeat(40),
      '..%2f..',
      '%00',
      '%zz',
      'x'.repeat(4096),
      `${number}%20`,
    ]) {
      for (const [method, rest, body] of [
        ['GET', '', undefined],
        ['PUT', '', { reference: 'mine' }],
        ['POST', '/powerOff', undefined],
        ['POST', '/reinstall', { operatingSystemId: 'DEBIAN_12_64' }],
        ['GET', '/templates', undefined],
        ['GET', '/credentials/OPERATING_SYSTEM/root', undefined],
        ['PUT', '/credentials', { username: 'root', password: 'x', type: 'OPERATING_SYSTEM' }],
        ['GET', '/metrics/datatraffic', undefined],
        ['GET', '/snapshots', undefined],
        ['POST', '/snapshots', { name: 'mine' }],
        ['POST', `/snapshots/${nobody}/restore`, undefined],
        // Nor does a bad request tell whether there is one.
        ['PUT', '', { reference: 5 }],
        ['POST', '/reinstall', undefined],
        ['GET', '/templates?limit=0', undefined],
        ['GET', '/credentials/nonsense', undefined],
        ['PUT', '/credentials', {}],
        ['GET', '/metrics/datatraffic?granularity=1h', undefined],
        ['GET', '/snapshots?offset=-1', undefined],
        ['POST', '/snapshots', { name: '1' }],
      ] as const) {
        isError(await wire().call<Json>(method, `${S}/${bad}${rest}`, body), 404)
      }
    }
    const server = serverPath(wire())
    for (const bad of [nobody, 'x', '1', 'Snapshot%201', nobody.toUpperCase(), '%00']) {
      for (const [method, rest] of [
        ['GET', ''],
        ['DELETE', ''],
        ['POST', '/restore'],
      ] as const) {
        const answer = await wire().call<Json>(method, `${server}/snapshots/${bad}${rest}`)
        isError(answer, 404)
        if (bad === 'x') assert.equal(answer.body.errorMessage, "Resource 'x' was not found")
      }
    }
    for (const path of [
      '/cloud',
      '/cloud/v2',
      '/cloud/v2/virtualservers',
      `${server}/nothing`,
      `${server}/powerOn/x`,
    ]) {
      isError(await wire().call<Json>('GET', path), 404)
    }
    const method = await wire().call<Json>('DELETE', server)
    isError(method, 405)
    assert.deepEqual([method.body.errorCode, method.headers.get('allow')], ['405', 'GET, PUT, HEAD, OPTIONS'])
    const { instance, operation, strand, ip_address, event, ...after } = await census(wire().db)
    const { instance: _i, operation: _o, strand: _s, ip_address: _a, event: _e, ...rest } = before
    assert.deepEqual(after, rest)
    const seen = await wire().call<Instance>(
      'GET',
      `/havn/v1/instances/${theirs.body.instance.id}`,
      undefined,
      wire().keys.other,
    )
    assert.deepEqual([seen.body.reference, seen.body.image.id], [null, theirs.body.instance.image.id])
    assert.ok(instance && operation && strand && ip_address && event)
  })
})

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
