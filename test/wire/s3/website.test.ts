/** A bucket as a web site, as a browser sees it: by the Host header, without a key. */
import assert from 'node:assert/strict'
import { type IncomingHttpHeaders, request } from 'node:http'
import { before, test } from 'node:test'
import {
  CreateBucketCommand,
  PutBucketPolicyCommand,
  PutBucketWebsiteCommand,
  PutObjectCommand,
  type S3Client,
  type WebsiteConfiguration,
} from '@aws-sdk/client-s3'
import { execute } from '../../../src/store/db.ts'
import { type Cloud, startCloud } from '../../cloud.ts'
import { s3ClientOf } from '../../s3-client.ts'

let cloud: Cloud
let s3: S3Client
const cleanups: (() => Promise<void>)[] = []

before(async () => {
  cloud = await startCloud(
    { after: (fn) => void cleanups.push(fn) },
    { withoutWorker: true, env: { HAVN_S3_WEBSITE_DOMAIN: 'web.test' } },
  )
  s3 = s3ClientOf(cloud)
})
test.after(async () => {
  s3.destroy()
  for (const clean of cleanups) await clean()
})

interface Shown {
  status: number
  headers: IncomingHttpHeaders
  text: string
}
function visit(site: string, path: string, method = 'GET', headers: Record<string, string> = {}): Promise<Shown> {
  const { hostname, port } = new URL(cloud.s3Url)
  return new Promise((resolve, reject) => {
    const call = request(
      { hostname, port, path, method, headers: { host: `${site}.web.test`, ...headers }, agent: false },
      (answer) => {
        let text = ''
        answer.setEncoding('utf8')
        answer.on('data', (chunk: string) => {
          text += chunk
        })
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text }))
        answer.on('error', reject)
      },
    )
    call.on('error', reject)
    call.end()
  })
}

async function site(
  name: string,
  WebsiteConfiguration: WebsiteConfiguration,
  pages: Record<string, string>,
  mayList = true,
) {
  await s3.send(new CreateBucketCommand({ Bucket: name }))
  const allow = (Action: string, Resource: string) => ({ Effect: 'Allow', Principal: '*', Action, Resource })
  const Statement = [allow('s3:GetObject', `arn:aws:s3:::${name}/*`)]
  if (mayList) Statement.push(allow('s3:ListBucket', `arn:aws:s3:::${name}`))
  await s3.send(
    new PutBucketPolicyCommand({ Bucket: name, Policy: JSON.stringify({ Version: '2012-10-17', Statement }) }),
  )
  await s3.send(new PutBucketWebsiteCommand({ Bucket: name, WebsiteConfiguration }))
  for (const [Key, Body] of Object.entries(pages)) {
    await s3.send(new PutObjectCommand({ Bucket: name, Key, Body, ContentType: 'text/html' }))
  }
}

const INDEX = { IndexDocument: { Suffix: 'index.html' } }

test('pages, folders and errors', async () => {
  await site(
    'pages',
    { ...INDEX, ErrorDocument: { Key: 'oops.html' } },
    { 'index.html': 'front', 'docs/index.html': 'docs', 'a b/ü.html': 'odd', 'oops.html': 'oops' },
  )
  const front = await visit('pages', '/')
  assert.deepEqual([front.status, front.text, front.headers['content-type']], [200, 'front', 'text/html'])
  assert.equal((await visit('pages', '/docs/')).text, 'docs')
  assert.equal((await visit('pages', '/a%20b/%C3%BC.html?ignored=1')).text, 'odd')

  const folder = await visit('pages', '/docs')
  assert.deepEqual([folder.status, folder.headers.location], [302, 'http://pages.web.test/docs/'])

  const missing = await visit('pages', '/nothing')
  assert.deepEqual([missing.status, missing.text, missing.headers['content-type']], [404, 'oops', 'text/html'])

  const head = await visit('pages', '/', 'HEAD')
  assert.deepEqual([head.status, head.text, head.headers['content-length']], [200, '', '5'])
  const unchanged = await visit('pages', '/', 'GET', { 'if-none-match': front.headers.etag ?? '' })
  assert.deepEqual([unchanged.status, unchanged.text], [304, ''])
  const range = await visit('pages', '/', 'GET', { range: 'bytes=1-2' })
  assert.deepEqual([range.status, range.text, range.headers['content-range']], [206, 'ro', 'bytes 1-2/5'])
  for (const method of ['PUT', 'POST', 'DELETE']) assert.equal((await visit('pages', '/x', method)).status, 405)
})

test('what cannot be shown is a page that escapes what it repeats', async () => {
  await site('plain', INDEX, {}, false)
  const denied = await visit('plain', '/%3Cscript%3E')
  assert.equal(denied.status, 403)
  assert.match(denied.headers['content-type'] ?? '', /^text\/html/)
  assert.match(denied.text, /<li>Code: AccessDenied<\/li>/)
  assert.match(denied.text, /&lt;script&gt;/)
  assert.doesNotMatch(denied.text, /<script>/)

  const none = await visit('no-such-site', '/')
  assert.equal(none.status, 404)
  assert.match(none.text, /Code: NoSuchBucket/)
  await s3.send(new CreateBucketCommand({ Bucket: 'no-site' }))
  assert.match((await visit('no-site', '/')).text, /Code: NoSuchWebsiteConfiguration/)
})

test('redirects: of an object, by rules, of everything', async () => {
  await site(
    'moved',
    {
      ...INDEX,
      RoutingRules: [
        { Condition: { KeyPrefixEquals: 'old/' }, Redirect: { ReplaceKeyPrefixWith: 'new/', HttpRedirectCode: '307' } },
        {
          Condition: { HttpErrorCodeReturnedEquals: '404', KeyPrefixEquals: 'app/' },
          Redirect: { HostName: 'app.example', Protocol: 'https', ReplaceKeyWith: 'start?x' },
        },
      ],
    },
    { 'app/there': 'there' },
  )
  const redirected = async (name: string, path: string) => {
    const { status, headers } = await visit(name, path)
    return [status, headers.location]
  }
  await s3.send(
    new PutObjectCommand({ Bucket: 'moved', Key: 'gone', Body: '', WebsiteRedirectLocation: 'https://else.example/x' }),
  )
  assert.deepEqual(await redirected('moved', '/gone'), [301, 'https://else.example/x'])
  assert.deepEqual(await redirected('moved', '/old/a%20b'), [307, 'http://moved.web.test/new/a%20b'])
  assert.equal((await visit('moved', '/app/there')).text, 'there')
  assert.deepEqual(await redirected('moved', '/app/none'), [301, 'https://app.example/start%3Fx'])
  assert.equal((await visit('moved', '/other')).status, 404)

  await site('all', { RedirectAllRequestsTo: { HostName: 'www.example' } }, {})
  assert.deepEqual(await redirected('all', '/a/b'), [301, 'http://www.example/a/b'])
})

test('of a suspended account neither pages nor redirects are shown', async () => {
  const suspend = (reason: string) => execute(cloud.db, `UPDATE account SET suspended_reason = ${reason}`)
  await site('later', { RedirectAllRequestsTo: { HostName: 'www.example' } }, {})
  await site('shop', INDEX, { 'index.html': 'open' })
  assert.equal((await visit('shop', '/')).text, 'open')
  await suspend("'unpaid'")
  try {
    for (const name of ['later', 'shop']) assert.equal((await visit(name, '/')).status, 403)
  } finally {
    await suspend('NULL')
  }
  assert.equal((await visit('shop', '/')).text, 'open')
  assert.equal((await visit('later', '/')).status, 301)
})
