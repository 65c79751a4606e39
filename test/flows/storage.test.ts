/** Object storage as people use it: `./havn` from nothing to a bucket, bytes in and out, keys, usage, and again empty. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { type Havn, newHavn } from '../havn.ts'

const folder = mkdtempSync(join(tmpdir(), 'havn-storage-'))
let havn: Havn
before(async () => {
  havn = await newHavn({ HAVN_COMPUTE: 'simulator', HAVN_S3_PROCESSES: '2' })
  const { code, out, err } = await havn.run('up --detach --empty')
  assert.equal(code, 0, out + err)
})
after(async () => {
  await havn.close()
  rmSync(folder, { recursive: true })
})

const ok = async (words: string) => {
  const { code, out, err } = await havn.run(words)
  assert.equal(code, 0, `${words}: ${out}${err}`)
  return out.trim()
}

test('a bucket, objects in and out, and what they weigh', async () => {
  assert.match(await ok('bucket create photos'), /^created photos \(standard, no-oslo-1\)/)
  const bytes = randomBytes(20 * 1024 * 1024)
  const [source, target] = [join(folder, 'source.bin'), join(folder, 'target.bin')]
  writeFileSync(source, bytes)
  await ok(`object put ${source} photos/2026/`)
  await ok(`object get photos/2026/source.bin ${target}`)
  assert.ok(readFileSync(target).equals(bytes))
  assert.match(await ok('object ls photos --recursive'), /20\.0 MiB {2}2026\/source\.bin$/)
  const bucket = await havn.json<{ objects: number; bytes: number }>('bucket show photos --json')
  assert.deepEqual([bucket.objects, bucket.bytes], [1, bytes.length])
  const usage = await havn.json<{ hours: { byteSeconds: string }[] }>('bucket usage photos --json')
  assert.ok(usage.hours.length >= 1 && Number(usage.hours[0]!.byteSeconds) > 0)
  assert.match(await ok('account quota'), /bytes +20\.0 MiB +no limit/)
  const refused = await havn.run('bucket delete photos')
  assert.deepEqual([refused.code, refused.err.includes('not empty')], [4, true])
})

test('the lines of s3 env work as they are printed', async () => {
  const lines = await ok('s3 env aws')
  const { stdout } = await promisify(execFile)('sh', ['-ec', lines], { env: { ...process.env, HOME: folder } })
  assert.match(stdout, / photos$/m)
  const curl = await promisify(execFile)('sh', ['-ec', `${await ok('s3 env curl')} -sS`])
  assert.match(curl.stdout, /<Name>photos<\/Name>/)
})

test('an access key that is revoked opens nothing any more', async () => {
  const key = await havn.json<{ accessKeyId: string; secretAccessKey: string }>(
    's3 credentials create guest --read-only --bucket photos --json',
  )
  const aws = (words: string[]) =>
    promisify(execFile)('aws', ['--endpoint-url', `http://${havn.env.HAVN_S3_LISTEN}`, 's3', ...words], {
      env: {
        ...process.env,
        AWS_ACCESS_KEY_ID: key.accessKeyId,
        AWS_SECRET_ACCESS_KEY: key.secretAccessKey,
        AWS_DEFAULT_REGION: 'eu-north-1',
        HOME: folder,
      },
    })
  await aws(['cp', 's3://photos/2026/source.bin', join(folder, 'guest.bin')])
  await assert.rejects(aws(['rm', 's3://photos/2026/source.bin']), /AccessDenied/)
  assert.match(await ok('s3 credentials list'), /guest +read +photos/)
  await ok(`s3 credentials revoke ${key.accessKeyId}`)
  await assert.rejects(aws(['ls', 's3://photos']), /InvalidAccessKeyId/)
})

test('empty again, the bucket goes, and its name with it', async () => {
  assert.equal(await ok('object rm photos --recursive'), 'deleted 1 from photos')
  assert.equal(await ok('bucket delete photos'), 'deleted photos')
  assert.equal((await havn.run('bucket create photos')).code, 4)
})
