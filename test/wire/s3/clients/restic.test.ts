/** Debian's `restic`: a backup is worth what its restore is. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { bytesOf } from '../../../bytes.ts'
import { assertSameTree, plantTree, stageOfSuite, treeOf } from './stage.ts'

describe('restic', () => {
  const stage = stageOfSuite()
  const restic = (...args: string[]) => {
    const { url, accessKeyId, secretAccessKey, region } = stage()
    return stage().run('/usr/bin/restic', ['--no-cache', ...args], {
      RESTIC_REPOSITORY: `s3:${url}/restic-bucket/repository`,
      RESTIC_PASSWORD: 'throw-away',
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_DEFAULT_REGION: region,
    })
  }
  const snapshots = async () => JSON.parse(await restic('snapshots', '--json')) as { id: string }[]

  test('init, backup twice, check, restore, forget', async () => {
    await restic('init')
    const first = await plantTree(stage(), 'tree')
    await restic('backup', 'tree')
    await stage().file('tree/added.bin', bytesOf('added', 3_000_000))
    await stage().file('tree/empty.txt', 'not any more')
    const second = await treeOf(join(stage().home, 'tree'))
    await restic('backup', 'tree')
    assert.match(await restic('check', '--read-data'), /no errors were found/)

    const [one, two] = await snapshots()
    await restic('restore', one!.id, '--target', 'first')
    assertSameTree(await treeOf(join(stage().home, 'first/tree')), first, 'the first backup')
    await restic('restore', two!.id, '--target', 'second')
    assertSameTree(await treeOf(join(stage().home, 'second/tree')), second, 'the second backup')

    await restic('forget', '--prune', '--keep-last', '1')
    assert.equal((await snapshots()).length, 1)
    assert.match(await restic('check', '--read-data'), /no errors were found/)
  })
})
