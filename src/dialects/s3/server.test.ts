/** The server on raw sockets, with operations made for the test: what happens to connections, whatever a client does. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../../../test/eventually.ts'
import { rawConnection } from '../../../test/wire/raw.ts'
import { signHeaders } from '../../lib/sigv4-sign.ts'
import type { Bucket } from '../../model/bucket.ts'
import { CloudError } from '../../model/errors.ts'
import { type AccountId, newId } from '../../model/ids.ts'
import { S3Error } from '../../model/s3-error.ts'
import type { S3Parts } from './handle.ts'
import type { Operation } from './operation.ts'
import { createS3Server, type S3ServerOptions } from './server.ts'

const KEYS = { accessKeyId: 'HAVN0123456789ABCDEF', secretAccessKey: 'secret', region: 'eu-north-1' }
const accountId: AccountId = newId('account')
const bucket: Bucket = {
  id: newId('bucket'),
  number: 1,
  name: 'bucket',
  accountId,
  tier: 'standard',
  location: 'no-oslo-1',
  versioning: 'off',
  settings: {
    cors: [
      { allowedOrigins: ['https://page.example'], allowedMethods: ['PUT'], allowedHeaders: [], exposeHeaders: [] },
    ],
  },
  revision: 1,
  isSuspended: false,
  createdAt: new Date(0),
}

async function startServer(t: { after(fn: () => Promise<void>): void }, more: Partial<S3ServerOptions> = {}) {
  const seen: { bodies: string[]; failures: string[]; lines: string[] } = { bodies: [], failures: [], lines: [] }
  let release: () => void = () => {}
  const gate = new Promise<void>((resolve) => {
    release = resolve
  })
  const operations: Operation[] = [
    {
      name: 'PutObject',
      on: 'object',
      method: 'PUT',
      body: 'stream',
      action: 's3:PutObject',
      async run(call) {
        if (call.key === 'refused') throw new S3Error('PreconditionFailed')
        if (call.key === 'bug') throw new TypeError('secret detail')
        if (call.key === 'outage') {
          throw new CloudError('unavailable', 'the cluster failed', { cause: new Error('answered 500 (request 17)') })
        }
        try {
          const chunks: Buffer[] = []
          for await (const chunk of call.body.bytes) chunks.push(Buffer.from(chunk))
          seen.bodies.push(Buffer.concat(chunks).toString())
        } catch (error) {
          seen.failures.push((error as S3Error).s3Code)
          throw error
        }
        return { headers: { etag: '"x"' } }
      },
    },
    {
      name: 'GetObject',
      on: 'object',
      method: 'GET',
      action: 's3:GetObject',
      async run({ key }) {
        if (key === 'missing') throw new S3Error('NoSuchKey')
        if (key === 'wait') await gate
        const bytes = Buffer.from('0123456789')
        return {
          headers: { 'content-type': key === 'unsendable' ? 'text/\r\nplain' : 'text/plain' },
          content: {
            lengthBytes: 10,
            async body(target, signal) {
              if (signal.aborted) seen.failures.push('let go')
              signal.throwIfAborted()
              target.write(key === 'broken' ? bytes.subarray(0, 4) : bytes)
              if (key === 'broken') throw new Error('the disk is gone')
            },
          },
        }
      },
    },
    {
      name: 'PutBucketCors',
      on: 'bucket',
      method: 'PUT',
      query: ['cors'],
      body: 'document',
      documentMaxBytes: 100,
      action: 's3:PutBucketCORS',
      run: async (call) => {
        seen.bodies.push((await call.document()).toString())
        return {}
      },
    },
  ]
  const parts = {
    settings: { regions: ['eu-north-1'], url: 'x' },
    buckets: {
      get: async () => bucket,
      fresh: async () => bucket,
      forget: () => {},
    },
  } as unknown as S3Parts
  const server = createS3Server({
    parts,
    operations,
    findKey: (id) =>
      id === KEYS.accessKeyId
        ? {
            secretAccessKey: KEYS.secretAccessKey,
            isSuspended: false,
            caller: {
              accountId,
              accountNumber: 10001,
              canonicalId: 'c',
              displayName: 'x',
              accessKeyId: id,
              isReadOnly: false,
              buckets: null,
            },
          }
        : null,
    domains: { s3: ['localhost'], website: null },
    maxBodies: 100,
    log: (line) => void seen.lines.push(line),
    ...more,
  })
  const port = await server.listen({ host: '127.0.0.1', port: 0 })
  t.after(() => server.stop())
  const url = `http://127.0.0.1:${port}`
  const connections: ReturnType<typeof rawConnection>[] = []
  t.after(async () => {
    for (const connection of connections) connection.end()
  })
  return {
    seen,
    url,
    server,
    release: () => release(),
    connect() {
      const connection = rawConnection(url)
      connections.push(connection)
      return connection
    },
    /** Head and body of a signed request; what is given last is not signed. */
    request(
      method: string,
      path: string,
      body = '',
      headers: Record<string, string> = {},
      query: [string, string][] = [],
    ) {
      const host = `127.0.0.1:${port}`
      const all = signHeaders({ method, host, path, query, headers }, 'UNSIGNED-PAYLOAD', KEYS)
      const isGiven = 'content-length' in all || 'transfer-encoding' in all
      const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`)
      if (!isGiven && method === 'PUT') lines.push(`content-length: ${body.length}`)
      const search = query.map(([name, value]) => `${name}=${value}`).join('&')
      return `${method} ${path}${search === '' ? '' : `?${search}`} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${body}`
    },
  }
}

test('answers carry their ids, and one connection serves many requests', async (t) => {
  const { connect, request, seen } = await startServer(t)
  const connection = connect()
  connection.send(request('PUT', '/bucket/a', 'one') + request('GET', '/bucket/a') + request('HEAD', '/bucket/missing'))
  const put = await connection.answer()
  assert.deepEqual([put?.status, put?.headers.etag, put?.headers['content-length']], [200, '"x"', '0'])
  const get = await connection.answer()
  assert.deepEqual([get?.status, get?.body], [200, '0123456789'])
  const head = await connection.answer({ isHead: true })
  assert.equal(head?.status, 404)
  assert.ok(Number(head?.headers['content-length']) > 0)
  for (const answer of [put, get, head]) {
    assert.match(answer?.headers['x-amz-request-id'] ?? '', /^[0-9A-F]{16}$/)
    assert.ok(answer?.headers['x-amz-id-2'] && answer.headers.date && answer.headers.server === 'Havn')
  }
  assert.equal(new Set([put, get, head].map((answer) => answer?.headers['x-amz-request-id'])).size, 3)
  assert.deepEqual(seen.bodies, ['one'])
})

test('an unread body after an error never becomes the next request', async (t) => {
  const { connect, request, seen } = await startServer(t)
  const connection = connect()
  // What is inside would be a valid request.
  connection.send(request('PUT', '/bucket/refused', request('PUT', '/bucket/smuggled', 'x')))
  assert.equal((await connection.answer())?.code, 'PreconditionFailed')
  connection.send(request('PUT', '/bucket/next', 'y'))
  assert.equal((await connection.answer())?.status, 200)
  assert.deepEqual(seen.bodies, ['y'])

  const large = connect()
  large.send(request('PUT', '/bucket/refused', '', { 'content-length': String(2 ** 21) }))
  const refused = await large.answer()
  assert.deepEqual([refused?.code, refused?.headers.connection], ['PreconditionFailed', 'close'])
  assert.ok(await large.closed())
  assert.deepEqual(seen.bodies, ['y'])
})

test('100 Continue comes when all is verified, in any letter case, and not before a refusal', async (t) => {
  const { connect, request, seen } = await startServer(t)
  for (const value of ['100-continue', '100-Continue']) {
    const connection = connect()
    connection.send(request('PUT', '/bucket/a', '', { 'content-length': '3', expect: value }))
    assert.equal((await connection.answer())?.status, 100)
    connection.send('abc')
    assert.equal((await connection.answer())?.status, 200)
  }
  assert.deepEqual(seen.bodies, ['abc', 'abc'])
  const refused = connect()
  refused.send(request('PUT', '/bucket/refused', '', { 'content-length': '3', expect: '100-continue' }))
  const answer = await refused.answer()
  assert.deepEqual([answer?.status, answer?.headers.connection], [412, 'close'])
  assert.ok(await refused.closed())
  const forged = connect()
  forged.send(request('PUT', '/bucket/a', '', { expect: '100-continue' }).replace('/bucket/a', '/bucket/b'))
  assert.equal((await forged.answer())?.code, 'SignatureDoesNotMatch')
  assert.ok(await forged.closed())
})

test('requests that two readers could read in two ways are refused, and the connection closed', async (t) => {
  const { connect, seen } = await startServer(t)
  const head = 'PUT /bucket/a HTTP/1.1\r\nHost: x\r\n'
  const shapes = [
    `${head}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    `${head}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n`,
    `${head}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`,
    `${head}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`,
    `${head}Content-Length: 3, 3\r\n\r\nabc`,
    `${head}Content-Length: +3\r\n\r\nabc`,
    `${head}Content-Length: -1\r\n\r\n`,
    `${head}Content-Length: 0x3\r\n\r\nabc`,
    `${head}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
    `${head}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
    `${head}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`,
    `${head}X-A: 1\n\r\nGET / HTTP/1.1\r\n\r\n`,
    'PUT /bucket/a HTTP/1.1\nHost: x\n\n',
    `${head}X-A: a\r\n folded\r\n\r\n`,
    `${head}X-A: a\0b\r\n\r\n`,
    `${head}Host: y\r\n\r\n`,
    'PUT /bucket/a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc',
    `${head}Expect: 200-ok\r\nContent-Length: 3\r\n\r\n`,
    `${head}Expect: 200-ok\r\nContent-Length: 3\r\n\r\nabc`,
    'GET /bucket/a b HTTP/1.1\r\nHost: x\r\n\r\n',
    'GET /bucket/a HTTP/9.9\r\nHost: x\r\n\r\n',
    'HELLO\r\n\r\n',
    `${head}Transfer-Encoding: chunked\r\n\r\nZZ\r\nabc\r\n0\r\n\r\n`,
  ]
  for (const shape of shapes) {
    const connection = connect()
    connection.send(shape)
    const answer = await connection.answer()
    const isRefused = answer === null || answer.status === 400 || answer.status === 403 || answer.status === 501
    assert.ok(isRefused, `${JSON.stringify(shape)} got ${answer?.status}`)
    if (answer?.status === 400) assert.match(answer.body, /^<\?xml .*<Error><Code>/s)
    // What follows is no request any more.
    connection.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    assert.equal(await connection.answer(), null, JSON.stringify(shape))
  }
  assert.deepEqual(seen.bodies, [])
})

test('a body that stands still, is cut short or has no length ends in its error', async (t) => {
  const { connect, request, seen } = await startServer(t, { idleMs: 100 })
  const idle = connect()
  idle.send(request('PUT', '/bucket/a', 'ab', { 'content-length': '3' }))
  assert.equal((await idle.answer())?.code, 'RequestTimeout')
  assert.ok(await idle.closed())

  const cut = connect()
  cut.send(request('PUT', '/bucket/a', 'ab', { 'content-length': '3' }))
  cut.socket.end()
  await eventually('the handler to hear of it', () => seen.failures.length === 2)
  assert.equal(seen.failures[1], 'IncompleteBody')

  const unknown = connect()
  unknown.send(request('PUT', '/bucket/a', '3\r\nabc\r\n0\r\n\r\n', { 'transfer-encoding': 'chunked' }))
  assert.deepEqual([(await unknown.answer())?.status], [411])

  const known = connect()
  const headers = { 'transfer-encoding': 'chunked', 'x-amz-decoded-content-length': '3' }
  known.send(request('PUT', '/bucket/a', '3\r\nabc\r\n0\r\n\r\n', headers))
  assert.equal((await known.answer())?.status, 200)
  assert.deepEqual(seen.bodies, ['abc'])
})

test('a document too long is refused before it is read', async (t) => {
  const { connect, request, seen } = await startServer(t)
  const connection = connect()
  connection.send(request('PUT', '/bucket', 'x'.repeat(101), {}, [['cors', '']]))
  assert.equal((await connection.answer())?.code, 'MaxMessageLengthExceeded')
  connection.send(
    request('PUT', '/bucket', 'x'.repeat(100), { 'content-md5': 'AAAAAAAAAAAAAAAAAAAAAA==' }, [['cors', '']]),
  )
  assert.equal((await connection.answer())?.code, 'BadDigest')
  connection.send(request('PUT', '/bucket', 'x'.repeat(100), {}, [['cors', '']]))
  assert.equal((await connection.answer())?.status, 200)
  assert.deepEqual(seen.bodies, ['x'.repeat(100)])
})

test('too many bodies at once: slow down', async (t) => {
  const { connect, request, release } = await startServer(t, { maxBodies: 1 })
  const [first, second] = [connect(), connect()]
  first.send(request('GET', '/bucket/wait'))
  await eventually('the first to be under way', async () => {
    second.send(request('GET', '/bucket/a'))
    const answer = await second.answer()
    return answer?.status === 503 && answer.code === 'SlowDown'
  })
  release()
  assert.equal((await first.answer())?.status, 200)
  second.send(request('GET', '/bucket/a'))
  assert.equal((await second.answer())?.status, 200)
})

test('what breaks off is not taken for whole; a bug says nothing of itself', async (t) => {
  const { connect, request, seen } = await startServer(t)
  const broken = connect()
  broken.send(request('GET', '/bucket/broken'))
  assert.equal(await broken.answer(), null)
  assert.ok(await broken.closed())

  const bug = connect()
  bug.send(request('PUT', '/bucket/bug', 'x'))
  const answer = await bug.answer()
  assert.deepEqual([answer?.status, answer?.code], [500, 'InternalError'])
  assert.doesNotMatch(answer?.body ?? '', /secret detail/)
  assert.ok(seen.lines.some((line) => line.includes('secret detail') && JSON.parse(line).level === 50))
})

test('why the store is away stands in the log and not in the answer', async (t) => {
  const { connect, request, seen } = await startServer(t)
  const connection = connect()
  connection.send(request('PUT', '/bucket/outage', 'x'))
  const answer = await connection.answer()
  assert.deepEqual([answer?.status, answer?.code], [503, 'ServiceUnavailable'])
  assert.doesNotMatch(answer?.body ?? '', /cluster/)
  assert.ok(seen.lines.some((line) => line.includes('request 17') && JSON.parse(line).level === 40))
})

test('what cannot be a header is an error, and what was opened for it is let go', async (t) => {
  const { connect, request, seen } = await startServer(t)
  const connection = connect()
  connection.send(request('GET', '/bucket/unsendable'))
  assert.equal((await connection.answer())?.code, 'InternalError')
  assert.deepEqual(seen.failures, ['let go'])
  connection.send(request('GET', '/bucket/k'))
  assert.equal((await connection.answer())?.body, '0123456789', 'and the connection goes on')
})

test('headers beyond the limit are refused in good shape', async (t) => {
  const { connect } = await startServer(t)
  const connection = connect()
  connection.send(`GET / HTTP/1.1\r\nHost: x\r\nX-A: ${'a'.repeat(20_000)}\r\n\r\n`)
  const answer = await connection.answer()
  assert.deepEqual([answer?.status, answer?.code], [400, 'MetadataTooLarge'])
  assert.ok(await connection.closed())
})

test('no byte of a client gets into the log as it is', async (t) => {
  const { connect, seen } = await startServer(t)
  const connection = connect()
  connection.send('GET /bucket/%9b31m%0a%1b[2J HTTP/1.1\r\nHost: x\r\nUser-Agent: \xe9\x85\t"x\r\n\r\n')
  assert.equal((await connection.answer())?.status, 400)
  await eventually('the line', () => seen.lines.length === 1)
  assert.match(seen.lines[0] ?? '', /^[\x20-\x7e]+$/)
  const { path, status, errorCode } = JSON.parse(seen.lines[0] ?? '') as Record<string, unknown>
  assert.deepEqual([path, status, errorCode], ['/bucket/%9b31m%0a%1b[2J', 400, 'InvalidURI'])
})

test('pages of other origins: preflight, and headers on errors too', async (t) => {
  const { connect } = await startServer(t)
  const connection = connect()
  const preflight = (method: string, origin = 'https://page.example') =>
    `OPTIONS /bucket/a HTTP/1.1\r\nHost: x\r\nOrigin: ${origin}\r\nAccess-Control-Request-Method: ${method}\r\n\r\n`
  connection.send(preflight('PUT'))
  const allowed = await connection.answer()
  assert.deepEqual(
    [
      allowed?.status,
      allowed?.headers['access-control-allow-origin'],
      allowed?.headers['access-control-allow-methods'],
    ],
    [200, 'https://page.example', 'PUT'],
  )
  connection.send(preflight('DELETE'))
  assert.equal((await connection.answer())?.code, 'AccessForbidden')
  connection.send('OPTIONS /bucket/a HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.deepEqual((await connection.answer())?.status, 400)
  connection.send('PUT /bucket/a HTTP/1.1\r\nHost: x\r\nOrigin: https://page.example\r\nContent-Length: 0\r\n\r\n')
  const refused = await connection.answer()
  assert.deepEqual(
    [refused?.code, refused?.headers['access-control-allow-origin']],
    ['AccessDenied', 'https://page.example'],
  )
  connection.send('PUT /bucket/a HTTP/1.1\r\nHost: x\r\nOrigin: https://other.example\r\nContent-Length: 0\r\n\r\n')
  assert.equal((await connection.answer())?.headers['access-control-allow-origin'], undefined)
})

test('a presigned URL cannot be used by who reads the log', async (t) => {
  const { connect, seen } = await startServer(t)
  const connection = connect()
  connection.send('GET /bucket/a?X-Amz-Algorithm=x&X-Amz-Signature=secret&b=1 HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.equal((await connection.answer())?.code, 'AuthorizationQueryParametersError')
  await eventually('the line', () => seen.lines.length === 1)
  assert.equal(
    (JSON.parse(seen.lines[0] ?? '') as { path: string }).path,
    '/bucket/a?X-Amz-Algorithm=x&X-Amz-Signature=hidden&b=1',
  )
})

test('stopping lets requests under way end', async (t) => {
  const { connect, request, release, server } = await startServer(t)
  const [busy, quiet] = [connect(), connect()]
  busy.send(request('GET', '/bucket/wait'))
  quiet.send(request('GET', '/bucket/a'))
  assert.equal((await quiet.answer())?.status, 200)
  const stopped = server.stop()
  assert.ok(await quiet.closed())
  release()
  assert.equal((await busy.answer())?.body, '0123456789')
  await stopped
})
