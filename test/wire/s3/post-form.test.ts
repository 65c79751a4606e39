/** Uploads from a browser's form, as a page would send them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  CreateBucketCommand,
  GetObjectCommand,
  PutBucketAclCommand,
  PutPublicAccessBlockCommand,
} from '@aws-sdk/client-s3'
import { amzTime, sign, signingKey } from '../../../src/lib/sigv4.ts'
import { type Cloud, startCloud } from '../../cloud.ts'
import { s3ClientOf } from '../../s3-client.ts'

const REGION = 'eu-north-1'
const BUCKET = 'form-bucket'

interface Sent {
  fields?: Record<string, string>
  conditions?: unknown[]
  file?: string
  fileName?: string
  expiresInMs?: number
  secret?: string
  edit?: (form: FormData) => void
}

async function post(
  cloud: Cloud,
  { fields = {}, conditions = [], file = 'the file', fileName = 'x.txt', ...sent }: Sent,
) {
  const { credentials, s3Url } = cloud
  const now = new Date()
  const time = amzTime(now)
  const scope = { date: time.slice(0, 8), region: REGION, service: 's3' }
  const own = {
    'x-amz-algorithm': 'AWS4-HMAC-SHA256',
    'x-amz-credential': `${credentials.s3AccessKeyId}/${scope.date}/${REGION}/s3/aws4_request`,
    'x-amz-date': time,
  }
  const policy = Buffer.from(
    JSON.stringify({
      expiration: new Date(now.getTime() + (sent.expiresInMs ?? 60_000)).toISOString(),
      conditions: [
        { bucket: BUCKET },
        ...conditions,
        ...Object.entries(own).map(([name, value]) => ({ [name]: value })),
      ],
    }),
  ).toString('base64')
  const form = new FormData()
  for (const [name, value] of Object.entries({ ...fields, ...own, policy })) form.append(name, value)
  form.append('X-Amz-Signature', sign(signingKey(sent.secret ?? credentials.s3SecretAccessKey, scope), policy))
  sent.edit?.(form)
  form.append('file', new Blob([file]), fileName)
  form.append('submit', 'after the file nothing counts')
  const answer = await fetch(`${s3Url}/${BUCKET}`, { method: 'POST', body: form, redirect: 'manual' })
  const body = await answer.text()
  return { status: answer.status, headers: answer.headers, body, code: /<Code>(\w+)/.exec(body)?.[1] }
}

const ANY_KEY = ['starts-with', '$key', '']

async function ready(t: { after(fn: () => Promise<void>): void }) {
  const cloud = await startCloud(t, { withoutWorker: true })
  const client = s3ClientOf(cloud)
  await client.send(new CreateBucketCommand({ Bucket: BUCKET }))
  const get = async (Key: string) => {
    const answer = await client.send(new GetObjectCommand({ Bucket: BUCKET, Key }))
    return { ...answer, text: await answer.Body?.transformToString() }
  }
  return { cloud, client, get }
}

test('a signed form uploads, small and large, with what its fields say', async (t) => {
  const { cloud, get } = await ready(t)
  const plain = await post(cloud, {
    fields: { key: `user/$\{filename}` },
    conditions: [ANY_KEY],
    fileName: 'é "1".txt',
  })
  assert.equal(plain.status, 204, plain.body)
  assert.equal((await get('user/é "1".txt')).text, 'the file')

  const fields = {
    Key: 'rich',
    'Content-Type': 'text/plain; charset=utf-8',
    'x-amz-meta-Color': 'grün',
    tagging: '<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>',
    'x-ignore-me': 'x',
    success_action_status: '201',
  }
  const conditions = [
    { key: 'rich' },
    ['starts-with', '$Content-Type', 'text/'],
    ['starts-with', '$x-amz-meta-color', ''],
    ['starts-with', '$tagging', ''],
    ['eq', '$success_action_status', '201'],
    ['content-length-range', 1, 10_000_000],
  ]
  const file = 'line\r\n--x\r\n'.repeat(400_000)
  const rich = await post(cloud, { fields, conditions, file })
  assert.equal(rich.status, 201, rich.body)
  assert.match(rich.body, /<PostResponse .*<Bucket>form-bucket<\/Bucket><Key>rich<\/Key><ETag>&quot;[0-9a-f]{32}&quot;/)
  const found = await get('rich')
  assert.equal(found.text, file)
  assert.equal(found.ContentType, 'text/plain; charset=utf-8')
  assert.equal(Buffer.from(found.Metadata?.color ?? '', 'latin1').toString(), 'grün')
  assert.equal(found.TagCount, 1)

  const redirect = 'https://page.example/done?x=1'
  const back = await post(cloud, {
    fields: { key: 'k', success_action_redirect: redirect },
    conditions: [ANY_KEY, { success_action_redirect: redirect }],
  })
  assert.equal(back.status, 303)
  assert.match(
    back.headers.get('location') ?? '',
    /^https:\/\/page\.example\/done\?x=1&bucket=form-bucket&key=k&etag=%22/,
  )
})

test('what the policy does not allow is refused and not stored', async (t) => {
  const { cloud, get } = await ready(t)
  const fields = { key: 'k' }
  const range = (min: number, max: number) => [ANY_KEY, ['content-length-range', min, max]]
  const table: [string, Sent, string, number][] = [
    ['another key', { fields, conditions: [{ key: 'other' }] }, 'AccessDenied', 403],
    ['uncovered field', { fields: { ...fields, acl: 'public-read' }, conditions: [ANY_KEY] }, 'AccessDenied', 403],
    ['expired', { fields, conditions: [ANY_KEY], expiresInMs: -1000 }, 'AccessDenied', 403],
    ['wrong secret', { fields, conditions: [ANY_KEY], secret: 'wrong' }, 'SignatureDoesNotMatch', 403],
    ['too large', { fields, conditions: range(0, 7) }, 'EntityTooLarge', 400],
    ['too large by far', { fields, conditions: range(0, 7), file: 'x'.repeat(5_000_000) }, 'EntityTooLarge', 400],
    ['too small', { fields, conditions: range(9, 100) }, 'EntityTooSmall', 400],
    ['no key', { conditions: [ANY_KEY] }, 'InvalidArgument', 400],
    ['broken policy', { fields, conditions: ['text'] }, 'InvalidPolicyDocument', 400],
    [
      'no signature',
      { fields, conditions: [ANY_KEY], edit: (form) => form.delete('X-Amz-Signature') },
      'AccessDenied',
      403,
    ],
    [
      'anonymous',
      {
        fields,
        conditions: [],
        edit: (form) =>
          ['policy', 'X-Amz-Signature', 'x-amz-date', 'x-amz-credential', 'x-amz-algorithm'].map((name) =>
            form.delete(name),
          ),
      },
      'AccessDenied',
      403,
    ],
    [
      'wrong checksum',
      {
        fields: { ...fields, 'x-amz-checksum-crc32': 'AAAAAA==' },
        conditions: [ANY_KEY, ['starts-with', '$x-amz-checksum-crc32', '']],
      },
      'BadDigest',
      400,
    ],
    [
      'too many fields',
      { fields: { ...fields, 'x-ignore-a': 'x'.repeat(30_000) }, conditions: [ANY_KEY] },
      'MaxPostPreDataLengthExceeded',
      400,
    ],
  ]
  for (const [what, sent, code, status] of table) {
    const answer = await post(cloud, sent)
    assert.deepEqual([answer.code, answer.status], [code, status], `${what}: ${answer.body}`)
  }
  await assert.rejects(get('k'), { name: 'NoSuchKey' })
  const noForm = await fetch(`${cloud.s3Url}/${BUCKET}`, { method: 'POST', body: 'x' })
  assert.deepEqual([noForm.status, /<Code>(\w+)/.exec(await noForm.text())?.[1]], [400, 'MalformedPOSTRequest'])
})

test('a bucket that everybody may write to takes a form that nobody signed', async (t) => {
  const { cloud, client, get } = await ready(t)
  const open = {
    BlockPublicAcls: false,
    IgnorePublicAcls: false,
    BlockPublicPolicy: false,
    RestrictPublicBuckets: false,
  }
  await client.send(new PutPublicAccessBlockCommand({ Bucket: BUCKET, PublicAccessBlockConfiguration: open }))
  await client.send(new PutBucketAclCommand({ Bucket: BUCKET, ACL: 'public-read-write' }))
  const form = new FormData()
  form.append('key', 'from-anybody')
  form.append('file', new Blob(['hello']), 'x')
  const answer = await fetch(`${cloud.s3Url}/${BUCKET}`, { method: 'POST', body: form })
  assert.equal(answer.status, 204, await answer.text())
  assert.equal((await get('from-anybody')).text, 'hello')
})
