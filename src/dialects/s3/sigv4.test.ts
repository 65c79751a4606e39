/** Against a signer that others wrote: the one of the AWS SDK for JavaScript. */
import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { test } from 'node:test'
import { SignatureV4 } from '@smithy/signature-v4'
import type { AccountId } from '../../model/ids.ts'
import type { S3Error } from '../../model/s3-error.ts'
import { readHeaders } from './headers.ts'
import { createVerifier, type KnownKey } from './sigv4.ts'
import { parseTarget } from './target.ts'

const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'
const ID = 'HAVN0123456789ABCDEF'
const NOW = new Date('2026-03-01T12:00:00Z')
const key: KnownKey = {
  secretAccessKey: SECRET,
  isSuspended: false,
  caller: {
    accountId: 'acct_x' as AccountId,
    accountNumber: 10001,
    canonicalId: 'c'.repeat(64),
    displayName: 'owner',
    accessKeyId: ID,
    isReadOnly: false,
    buckets: null,
  },
}

class Sha256 {
  readonly #hash
  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', asBytes(secret))
  }
  update(data: string | ArrayBuffer | ArrayBufferView) {
    this.#hash.update(asBytes(data))
  }
  digest = async () => new Uint8Array(this.#hash.digest())
  reset() {}
}
const asBytes = (data: string | ArrayBuffer | ArrayBufferView): string | Uint8Array =>
  typeof data === 'string'
    ? data
    : data instanceof ArrayBuffer
      ? new Uint8Array(data)
      : new Uint8Array(data.buffer, data.byteOffset, data.byteLength)

interface Sent {
  method?: string
  /** Percent-encoded. */
  path?: string
  query?: Record<string, string | string[]>
  headers?: Record<string, string>
  at?: Date
  region?: string
  service?: string
  secret?: string
  id?: string
}

const signerOf = ({ region = 'eu-north-1', service = 's3', secret = SECRET, id = ID }: Sent) =>
  new SignatureV4({
    credentials: { accessKeyId: id, secretAccessKey: secret },
    region,
    service,
    sha256: Sha256,
    uriEscapePath: false,
    applyChecksum: true,
  })

const asRequest = ({ method = 'GET', path = '/b/k', query = {}, headers = {} }: Sent) => ({
  method,
  protocol: 'http:',
  hostname: '127.0.0.1',
  port: 9000,
  path,
  query,
  headers: { host: '127.0.0.1:9000', 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD', ...headers },
})

async function signed(sent: Sent) {
  const request = await signerOf(sent).sign(asRequest(sent), { signingDate: sent.at ?? NOW })
  return wire(request)
}
async function presigned(sent: Sent, expiresIn = 60) {
  return wire(await signerOf(sent).presign(asRequest(sent), { signingDate: sent.at ?? NOW, expiresIn }))
}

interface Wire {
  method: string
  path: string
  query?: Record<string, string | string[] | null>
  headers: Record<string, string>
}
function wire({ method, path, query = {}, headers }: Wire) {
  const text = Object.entries(query)
    .flatMap(([name, value]) => [value ?? ''].flat().map((one) => `${encode(name)}=${encode(one)}`))
    .join('&')
  return { method, target: text === '' ? path : `${path}?${text}`, raw: Object.entries(headers).flat() }
}
const encode = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)

const verifier = (more: Partial<KnownKey> = {}, now = NOW) =>
  createVerifier({
    regions: ['eu-north-1', 'us-east-1'],
    findKey: (id) => (id === ID ? { ...key, ...more } : null),
    now: () => now,
  })

function verify(request: { method: string; target: string; raw: string[] }, by = verifier()) {
  const headers = readHeaders(request.raw)
  const target = parseTarget(request.target, headers.get('host'), { s3: ['localhost'], website: null })
  return by.verify({ method: request.method, target, headers })
}

test('what the SDK signs is accepted, whatever is in it', async () => {
  const table: Sent[] = [
    {},
    { path: '/' },
    { path: '/b/' },
    { path: '/b//a/./../x' },
    { path: '/b/a%20b%2Bc%2Fd%3F%23%25~%C3%A6%F0%9F%98%80' },
    { path: '/b/%00'.replace('%00', '%01') },
    { query: { prefix: 'a b/+&=é', 'x-id': 'ListObjects', delimiter: '' } },
    { query: { uploads: '' } },
    { query: { b: ['2', '1'], a: 'z', B: 'x', 'a-b': '1' } },
    { headers: { 'x-amz-meta-a': '  many   blanks  ', 'x-amz-meta-b': 'plain' } },
    { method: 'PUT', headers: { 'content-length': '3', 'amz-sdk-request': 'attempt=1; max=3' } },
    { region: 'us-east-1' },
    { at: new Date(NOW.getTime() - 14 * 60_000) },
    { headers: { 'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER' } },
  ]
  for (const sent of table) {
    const found = await verify(await signed(sent))
    assert.equal(found?.caller.accessKeyId, ID, JSON.stringify(sent))
    assert.equal(found?.isPresigned, false)
    assert.equal(found?.region, sent.region ?? 'eu-north-1')
  }
})

test('presigned: accepted while it lasts', async () => {
  const table: Sent[] = [
    {},
    { method: 'PUT', path: '/b/a%20b', query: { 'x-amz-checksum-crc32': 'AAAAAA==', 'x-id': 'PutObject' } },
    { query: { versionId: 'a/b+c' } },
  ]
  for (const sent of table) {
    const found = await verify(await presigned(sent))
    assert.deepEqual([found?.isPresigned, found?.payloadHash], [true, 'UNSIGNED-PAYLOAD'])
  }
  const last = await presigned({ at: new Date(NOW.getTime() - 604_800_000) }, 604_800)
  assert.ok(await verify(last))
})

test('a raw encoding of the client’s own is accepted when it is the one it signed', async () => {
  const request = await signed({ path: '/b/a!b(c)' }) // the SDK signs the path as it stands
  assert.ok(await verify(request))
  assert.ok(await verify({ ...request, target: '/b/a!b(c)' }))
})

test('nobody is anonymous by mistake', async () => {
  assert.equal(await verify({ method: 'GET', target: '/b/k', raw: ['Host', 'x'] }), null)
})

test('the header form is refused by the right code', async () => {
  const good = await signed({})
  const withAuth = (edit: (text: string) => string) => ({
    ...good,
    raw: good.raw.map((value, index) => (good.raw[index - 1] === 'authorization' ? edit(value) : value)),
  })
  const without = (name: string) => {
    const at = good.raw.indexOf(name)
    return { ...good, raw: [...good.raw.slice(0, at), ...good.raw.slice(at + 2)] }
  }
  const table: [string, { method: string; target: string; raw: string[] }, string][] = [
    ['other method', { ...good, method: 'DELETE' }, 'SignatureDoesNotMatch'],
    ['other path', { ...good, target: '/b/k2' }, 'SignatureDoesNotMatch'],
    ['other query', { ...good, target: '/b/k?acl' }, 'SignatureDoesNotMatch'],
    ['other secret', await signed({ secret: 'x' }), 'SignatureDoesNotMatch'],
    ['no hex', withAuth((text) => text.replace(/Signature=.*/, 'Signature=zz')), 'SignatureDoesNotMatch'],
    ['unknown key', await signed({ id: 'HAVNXXXXXXXXXXXXXXXX' }), 'InvalidAccessKeyId'],
    ['region', await signed({ region: 'mars-1' }), 'AuthorizationHeaderMalformed'],
    ['service', await signed({ service: 'ec2' }), 'AuthorizationHeaderMalformed'],
    ['terminator', withAuth((text) => text.replace('aws4_request', 'aws5')), 'AuthorizationHeaderMalformed'],
    ['date of scope', withAuth((text) => text.replace('/20260301/', '/20260228/')), 'AuthorizationHeaderMalformed'],
    ['no signature', withAuth((text) => text.replace(/, Signature=.*/, '')), 'AuthorizationHeaderMalformed'],
    [
      'credential',
      withAuth((text) => text.replace(/Credential=[^,]*/, 'Credential=x')),
      'AuthorizationHeaderMalformed',
    ],
    ['old', await signed({ at: new Date(NOW.getTime() - 16 * 60_000) }), 'RequestTimeTooSkewed'],
    ['early', await signed({ at: new Date(NOW.getTime() + 16 * 60_000) }), 'RequestTimeTooSkewed'],
    ['no date', without('x-amz-date'), 'AccessDenied'],
    ['no payload hash', without('x-amz-content-sha256'), 'InvalidRequest'],
    ['unsigned header', { ...good, raw: [...good.raw, 'x-amz-acl', 'public-read'] }, 'AccessDenied'],
    ['host unsigned', withAuth((text) => text.replace('=host;', '=')), 'AccessDenied'],
    ['V2', { ...good, raw: ['Host', 'x', 'Authorization', 'AWS AK:c2ln'] }, 'InvalidRequest'],
    ['V2 query', { method: 'GET', target: '/b/k?AWSAccessKeyId=A&Signature=s&Expires=1', raw: [] }, 'InvalidRequest'],
    ['basic', { ...good, raw: ['Host', 'x', 'Authorization', 'Basic eDp5'] }, 'InvalidArgument'],
    ['SigV4A', withAuth((text) => text.replace('HMAC-SHA256', 'ECDSA-P256-SHA256')), 'NotImplemented'],
    ['both', { ...good, target: '/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256' }, 'InvalidArgument'],
    ['token', await signed({ headers: { 'x-amz-security-token': 'x' } }), 'InvalidToken'],
  ]
  for (const [what, request, code] of table) {
    await assert.rejects(
      async () => verify(request),
      (error: S3Error) => {
        assert.equal(error.s3Code, code, what)
        if (what === 'region') assert.equal(error.elements.Region, 'eu-north-1')
        assert.ok(!JSON.stringify(error.elements).includes(SECRET))
        return true
      },
    )
  }
  await assert.rejects(verify(good, verifier({ isSuspended: true })), { s3Code: 'AccessDenied' })
})

test('commas without blanks, and a Date header alone, are accepted', async () => {
  const good = await signed({})
  const tight = good.raw.map((value, index) =>
    good.raw[index - 1] === 'authorization' ? value.replaceAll(', ', ',') : value,
  )
  assert.ok(await verify({ ...good, raw: tight }))
})

test('the query form is refused by the right code', async () => {
  const good = await presigned({})
  const edit = (pattern: RegExp, text: string) => ({ ...good, target: good.target.replace(pattern, text) })
  const table: [string, { method: string; target: string; raw: string[] }, string][] = [
    ['no expiry', edit(/&X-Amz-Expires=\d+/, ''), 'AuthorizationQueryParametersError'],
    ['zero', edit(/X-Amz-Expires=\d+/, 'X-Amz-Expires=0'), 'AuthorizationQueryParametersError'],
    ['over a week', edit(/X-Amz-Expires=\d+/, 'X-Amz-Expires=604801'), 'AuthorizationQueryParametersError'],
    ['no number', edit(/X-Amz-Expires=\d+/, 'X-Amz-Expires=ten'), 'AuthorizationQueryParametersError'],
    ['longer than signed', edit(/X-Amz-Expires=\d+/, 'X-Amz-Expires=61'), 'SignatureDoesNotMatch'],
    ['no date', edit(/&X-Amz-Date=[^&]*/, ''), 'AuthorizationQueryParametersError'],
    ['bad date', edit(/X-Amz-Date=[^&]*/, 'X-Amz-Date=today'), 'AuthorizationQueryParametersError'],
    ['algorithm', edit(/X-Amz-Algorithm=[^&]*/, 'X-Amz-Algorithm=MD5'), 'AuthorizationQueryParametersError'],
    ['region', await presigned({ region: 'mars-1' }), 'AuthorizationQueryParametersError'],
    ['key', await presigned({ id: 'HAVNXXXXXXXXXXXXXXXX' }), 'InvalidAccessKeyId'],
    ['expired', await presigned({ at: new Date(NOW.getTime() - 61_000) }), 'AccessDenied'],
    ['from tomorrow', await presigned({ at: new Date(NOW.getTime() + 16 * 60_000) }), 'AccessDenied'],
    ['added parameter', { ...good, target: `${good.target}&versionId=x` }, 'SignatureDoesNotMatch'],
    ['added header', { ...good, raw: [...good.raw, 'x-amz-acl', 'public-read'] }, 'AccessDenied'],
    ['other key', { ...good, target: good.target.replace('/b/k', '/b/l') }, 'SignatureDoesNotMatch'],
  ]
  for (const [what, request, code] of table) {
    await assert.rejects(
      async () => verify(request),
      (error: S3Error) => {
        assert.equal(error.s3Code, code, what)
        return true
      },
    )
  }
})

test('the policy of a form: signed by whoever has the key', async () => {
  const policy = Buffer.from('{"expiration":"2030-01-01T00:00:00Z","conditions":[]}').toString('base64')
  const hmac = (secret: string | Buffer, text: string) => createHmac('sha256', secret).update(text).digest()
  const signing = ['eu-north-1', 's3', 'aws4_request'].reduce<Buffer>(hmac, hmac(`AWS4${SECRET}`, '20260301'))
  const claim = {
    policy,
    algorithm: 'AWS4-HMAC-SHA256',
    credential: `${ID}/20260301/eu-north-1/s3/aws4_request`,
    date: '20260301T120000Z',
    signature: hmac(signing, policy).toString('hex'),
  }
  assert.equal((await verifier().verifyPolicy(claim)).caller.accessKeyId, ID)
  await assert.rejects(verifier().verifyPolicy({ ...claim, policy: `${policy}x` }), { s3Code: 'SignatureDoesNotMatch' })
  await assert.rejects(verifier().verifyPolicy({ ...claim, algorithm: 'x' }), { s3Code: 'InvalidArgument' })
})
