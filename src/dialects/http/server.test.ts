import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { CloudError, notFound } from '../../model/errors.ts'
import type { Scope } from '../../model/scopes.ts'
import type { Ctx } from '../../services/ctx.ts'
import { apiKeyHeader, basic, bearer, type Principal } from './auth.ts'
import type { ApiContext } from './call.ts'
import type { AuditEntry, StoredAnswer } from './change.ts'
import { dialect, route, under } from './route.ts'
import { createApi } from './server.ts'

// Two little dialects: one of things, one that answers for the rest. The database is a transaction that only counts.
const Thing = z.object({ name: z.string().min(1), size: z.int().default(1) })
const things = dialect({
  name: 'things',
  title: 'Things',
  description: 'For tests',
  owns: under('/things'),
  tokens: [apiKeyHeader, bearer, basic],
  security: { key: { type: 'apiKey', in: 'header', name: 'X-API-Key', description: 'a key' } },
  errors: ({ code, message, issues, isMalformed, resource }) => ({
    status:
      { not_found: 404, invalid: 422, unauthenticated: 401, forbidden: 403 }[code as string] ?? STATUS[code] ?? 500,
    body: {
      thing: code,
      message,
      issues: issues.map(({ where, path, code }) => [where, path.join('.'), code]),
      isMalformed,
      resource,
    },
  }),
  errorBody: z.object({ thing: z.string() }),
  takesForms: true,
  requestId: { header: 'thing-id', accepts: /^[0-9a-f-]{36}$/ },
  routes: [
    route({
      method: 'GET',
      path: '/things/open',
      summary: 'Open',
      scope: null,
      status: 200,
      run: async () => ({ open: true }),
    }),
    route({
      method: 'GET',
      path: '/things/near',
      summary: 'Near',
      scope: 'operator',
      openTo: 'loopback',
      status: 200,
      run: async () => ({}),
    }),
    route({
      method: 'POST',
      path: '/things',
      summary: 'Make',
      scope: 'instances:write',
      status: 201,
      body: Thing,
      isCreate: true,
      async run(_ctx, { body, concerns }) {
        if (body.name === 'bug') throw new TypeError('a secret detail')
        if (body.name === 'taken') throw new CloudError('already_exists', 'there is one')
        made.push(body.name)
        concerns('thing-1')
        return { made: body }
      },
    }),
    route({
      method: 'POST',
      path: '/things/empty',
      summary: 'No body',
      scope: 'instances:write',
      status: 200,
      run: async () => ({ ok: 1 }),
    }),
    route({
      method: 'POST',
      path: '/things/secret',
      summary: 'Secret',
      scope: 'instances:write',
      status: 201,
      isSecret: true,
      run: async () => ({ secret: 'x' }),
    }),
    route({
      method: 'GET',
      path: '/things/{id}',
      summary: 'Get',
      scope: 'instances:read',
      status: 200,
      noun: 'thing',
      query: z.object({ deep: z.coerce.number().optional() }),
      async run(_ctx, { params }) {
        const { id } = params as unknown as { id: string }
        if (id !== 'one') throw notFound('thing', id)
        return { id }
      },
    }),
  ],
})
const STATUS: Record<string, number> = {
  already_exists: 409,
  conflict: 409,
  too_large: 413,
  unsupported_media_type: 415,
  method_not_allowed: 405,
  rate_limited: 429,
  idempotency_mismatch: 422,
}
const rest = dialect({
  ...things,
  name: 'rest',
  owns: under('/rest'),
  routes: [],
  errors: ({ code }) => ({ status: STATUS[code] ?? (code === 'invalid' ? 400 : 404), body: { rest: code } }),
})

const made: string[] = []
const audit: AuditEntry[] = []
const stored = new Map<string, StoredAnswer & { digest: string }>()
const db = { transaction: () => ({ execute: (work: (tx: unknown) => unknown) => work(db) }) } as unknown as Ctx['db']
const principal = (id: string, ...scopes: Scope[]): Principal => ({
  accountId: 'acct_1',
  apiKeyId: `key_${id}`,
  email: 'a@example.net',
  scopes: new Set(scopes),
})
const KEYS: Record<string, Principal> = {
  writer: principal('writer', 'instances:read', 'instances:write'),
  reader: principal('reader', 'instances:read'),
  greedy: principal('greedy', 'instances:read', 'instances:write'),
}
const context: ApiContext = {
  db,
  settings: {} as Ctx['settings'],
  compute: {} as Ctx['compute'],
  limits: { perKey: 1, perKeyBurst: 100, createsPerKey: 1000, failedLoginsPerMinute: 10 },
  access: { authenticate: async (text) => KEYS[text] ?? null, touch: async () => undefined },
  records: {
    async claim(_db, _account, key, digest) {
      const found = stored.get(key)
      if (!found) return null
      if (found.digest !== digest.toString('hex'))
        throw new CloudError('idempotency_mismatch', 'another request had this key')
      return found
    },
    async keep(_db, _account, key, answer) {
      stored.set(key, { ...answer, digest: digests.get(key)! })
    },
    async audit(_db, entry) {
      audit.push(entry)
    },
  },
}
const digests = new Map<string, string>()
const claim = context.records.claim
context.records.claim = (tx, account, key, digest) => {
  if (!digests.has(key)) digests.set(key, digest.toString('hex'))
  return claim(tx, account, key, digest)
}

describe('the http room', () => {
  let app: FastifyInstance
  let url: string
  before(async () => {
    app = createApi(context, [rest, things])
    url = await app.listen({ host: '127.0.0.1', port: 0 })
  })
  after(() => app.close())

  const call = async (
    method: string,
    path: string,
    init: { key?: string; body?: string | Buffer; headers?: Record<string, string> } = {},
  ) => {
    const response = await fetch(url + path, {
      method,
      headers: { ...(init.key && { 'x-api-key': init.key }), ...(init.headers ?? (init.body && json)) },
      ...(init.body !== undefined && { body: init.body }),
    })
    const text = await response.text()
    return {
      status: response.status,
      headers: response.headers,
      text,
      // biome-ignore lint/suspicious/noExplicitAny: each test knows its shape
      json: (text.startsWith('{') ? JSON.parse(text) : null) as any,
    }
  }
  const json = { 'content-type': 'application/json' }

  test('both slash forms are served, without a redirect', async () => {
    for (const path of ['/things/one', '/things/one/', '/things/one?deep=3', '/things/one/?deep=3']) {
      const { status, json } = await call('GET', path, { key: 'reader' })
      assert.deepEqual([status, json], [200, { id: 'one' }], path)
    }
  })

  test('odd bodies', async () => {
    const make = (body: string | Buffer, headers: Record<string, string> = json) =>
      call('POST', '/things', { key: 'writer', body, headers })
    const ok = JSON.stringify({ name: 'a' })
    assert.equal((await make(ok)).status, 201)
    assert.equal((await make(Buffer.from(ok), {})).status, 201, 'no content type')
    assert.equal((await make('name=form', { 'content-type': 'application/x-www-form-urlencoded' })).status, 201)
    assert.equal((await call('POST', '/things/empty', { key: 'writer', headers: json })).status, 200)
    assert.equal((await call('POST', '/things/empty', { key: 'writer' })).status, 200)
    const refused: [string | Buffer, number, string, Record<string, string>?][] = [
      ['{', 422, 'json_invalid'],
      ['{"name":"a","__proto__":{"x":1}}', 422, 'forbidden_key'],
      ['{"name":"a","constructor":{"prototype":{}}}', 422, 'forbidden_key'],
      ['{"name":"a\\u0000"}', 422, 'invalid_text'],
      ['{"name":"\\ud800"}', 422, 'invalid_text'],
      [Buffer.from([0x7b, 0xff, 0x7d]), 422, 'json_invalid'],
      ['['.repeat(100_000), 422, 'json_invalid'],
      ['['.repeat(1000) + ']'.repeat(1000), 422, 'too_deep'],
      ['{}', 422, 'missing'],
      ['[]', 422, 'invalid_type'],
      ['"x"', 422, 'invalid_type'],
      ['null', 422, 'invalid_type'],
      ['', 422, 'missing'],
      ['<a/>', 415, '', { 'content-type': 'text/xml' }],
      ['<a/>', 415, '', { 'content-type': 'nonsense' }],
      [ok, 415, '', { ...json, 'content-encoding': 'gzip' }],
      [JSON.stringify({ name: 'x'.repeat(1024 * 1024) }), 413, ''],
    ]
    for (const [body, status, code, headers] of refused) {
      made.length = 0
      const answer = await make(body, headers)
      assert.equal(answer.status, status, `${String(body).slice(0, 60)}: ${answer.text.slice(0, 200)}`)
      if (code) assert.equal(answer.json.issues[0][2], code)
      assert.ok(answer.json.thing, 'in the shape of the dialect')
      assert.deepEqual(made, [])
    }
  })

  test('odd paths are answered in the shape of the dialect that owns them', async () => {
    const odd = [
      '/things/%zz',
      '/things/..%2f..%2fetc',
      '/things/%00',
      `/things/${'x'.repeat(4096)}`,
      '/things/a/b/c',
      '/things/%ff',
    ]
    for (const path of odd) {
      const { status, json } = await raw(`GET ${path} HTTP/1.1`, 'X-API-Key: reader')
      assert.equal(status, 404, path)
      assert.equal((json as { thing: string }).thing, 'not_found', path)
    }
    assert.deepEqual((await call('GET', '/things/two', { key: 'reader' })).json.resource, { noun: 'thing', id: 'two' })
    assert.deepEqual((await call('GET', '/elsewhere')).json, { rest: 'not_found' })
    assert.equal((await raw('GET /things/../rest HTTP/1.1')).status, 404)
    assert.equal((await raw('nonsense')).status, 400)
  })

  test('other methods', async () => {
    const refused = await call('PATCH', '/things', {
      key: 'writer',
      body: 'x',
      headers: { 'content-type': 'text/plain' },
    })
    assert.deepEqual(
      [refused.status, refused.json.thing, refused.headers.get('allow')],
      [405, 'method_not_allowed', 'POST, OPTIONS'],
    )
    const options = await call('OPTIONS', '/things/one')
    assert.deepEqual([options.status, options.headers.get('allow')], [204, 'GET, HEAD, OPTIONS'])
    const head = await call('HEAD', '/things/one', { key: 'reader' })
    assert.deepEqual([head.status, head.text, head.headers.get('content-length')], [200, '', '12'])
    assert.equal((await call('HEAD', '/things/one')).status, 401)
  })

  test('credentials in every header, both at once, and none', async () => {
    const as = (headers: Record<string, string>) => call('GET', '/things/one', { headers })
    const basicOf = (email: string) => `Basic ${Buffer.from(`${email}:reader`).toString('base64')}`
    assert.equal((await as({ 'x-api-key': 'reader' })).status, 200)
    assert.equal((await as({ authorization: 'Bearer reader' })).status, 200)
    assert.equal((await as({ authorization: basicOf('A@example.net') })).status, 200)
    assert.equal((await as({ 'x-api-key': 'unknown', authorization: 'Bearer reader' })).status, 200)
    assert.equal((await as({ authorization: basicOf('b@example.net') })).status, 401)
    assert.equal((await as({})).status, 401)
    assert.equal((await call('POST', '/things', { key: 'reader', body: '{' })).status, 403)
    assert.equal((await call('GET', '/things/open')).status, 200)
    assert.equal((await call('GET', '/things/near')).status, 200)
    assert.equal((await call('GET', '/things/near', { headers: { 'x-forwarded-for': '203.0.113.1' } })).status, 401)
  })

  test('a bug keeps its message to itself', async () => {
    const { status, text } = await call('POST', '/things', { key: 'writer', body: '{"name":"bug"}' })
    assert.equal(status, 500)
    assert.doesNotMatch(text, /secret detail/)
  })

  test('audit rows: with the effect, and alone for what was refused', async () => {
    audit.length = 0
    await call('POST', '/things', { key: 'writer', body: '{"name":"a"}' })
    await call('POST', '/things', { key: 'writer', body: '{"name":"taken"}' })
    await call('POST', '/things', { key: 'reader', body: '{"name":"a"}' })
    await call('POST', '/things', { key: 'writer', body: '{' })
    await call('POST', '/things', { body: '{"name":"a"}' })
    await call('GET', '/things/one', { key: 'reader' })
    assert.deepEqual(
      audit.map(({ status, errorCode, resourceId, apiKeyId, dialect }) => [
        status,
        errorCode,
        resourceId,
        apiKeyId,
        dialect,
      ]),
      [
        [201, null, 'thing-1', 'key_writer', 'things'],
        [409, 'already_exists', null, 'key_writer', 'things'],
        [403, 'forbidden', null, 'key_reader', 'things'],
        [422, 'invalid', null, 'key_writer', 'things'],
      ],
    )
  })

  test('Idempotency-Key replays, refuses another request, and never repeats a secret', async () => {
    const key = randomUUID()
    const make = (name: string, path = '/things') =>
      call('POST', path, {
        key: 'writer',
        body: JSON.stringify({ name }),
        headers: { ...json, 'idempotency-key': key },
      })
    made.length = 0
    const first = await make('once')
    const second = await make('once')
    assert.deepEqual([first.status, second.status, first.text], [201, 201, second.text])
    assert.deepEqual(
      [first.headers.get('idempotent-replayed'), second.headers.get('idempotent-replayed')],
      [null, 'true'],
    )
    assert.equal(second.headers.get('content-type'), first.headers.get('content-type'))
    assert.deepEqual(made, ['once'])
    assert.equal((await make('other')).json.thing, 'idempotency_mismatch')
    const secret = () => call('POST', '/things/secret', { key: 'writer', headers: { 'idempotency-key': `${key}-s` } })
    assert.equal((await secret()).status, 201)
    assert.equal((await secret()).status, 409)
    assert.equal(
      (
        await call('POST', '/things', {
          key: 'writer',
          body: '{"name":"x"}',
          headers: { 'idempotency-key': 'x'.repeat(256) },
        })
      ).status,
      422,
    )
  })

  test('request ids are made, or taken when they are sane', async () => {
    const given = randomUUID()
    const of = async (headers: Record<string, string>) => (await call('GET', '/things/open', { headers })).headers
    assert.match((await of({})).get('x-request-id')!, /^[0-9a-f-]{36}$/)
    assert.equal((await of({ 'x-request-id': given })).get('x-request-id'), given)
    assert.equal((await of({ 'thing-id': given })).get('thing-id'), given)
    assert.notEqual((await of({ 'x-request-id': 'x y' })).get('x-request-id'), 'x y')
  })

  test('limits: a key, creates, failed logins', async () => {
    const answers = await Promise.all(Array.from({ length: 130 }, () => call('GET', '/things/one', { key: 'greedy' })))
    const refused = answers.filter(({ status }) => status === 429)
    assert.ok(refused.length > 0 && refused.length < 40, String(refused.length))
    assert.equal(refused[0]!.json.thing, 'rate_limited')
    assert.equal(refused[0]!.headers.get('retry-after'), '1')
    assert.equal(answers[0]!.headers.get('ratelimit-limit'), '100')
    const logins = []
    for (let i = 0; i < 14; i++) logins.push((await call('GET', '/things/one', { key: 'wrong' })).status)
    assert.ok(logins.includes(401) && logins.at(-1) === 429, String(logins))
    assert.equal((await call('GET', '/things/one', { key: 'reader' })).status, 200, 'a right key is not locked out')
  })

  test('closes although a client holds a connection and says nothing', async () => {
    const server = createApi(context, [rest, things])
    const socket = connect(Number(new URL(await server.listen({ host: '127.0.0.1', port: 0 })).port), '127.0.0.1')
    await new Promise((resolve) => server.server.once('connection', resolve))
    const ended = new Promise((resolve) => socket.once('close', resolve))
    await server.close()
    await ended
  })

  test('documents', async () => {
    assert.equal((await call('GET', '/openapi/things.json')).json.openapi, '3.1.0')
    assert.match((await call('GET', '/docs/things')).text, /<h1>Things/)
    assert.equal((await call('GET', '/docs')).status, 200)
  })

  const raw = (requestLine: string, ...headers: string[]) =>
    new Promise<{ status: number; json: unknown }>((resolve, reject) => {
      const socket = connect(Number(new URL(url).port), '127.0.0.1')
      let text = ''
      socket.on('data', (chunk) => {
        text += chunk
      })
      socket.on('error', reject)
      socket.on('close', () => {
        const [head, body] = text.split('\r\n\r\n')
        resolve({ status: Number(head!.split(' ')[1]), json: JSON.parse(body || 'null') })
      })
      socket.write(`${[requestLine, 'Host: x', 'Connection: close', ...headers].join('\r\n')}\r\n\r\n`)
    })
})
