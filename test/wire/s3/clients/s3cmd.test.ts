/** Debian's `s3cmd`. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { assertSameBytes, bytesOf } from '../../../bytes.ts'
import { assertSameTree, plantTree, stageOfSuite, treeOf } from './stage.ts'

describe('s3cmd', () => {
  const stage = stageOfSuite()
  const s3cmd = (...args: string[]) => stage().run('/usr/bin/s3cmd', ['--no-progress', ...args])

  before(async () => {
    const { host, accessKeyId, secretAccessKey, region } = stage()
    const settings = {
      access_key: accessKeyId,
      secret_key: secretAccessKey,
      host_base: host,
      host_bucket: host,
      bucket_location: region,
      use_https: 'False',
    }
    const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`)
    await stage().file('.s3cfg', `[default]\n${lines.join('')}`)
  })

  test('a bucket, a large file in parts, what is known of it', async () => {
    await s3cmd('mb', 's3://cmd-bucket')
    const bytes = await stage().file('large.bin', bytesOf('s3cmd', 17_000_000))
    await s3cmd('put', '--multipart-chunk-size-mb=8', 'large.bin', 's3://cmd-bucket/a folder/large.bin')
    const info = await s3cmd('info', 's3://cmd-bucket/a folder/large.bin')
    assert.match(info, /File size: +17000000/)
    assert.match(info, /ACL: +\S+: FULL_CONTROL/)
    await s3cmd('get', 's3://cmd-bucket/a folder/large.bin', 'down.bin')
    assertSameBytes(await stage().read('down.bin'), bytes, 'large.bin')
    assert.match(await s3cmd('ls'), /s3:\/\/cmd-bucket\n/)
    assert.match(await s3cmd('ls', 's3://cmd-bucket'), /DIR +s3:\/\/cmd-bucket\/a folder\/\n/)
    assert.match(await s3cmd('info', 's3://cmd-bucket'), /Location: +eu-north-1/)
    assert.match(await s3cmd('du', 's3://cmd-bucket'), /^ *17000000 +1 objects/)
  })

  test('access for everyone, and for nobody again', async () => {
    const url = `${stage().url}/cmd-bucket/public.txt`
    await stage().file('public.txt', 'for everyone')
    await s3cmd('put', 'public.txt', 's3://cmd-bucket/public.txt')
    assert.equal((await fetch(url)).status, 403)
    await s3cmd('setacl', '--acl-public', 's3://cmd-bucket/public.txt')
    assert.equal(await (await fetch(url)).text(), 'for everyone')
    await s3cmd('setacl', '--acl-private', 's3://cmd-bucket/public.txt')
    assert.equal((await fetch(url)).status, 403)
  })

  test('copies, moves, and an address signed beforehand', async () => {
    await s3cmd('cp', 's3://cmd-bucket/public.txt', 's3://cmd-bucket/copy.txt')
    await s3cmd('mv', 's3://cmd-bucket/copy.txt', 's3://cmd-bucket/moved.txt')
    assert.equal(await s3cmd('ls', 's3://cmd-bucket/copy.txt'), '')
    await s3cmd('get', 's3://cmd-bucket/moved.txt', 'moved.txt')
    assert.equal((await stage().read('moved.txt')).toString(), 'for everyone')
  })

  test('sync up and down', async () => {
    const tree = await plantTree(stage(), 'tree')
    await s3cmd('sync', 'tree/', 's3://cmd-bucket/tree/')
    await stage().run('mkdir', ['back'])
    await s3cmd('sync', 's3://cmd-bucket/tree/', 'back/')
    assertSameTree(await treeOf(join(stage().home, 'back')), tree, 'synced')
    const again = await s3cmd('sync', 'tree/', 's3://cmd-bucket/tree/')
    assert.doesNotMatch(again, /upload:/)
  })

  test('del and rb', async () => {
    await s3cmd('del', 's3://cmd-bucket/moved.txt')
    await s3cmd('del', '--recursive', '--force', 's3://cmd-bucket/')
    assert.equal(await s3cmd('ls', '--recursive', 's3://cmd-bucket'), '')
    await s3cmd('rb', 's3://cmd-bucket')
  })
})
