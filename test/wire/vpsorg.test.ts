/** VPS.org's API beyond its samples: odd clients, pages, filters, states, and whatever must be refused. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { seedFleet } from '../../bench/fleet.ts'
import { cryptSha512 } from '../../src/lib/crypt.ts'
import type { AccountId } from '../../src/model/ids.ts'
import { INSTANCE_STATES, type InstanceState } from '../../src/model/instance.ts'
import { type Cloud, startCloud } from '../cloud.ts'
import { rawConnection } from './raw.ts'
import { census, untilState, type Wire, wireOfSuite } from './wire.ts'

// biome-ignore lint/suspicious/noExplicitAny: what comes is what is looked at
type Json = any
const SERVERS = '/api/v1/servers/'
const SERVER = { name: 'web-2', plan_id: 1, os_id: 1, location: 'us-west' }
const without = (field: keyof typeof SERVER) =>
  Object.fromEntries(Object.entries(SERVER).filter(([key]) => key !== field))
const REQUIRED = 'This field is required.'
const NULL = 'This field may not be null.'
const INTEGER = 'A valid integer is required.'
const TEXT = 'Not a valid string.'
const LETTERS = 'Enter letters, digits and hyphens only.'

/** And the fields that the answer names, with the text of each; null where the text is our own. */
const BAD_CREATES: [why: string, body: unknown, fields: Record<string, string | null>][] = [
  ['nothing', undefined, { name: REQUIRED, plan_id: REQUIRED, os_id: REQUIRED, location: REQUIRED }],
  ['no name', without('name'), { name: REQUIRED }],
  ['no plan', without('plan_id'), { plan_id: REQUIRED }],
  ['no os', without('os_id'), { os_id: REQUIRED }],
  ['no location', without('location'), { location: REQUIRED }],
  ['null', null, { non_field_errors: 'No data provided' }],
  ['a list', [SERVER], { non_field_errors: null }],
  ['a text', 'web', { non_field_errors: null }],
  ['a null name', { ...SERVER, name: null }, { name: NULL }],
  ['a blank name', { ...SERVER, name: ' ' }, { name: 'This field may not be blank.' }],
  ['a number as name', { ...SERVER, name: 7 }, { name: TEXT }],
  ['a name with a dot', { ...SERVER, name: 'a.b' }, { name: LETTERS }],
  ['a name of hyphens', { ...SERVER, name: '--' }, { name: LETTERS }],
  ['a name with a path', { ...SERVER, name: '../x' }, { name: LETTERS }],
  ['a long name', { ...SERVER, name: 'a'.repeat(64) }, { name: 'Ensure this field has no more than 63 characters.' }],
  ['a text as plan', { ...SERVER, plan_id: 'vps-2gb-1cpu' }, { plan_id: INTEGER }],
  ['a fraction as plan', { ...SERVER, plan_id: 1.5 }, { plan_id: INTEGER }],
  ['true as plan', { ...SERVER, plan_id: true }, { plan_id: INTEGER }],
  ['a null plan', { ...SERVER, plan_id: null }, { plan_id: NULL }],
  ['an unknown plan', { ...SERVER, plan_id: 99 }, { plan_id: 'Invalid pk "99" - object does not exist.' }],
  ['an unknown os', { ...SERVER, os_id: 2 }, { os_id: 'Invalid pk "2" - object does not exist.' }],
  ['a negative os', { ...SERVER, os_id: -1 }, { os_id: 'Invalid pk "-1" - object does not exist.' }],
  ['an os too large for the plan', { ...SERVER, os_id: 8 }, { plan_id: null }],
  ['an unknown location', { ...SERVER, location: 'moon' }, { location: '"moon" is not a valid choice.' }],
  ['a number as location', { ...SERVER, location: 1 }, { location: TEXT }],
  ['a host name that is none', { ...SERVER, hostname: 'a_b' }, { hostname: null }],
  ['an unknown SSH key', { ...SERVER, ssh_key_id: 1 }, { ssh_key_id: 'Invalid pk "1" - object does not exist.' }],
  ['zero as SSH key', { ...SERVER, ssh_key_id: 0 }, { ssh_key_id: 'Invalid pk "0" - object does not exist.' }],
  ['a text as SSH key', { ...SERVER, ssh_key_id: 'ssh-ed25519 AAAA' }, { ssh_key_id: INTEGER }],
  ['a text as flag', { ...SERVER, backups_enabled: 'yes' }, { backups_enabled: 'Must be a valid boolean.' }],
  ['two at once', { ...SERVER, name: 'a b', plan_id: 'x' }, { name: LETTERS, plan_id: INTEGER }],
]

/** Without the events: servers that are on their way go on making some. */
async function made({ db }: Wire): Promise<Record<string, number>> {
  const { event: _, ...counts } = await census(db)
  return counts
}

describe('VPS.org', () => {
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

  test('what is no server, or nobody’s, is not found, whatever is done to it', async () => {
    const other = await call('POST', SERVERS, SERVER, wire().keys.other)
    assert.equal(other.status, 201)
    const { number, id, uuid } = wire().instance
    const named = await call('POST', SERVERS, { ...SERVER, name: '777777' })
    assert.equal(named.status, 201)
    const ids = ['999999', '777777', '0', '-1', `0${number}`, `${number}x`, `${number}.0`, '1e3', id, uuid, 'web']
    ids.push('%00', '%F0%9F%92%A9', '9'.repeat(30), 'a'.repeat(600), String(other.body.id), `%20${number}`)
    const before = await made(wire())
    for (const bad of ids) {
      const path = `${SERVERS}${bad}/`
      const body = { name: 'x', hostname: 'x', backups_enabled: true }
      for (const [method, at, sent] of [
        ['GET', path],
        ['PUT', path, body],
        ['PATCH', path, body],
        ['DELETE', path],
        ['POST', `${path}start/`],
        ['POST', `${path}stop/`],
        ['POST', `${path}reboot/`],
      ] as const) {
        const answer = await call(method, at, sent)
        assert.deepEqual([answer.status, answer.body], [404, { detail: 'Not found.' }], `${method} ${at}`)
        assert.equal((await call(method, at, sent, null)).status, 401, `${method} ${at} without a key`)
      }
    }
    assert.deepEqual(await made(wire()), before)
    assert.deepEqual((await call('GET', `${server()}nonsense/`)).body, { detail: 'Not found.' })
    for (const number of ['999999', other.body.id]) {
      for (const [method, sent] of [
        ['PUT', '{}'],
        ['PATCH', '{"name":5}'],
        ['PUT', '{'],
        ['DELETE', '{'],
      ] as const) {
        const answer = await fetch(`${wire().apiUrl}${SERVERS}${number}/`, {
          method,
          headers: { authorization: `Bearer ${wire().ownerKey}`, 'content-type': 'application/json' },
          body: sent,
        })
        assert.deepEqual([answer.status, await answer.json()], [404, { detail: 'Not found.' }], `${method} ${sent}`)
      }
    }
  })

  test('bad creates name the fields and make nothing', async () => {
    const before = await made(wire())
    for (const [why, body, fields] of BAD_CREATES) {
      const answer = await call('POST', SERVERS, body)
      assert.equal(answer.status, 400, `${why}: ${JSON.stringify(answer.body)}`)
      assert.deepEqual(Object.keys(answer.body).sort(), Object.keys(fields).sort(), why)
      for (const [field, text] of Object.entries(fields)) {
        assert.equal(typeof answer.body[field][0], 'string', why)
        if (text !== null) assert.deepEqual(answer.body[field], [text], why)
      }
    }
    assert.deepEqual(await made(wire()), before)
  })

  test('bad updates name the fields and change nothing', async () => {
    const before = await call('GET', server())
    const FULL = { name: 'a', hostname: 'a', backups_enabled: true }
    const bad: [method: string, body: unknown, field: string, text: string | null][] = [
      ['PUT', undefined, 'name', REQUIRED],
      ['PUT', { name: 'a', backups_enabled: true }, 'hostname', REQUIRED],
      ['PUT', { ...FULL, hostname: null }, 'hostname', NULL],
      ['PUT', { ...FULL, backups_enabled: 'maybe' }, 'backups_enabled', 'Must be a valid boolean.'],
      ['PATCH', { name: '' }, 'name', 'This field may not be blank.'],
      ['PATCH', { name: 'a b' }, 'name', LETTERS],
      ['PATCH', { hostname: '-a' }, 'hostname', null],
      ['PATCH', { name: 'good', backups_enabled: 1 }, 'backups_enabled', 'Must be a valid boolean.'],
      ['PATCH', [], 'non_field_errors', null],
    ]
    for (const [method, body, field, text] of bad) {
      const answer = await call(method, server(), body)
      assert.equal(answer.status, 400, JSON.stringify([body, answer.body]))
      if (text === null) assert.ok(answer.body[field].length > 0)
      else assert.deepEqual(answer.body[field], [text])
    }
    assert.deepEqual((await call('GET', server())).body, before.body)
  })

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

describe('VPS.org: lists', () => {
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

test('VPS.org: too many creates at once', async (t) => {
  const cloud = await startCloud(t, { withoutWorker: true, env: { HAVN_RATE_CREATES: '2' } })
  const answers = await Promise.all(Array.from({ length: 6 }, () => cloud.call<Json>('POST', SERVERS, {})))
  const refused = answers.filter(({ status }) => status === 429)
  assert.ok(refused.length > 0)
  for (const { headers, body } of refused) {
    assert.ok(Number(headers.get('retry-after')) >= 1)
    assert.match(body.detail, /^too many creates, try again in \d+ s$/)
  }
})
