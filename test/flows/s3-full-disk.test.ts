/**
 * The disk under the blobs fills up: a tiny one, mounted where only the S3 server sees it. What was acknowledged stays,
 * what could not be kept is refused in words that clients understand, and with space comes service.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { rm, statfs, writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { createFilesystemObjects } from '../../src/drivers/objects/filesystem.ts'
import { bytesOf } from '../bytes.ts'
import { type Answer, createBareClient } from './s3/client.ts'
import { assertAllowed } from './s3/workload.ts'
import { openS3World } from './s3/world.ts'

const DISK_MIB = 32
const OBJECT_BYTES = 5 * 1024 * 1024
const MOUNT = `mkdir -p "$0" && mount -t tmpfs -o size=${DISK_MIB}m,mode=711 tmpfs "$0" && exec "$@"`

test('a full disk refuses, loses nothing, and serves again when there is space', async (t) => {
  const tried = spawnSync('/usr/bin/unshare', ['--mount', '/bin/sh', '-c', 'mount -t tmpfs tmpfs /mnt'])
  if (tried.status !== 0) return t.diagnostic(`not tested here: no file system may be mounted (${tried.stderr})`)

  const wrapped = ({ objects }: { objects: string }) => ['/usr/bin/unshare', '--mount', '/bin/sh', '-c', MOUNT, objects]
  const world = await openS3World(t, { wrapped })
  const [server] = world.servers
  const folder = `/proc/${server!.pid}/root${world.context.paths.objects}`
  const filler = `${folder}/filler`
  const store = createFilesystemObjects({ folder })
  const client = createBareClient(server!.url, world.keys)
  t.after(async () => client.close())
  const put = (name: string, length: number, key = name) =>
    client.call('PUT', `/disk/${key}`, { body: bytesOf(name, length) })
  assert.equal((await client.call('PUT', '/disk')).status, 200)

  const kept: string[] = []
  let refused: Answer | undefined
  for (let count = 0; refused === undefined; count++) {
    assert.ok(count < DISK_MIB, 'the disk never fills up')
    const answer = await put(`o${count}`, OBJECT_BYTES)
    if (answer.status === 200) kept.push(`o${count}`)
    else refused = answer
  }
  assert.ok(kept.length >= 3, `only ${kept.length} objects found room`)
  assert.deepEqual([refused.status, refused.code], [503, 'ServiceUnavailable'])

  const whole = async () => {
    for (const name of kept) {
      assertAllowed(await client.call('GET', `/disk/${name}`), name, [{ id: name, length: OBJECT_BYTES }])
    }
    const blobs = await Array.fromAsync(store.list())
    assert.equal(blobs.length, kept.length, 'what was refused left nothing behind')
  }
  await whole()
  assert.equal((await client.call('GET', `/disk/o${kept.length}`)).status, 404)
  // An overwrite that finds no room leaves what was there.
  assert.equal((await put('newer', OBJECT_BYTES, kept[0])).status, 503)
  // Many at once, each cut short at another byte.
  const many = Array.from({ length: 12 }, (_, index) => put(`many${index}`, OBJECT_BYTES + index * 1000))
  assert.deepEqual(new Set((await Promise.all(many)).map(({ status }) => status)), new Set([503]))
  await whole()

  // Not a byte is left: small objects need none.
  const { bavail, bsize } = await statfs(folder)
  await writeFile(filler, Buffer.alloc(bavail * bsize))
  assert.equal((await put('small', 1000)).status, 200)
  assert.equal((await put('medium', 100_000)).status, 503)
  await whole()

  await rm(filler)
  assert.equal((await put('medium', 100_000)).status, 200)
  assertAllowed(await client.call('GET', '/disk/medium'), 'medium', [{ id: 'medium', length: 100_000 }])
  assertAllowed(await client.call('GET', '/disk/small'), 'small', [{ id: 'small', length: 1000 }])
})
