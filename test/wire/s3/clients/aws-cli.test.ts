/** Debian's `awscli`. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { assertSameBytes, bytesOf } from '../../../bytes.ts'
import { assertSameTree, plantTree, stageOfSuite, treeOf } from './stage.ts'

describe('aws', () => {
  const stage = stageOfSuite()
  const aws = (...args: string[]) => stage().run('/usr/bin/aws', ['--endpoint-url', stage().url, ...args])
  const api = async (...args: string[]) => {
    const out = await aws('s3api', ...args, '--bucket', 'cli-bucket')
    return (out.trim() === '' ? {} : JSON.parse(out)) as Record<string, unknown>
  }

  before(async () => {
    const { accessKeyId, secretAccessKey, region } = stage()
    await stage().run('mkdir', ['.aws'])
    await stage().file(
      '.aws/config',
      `[default]\nregion = ${region}\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`,
    )
  })

  test('mb, cp of 20 MB up and down, ls', async () => {
    assert.equal(await aws('s3', 'mb', 's3://cli-bucket'), 'make_bucket: cli-bucket\n')
    const bytes = await stage().file('large.bin', bytesOf('cli', 20_000_000))
    await aws('s3', 'cp', '--no-progress', 'large.bin', 's3://cli-bucket/folder/large.bin')
    await aws('s3', 'cp', '--no-progress', 's3://cli-bucket/folder/large.bin', 'down.bin')
    assertSameBytes(await stage().read('down.bin'), bytes, 'large.bin')
    assert.match(await aws('s3', 'ls'), / cli-bucket\n/)
    assert.match(await aws('s3', 'ls', 's3://cli-bucket/'), /^ +PRE folder\/\n$/)
    assert.match(await aws('s3', 'ls', '--recursive', 's3://cli-bucket/'), / 20000000 folder\/large\.bin\n/)
    const head = await api('head-object', '--key', 'folder/large.bin')
    assert.match(String(head.ETag), /^"[0-9a-f]{32}-3"$/)
    await aws('s3', 'cp', '--no-progress', 's3://cli-bucket/folder/large.bin', 's3://cli-bucket/copied.bin')
    await aws('s3', 'mv', '--no-progress', 's3://cli-bucket/copied.bin', 'moved.bin')
    assertSameBytes(await stage().read('moved.bin'), bytes, 'moved.bin')
  })

  test('sync up, sync down, and only what changed', async () => {
    const tree = await plantTree(stage(), 'tree')
    const up = await aws('s3', 'sync', '--no-progress', 'tree', 's3://cli-bucket/tree')
    assert.equal(up.match(/^upload: /gm)?.length, Object.keys(tree).length)
    await aws('s3', 'sync', '--no-progress', 's3://cli-bucket/tree', 'back')
    assertSameTree(await treeOf(join(stage().home, 'back')), tree, 'synced')
    assert.equal(await aws('s3', 'sync', '--no-progress', 'tree', 's3://cli-bucket/tree'), '')
  })

  test('an address that is signed beforehand', async () => {
    await stage().file('small.txt', 'small')
    await aws('s3', 'cp', 'small.txt', 's3://cli-bucket/small æ.txt')
    const url = (await aws('s3', 'presign', 's3://cli-bucket/small æ.txt', '--expires-in', '60')).trim()
    assert.equal(await (await fetch(url)).text(), 'small')
  })

  test('versions, tags, a policy', async () => {
    const json = JSON.stringify
    await stage().file('body', 'versioned')
    await api('put-bucket-versioning', '--versioning-configuration', 'Status=Enabled')
    assert.deepEqual(await api('get-bucket-versioning'), { Status: 'Enabled' })
    const { VersionId } = await api('put-object', '--key', 'v', '--body', 'body', '--metadata', 'a=1')
    await api('put-object-tagging', '--key', 'v', '--tagging', 'TagSet=[{Key=k,Value=v}]')
    assert.deepEqual((await api('get-object-tagging', '--key', 'v')).TagSet, [{ Key: 'k', Value: 'v' }])
    assert.equal((await api('delete-object', '--key', 'v')).DeleteMarker, true)
    await api('get-object', '--key', 'v', '--version-id', String(VersionId), 'got')
    assert.equal((await stage().read('got')).toString(), 'versioned')
    await api('put-bucket-versioning', '--versioning-configuration', 'Status=Suspended')

    const statement = { Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: 'arn:aws:s3:::cli-bucket/*' }
    const policy = json({ Version: '2012-10-17', Statement: [statement] })
    await api('put-bucket-policy', '--policy', policy)
    assert.deepEqual(JSON.parse(String((await api('get-bucket-policy')).Policy)), JSON.parse(policy))
    assert.equal(await (await fetch(`${stage().url}/cli-bucket/small%20%C3%A6.txt`)).text(), 'small')
    await api('delete-bucket-policy')
    assert.equal((await fetch(`${stage().url}/cli-bucket/small%20%C3%A6.txt`)).status, 403)

    assert.equal((await api('get-bucket-location')).LocationConstraint, stage().region)
    await assert.rejects(api('get-bucket-website'), /NoSuchWebsiteConfiguration/)
  })

  test('rm --recursive and rb', async () => {
    await aws('s3', 'mb', 's3://cli-second')
    await aws('s3', 'sync', '--no-progress', 'tree', 's3://cli-second/')
    await assert.rejects(aws('s3', 'rb', 's3://cli-second'), /BucketNotEmpty/)
    await aws('s3', 'rm', '--recursive', 's3://cli-second/')
    assert.equal(await aws('s3', 'ls', 's3://cli-second'), '')
    assert.equal(await aws('s3', 'rb', 's3://cli-second'), 'remove_bucket: cli-second\n')
  })
})
