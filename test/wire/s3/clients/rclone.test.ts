/** Debian's `rclone`, configured by its environment. */
import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { assertSameTree, plantTree, stageOfSuite, treeOf } from './stage.ts'

describe('rclone', () => {
  const stage = stageOfSuite()
  const rclone = (...args: string[]) => {
    const { url, accessKeyId, secretAccessKey, region } = stage()
    return stage().run('/usr/bin/rclone', ['--retries', '1', '--low-level-retries', '1', ...args], {
      RCLONE_CONFIG_HAVN_TYPE: 's3',
      RCLONE_CONFIG_HAVN_PROVIDER: 'Other',
      RCLONE_CONFIG_HAVN_ENDPOINT: url,
      RCLONE_CONFIG_HAVN_ACCESS_KEY_ID: accessKeyId,
      RCLONE_CONFIG_HAVN_SECRET_ACCESS_KEY: secretAccessKey,
      RCLONE_CONFIG_HAVN_REGION: region,
      RCLONE_S3_UPLOAD_CUTOFF: '6Mi',
      RCLONE_S3_CHUNK_SIZE: '5Mi',
    })
  }

  test('copy, check, and back again', async () => {
    const tree = await plantTree(stage(), 'tree')
    await rclone('copy', 'tree', 'havn:rclone-bucket/tree')
    await rclone('check', 'tree', 'havn:rclone-bucket/tree')
    await rclone('check', '--download', 'tree', 'havn:rclone-bucket/tree')
    await rclone('copy', 'havn:rclone-bucket/tree', 'back')
    assertSameTree(await treeOf(join(stage().home, 'back')), tree, 'copied')
  })

  test('sync removes what is gone and leaves alone what is the same', async () => {
    await rm(join(stage().home, 'tree/deep/one.bin'))
    await stage().file('tree/new.txt', 'new')
    await rclone('sync', 'tree', 'havn:rclone-bucket/tree')
    const listed = (await rclone('lsf', '-R', '--files-only', 'havn:rclone-bucket/tree')).trim().split('\n').sort()
    assert.deepEqual(listed, Object.keys(await treeOf(join(stage().home, 'tree'))).sort())
    const sizes = JSON.parse(await rclone('size', '--json', 'havn:rclone-bucket')) as { count: number }
    assert.equal(sizes.count, listed.length)
  })

  test('a stream, a move within the bucket, purge', async () => {
    await rclone('copyto', 'havn:rclone-bucket/tree/large.bin', 'havn:rclone-bucket/copied.bin')
    await rclone('moveto', 'havn:rclone-bucket/copied.bin', 'havn:rclone-bucket/moved.bin')
    assert.equal(await rclone('cat', 'havn:rclone-bucket/tree/new.txt'), 'new')
    await rclone('purge', 'havn:rclone-bucket/tree')
    assert.equal(await rclone('lsf', 'havn:rclone-bucket'), 'moved.bin\n')
    await rclone('purge', 'havn:rclone-bucket')
    assert.doesNotMatch(await rclone('lsd', 'havn:'), /rclone-bucket/)
  })
})
