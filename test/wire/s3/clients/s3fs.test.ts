/**
 * Debian's `s3fs`, mounted in a mount namespace of its own, so that nothing of it outlives the test. Where the machine
 * has no FUSE or lets us make no namespace, there is nothing to test, and the test says so.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { CreateBucketCommand, GetObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { assertSameBytes, bytesOf } from '../../../bytes.ts'
import { stageOfSuite } from './stage.ts'

// Runs to its end inside the namespace; the unmount waits until all is written.
const SCRIPT = `
set -eu
mkdir mnt
s3fs fs-bucket mnt -o passwd_file="$HOME/.passwd-s3fs" -o url="$URL" -o use_path_request_style -o endpoint="$REGION" \\
  -o multipart_size=10 -o parallel_count=3 -o use_cache=
n=0
until mountpoint -q mnt; do n=$((n+1)); [ $n -lt 200 ]; sleep 0.05; done
printf 'first' > mnt/small.txt
printf ' second' >> mnt/small.txt
cat mnt/small.txt > read-small.txt
mkdir -p 'mnt/a folder/deep'
cp large.bin 'mnt/a folder/deep/large.bin'
cp 'mnt/a folder/deep/large.bin' read-large.bin
mv mnt/small.txt 'mnt/a folder/renamed.txt'
mv 'mnt/a folder' mnt/moved
: > mnt/empty
touch -d @1500000000 mnt/empty
stat -c %Y mnt/empty > times.txt
rm mnt/empty
(cd mnt && find . -mindepth 1 | sort) > listing.txt
umount mnt
`

describe('s3fs', () => {
  const stage = stageOfSuite()

  test('a bucket as a folder', async (t) => {
    const reason = whyNot()
    if (reason) return t.diagnostic(`not tested here: ${reason}`)
    const { url, region, accessKeyId, secretAccessKey, home } = stage()
    const s3 = new S3Client({ endpoint: url, region, credentials: { accessKeyId, secretAccessKey } })
    await s3.send(new CreateBucketCommand({ Bucket: 'fs-bucket' }))
    await stage().file('.passwd-s3fs', `${accessKeyId}:${secretAccessKey}\n`)
    await chmod(join(home, '.passwd-s3fs'), 0o600)
    const bytes = await stage().file('large.bin', bytesOf('s3fs', 22_000_000))
    await stage().run('/usr/bin/unshare', ['--mount', '/bin/sh', '-c', SCRIPT], { URL: url, REGION: region })

    const text = async (name: string) => (await stage().read(name)).toString()
    assert.equal(await text('read-small.txt'), 'first second')
    assertSameBytes(await stage().read('read-large.bin'), bytes, 'read through the mount')
    assert.equal(await text('times.txt'), '1500000000\n')
    const listing = ['./moved', './moved/deep', './moved/deep/large.bin', './moved/renamed.txt']
    assert.deepEqual((await text('listing.txt')).trim().split('\n'), listing)
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: 'fs-bucket', Key: 'moved/deep/large.bin' }))
    assertSameBytes(await Body!.transformToByteArray(), bytes, 'what another client sees')
  })
})

function whyNot(): string | null {
  if (!existsSync('/dev/fuse')) return 'there is no /dev/fuse'
  const { status, stderr } = spawnSync('/usr/bin/unshare', ['--mount', '/bin/true'], { encoding: 'utf8' })
  return status === 0 ? null : `no mount namespace of our own: ${stderr.trim()}`
}
