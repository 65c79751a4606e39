/** The settings of a bucket by command lines that others wrote: Debian's aws and s3cmd, unmodified. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { promisify } from 'node:util'
import { type Cloud, startCloud } from '../../cloud.ts'

const run = promisify(execFile)
const CLIENT_MS = 120_000

let cloud: Cloud
let folder: string
const cleanups: (() => Promise<void>)[] = []

before(async () => {
  cloud = await startCloud({ after: (fn) => void cleanups.push(fn) }, { withoutWorker: true })
  folder = await mkdtemp(join(tmpdir(), 'havn-clients-'))
})
test.after(async () => {
  for (const clean of cleanups) await clean()
  await rm(folder, { recursive: true, force: true })
})

async function aws(...args: string[]): Promise<Record<string, unknown>> {
  const { stdout } = await run('/usr/bin/aws', ['--endpoint-url', cloud.s3Url, '--output', 'json', 's3api', ...args], {
    timeout: CLIENT_MS,
    env: {
      PATH: '/usr/bin:/bin',
      HOME: folder,
      AWS_ACCESS_KEY_ID: cloud.credentials.s3AccessKeyId,
      AWS_SECRET_ACCESS_KEY: cloud.credentials.s3SecretAccessKey,
      AWS_DEFAULT_REGION: 'eu-north-1',
      AWS_EC2_METADATA_DISABLED: 'true',
    },
  })
  return stdout.trim() === '' ? {} : (JSON.parse(stdout) as Record<string, unknown>)
}

async function s3cmd(...args: string[]): Promise<string> {
  const { host } = new URL(cloud.s3Url)
  const config = join(folder, 's3cfg')
  await writeFile(
    config,
    [
      '[default]',
      `access_key = ${cloud.credentials.s3AccessKeyId}`,
      `secret_key = ${cloud.credentials.s3SecretAccessKey}`,
      `host_base = ${host}`,
      `host_bucket = ${host}`,
      'bucket_location = eu-north-1',
      'use_https = False',
    ].join('\n'),
  )
  const options = { timeout: CLIENT_MS, env: { PATH: '/usr/bin:/bin', HOME: folder } }
  const { stdout } = await run('/usr/bin/s3cmd', ['-c', config, '--no-check-certificate', ...args], options)
  return stdout
}

test('aws s3api sets and shows', async () => {
  const bucket = ['--bucket', 'aws-settings']
  const put = (what: string, option: string, value: unknown) =>
    aws(`put-${what}`, ...bucket, `--${option}`, typeof value === 'string' ? value : JSON.stringify(value))
  const get = (what: string) => aws(`get-${what}`, ...bucket)
  await aws('create-bucket', ...bucket, '--create-bucket-configuration', 'LocationConstraint=eu-north-1')

  await put('bucket-versioning', 'versioning-configuration', { Status: 'Enabled' })
  assert.deepEqual(await get('bucket-versioning'), { Status: 'Enabled' })

  const policy = {
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: 'arn:aws:s3:::aws-settings/*' }],
  }
  await put('bucket-policy', 'policy', policy)
  assert.deepEqual(JSON.parse((await get('bucket-policy')).Policy as string), policy)
  assert.deepEqual(await get('bucket-policy-status'), { PolicyStatus: { IsPublic: true } })

  const cors = {
    CORSRules: [{ AllowedOrigins: ['*'], AllowedMethods: ['GET'], AllowedHeaders: ['*'], MaxAgeSeconds: 5 }],
  }
  await put('bucket-cors', 'cors-configuration', cors)
  assert.deepEqual(await get('bucket-cors'), cors)

  const lifecycle = { Rules: [{ ID: 'a', Status: 'Enabled', Filter: { Prefix: 'x/' }, Expiration: { Days: 1 } }] }
  await put('bucket-lifecycle-configuration', 'lifecycle-configuration', lifecycle)
  assert.deepEqual(await get('bucket-lifecycle-configuration'), lifecycle)

  const tags = { TagSet: [{ Key: 'a', Value: 'b' }] }
  await put('bucket-tagging', 'tagging', tags)
  assert.deepEqual(await get('bucket-tagging'), tags)

  const website = { IndexDocument: { Suffix: 'index.html' }, ErrorDocument: { Key: 'error.html' } }
  await put('bucket-website', 'website-configuration', website)
  assert.deepEqual(await get('bucket-website'), website)

  await put('bucket-acl', 'acl', 'public-read')
  const { Grants } = (await get('bucket-acl')) as { Grants: { Permission: string }[] }
  assert.deepEqual(
    Grants.map(({ Permission }) => Permission),
    ['FULL_CONTROL', 'READ'],
  )

  const lock = { ObjectLockEnabled: 'Enabled', Rule: { DefaultRetention: { Mode: 'COMPLIANCE', Years: 1 } } }
  await put('object-lock-configuration', 'object-lock-configuration', lock)
  assert.deepEqual(await get('object-lock-configuration'), { ObjectLockConfiguration: lock })

  await assert.rejects(get('bucket-encryption'), /ServerSideEncryptionConfigurationNotFoundError/)
  await assert.rejects(get('bucket-replication'), /ReplicationConfigurationNotFoundError/)
  assert.deepEqual(await get('bucket-logging'), {})
  assert.deepEqual(await get('bucket-request-payment'), { Payer: 'BucketOwner' })
})

test('s3cmd asks for everything, and writes ACLs as XML', async () => {
  await s3cmd('mb', 's3://s3cmd-settings')
  const info = await s3cmd('info', 's3://s3cmd-settings')
  assert.match(info, /Payer:\s+BucketOwner/)
  assert.match(info, /Policy:\s+none/)
  assert.match(info, /CORS:\s+none/)
  assert.match(info, /ACL:.*FULL_CONTROL/)

  await s3cmd('setacl', '--acl-public', 's3://s3cmd-settings')
  assert.match(await s3cmd('info', 's3://s3cmd-settings'), /ACL:\s+\*anon\*: READ/)
  await s3cmd('setacl', '--acl-private', 's3://s3cmd-settings')
  assert.doesNotMatch(await s3cmd('info', 's3://s3cmd-settings'), /anon/)

  const policy = join(folder, 'policy.json')
  await writeFile(
    policy,
    JSON.stringify({
      Version: '2012-10-17',
      Statement: [
        { Effect: 'Deny', Principal: '*', Action: 's3:DeleteBucket', Resource: 'arn:aws:s3:::s3cmd-settings' },
      ],
    }),
  )
  await s3cmd('setpolicy', policy, 's3://s3cmd-settings')
  await assert.rejects(s3cmd('rb', 's3://s3cmd-settings'), /AccessDenied/)
  await s3cmd('delpolicy', 's3://s3cmd-settings')
  await s3cmd('rb', 's3://s3cmd-settings')
})
