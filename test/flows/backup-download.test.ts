/** A backup taken away as a disk image over HTTP, by curl and by hand. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { sql } from 'kysely'
import { readChunkList } from '../../src/drivers/backups/chunk-list.ts'
import { run } from '../../src/lib/run.ts'
import * as backups from '../../src/services/backups/backups.ts'
import { link } from '../../src/services/backups/downloads.ts'
import * as instances from '../../src/services/instances.ts'
import { publishBackup, signedUrl } from '../backup-rows.ts'
import { backupStage, MIB, rawDisk } from '../backup-stage.ts'
import { startCloud } from '../cloud.ts'
import { eventually } from '../eventually.ts'
import { ownerOf } from '../owner.ts'

const DISK = 70 * MIB + 1536

async function scene(t: TestContext) {
  const cloud = await startCloud(t)
  const { status } = await cloud.call('POST', '/havn/v1/instances', { name: 'one' })
  assert.equal(status, 201)
  const { objects, settings } = cloud.context
  const stage = await backupStage(t, { objects, masterKey: settings.masterKey })
  const source = await rawDisk(join(stage.folder, 'disk'), DISK, [
    { offset: 0, bytes: randomBytes(9 * MIB) },
    { offset: 40 * MIB + 12345, bytes: randomBytes(6 * MIB) },
    { offset: 70 * MIB, bytes: randomBytes(1536) },
  ])
  const uploaded = await stage.upload({ source, diskBytes: DISK })
  const shortId = await publishBackup(cloud, stage, uploaded)
  return { cloud, stage, source, uploaded, shortId, url: await signedUrl(cloud, shortId) }
}

test('curl takes a backup away, whole and in pieces, and it is the disk', async (t) => {
  const { stage, source, shortId, url } = await scene(t)
  const file = join(stage.folder, 'image.qcow2')
  await run('curl', ['-sSf', '-o', file, url])
  await run('qemu-img', ['check', '-q', '-f', 'qcow2', file])
  await run('qemu-img', ['compare', '-q', '-f', 'raw', '-F', 'qcow2', source.path, file])
  const whole = await readFile(file)

  const head = await fetch(url, { method: 'HEAD' })
  assert.equal(head.status, 200)
  assert.equal(head.headers.get('content-length'), String(whole.length))
  assert.equal(head.headers.get('accept-ranges'), 'bytes')
  assert.equal(head.headers.get('content-disposition'), `attachment; filename="the-best-one-${shortId}.qcow2"`)
  const etag = head.headers.get('etag') ?? ''
  assert.match(etag, /^"[0-9a-f]{32}"$/)

  const half = join(stage.folder, 'half.qcow2')
  await writeFile(half, whole)
  await truncate(half, 7 * MIB + 321)
  await run('curl', ['-sSf', '-C', '-', '-o', half, url])
  assert.ok((await readFile(half)).equals(whole), 'a download that was broken off goes on')

  const edges = [0, 1, 511, 65_536, 393_215, 393_217, 5 * MIB, 17 * MIB + 7, whole.length - 1, whole.length - 70_000]
  for (const start of edges) {
    const end = Math.min(start + 5 * MIB, whole.length - 1)
    const answer = await fetch(url, { headers: { range: `bytes=${start}-${end}` } })
    assert.equal(answer.status, 206)
    assert.equal(answer.headers.get('content-range'), `bytes ${start}-${end}/${whole.length}`)
    assert.ok(Buffer.from(await answer.arrayBuffer()).equals(whole.subarray(start, end + 1)), `from ${start}`)
  }

  const ask = (headers: Record<string, string>) => fetch(url, { method: 'HEAD', headers })
  assert.equal((await ask({ range: 'bytes=0-9', 'if-range': etag })).status, 206)
  assert.equal((await ask({ range: 'bytes=0-9', 'if-range': '"another"' })).status, 200)
  assert.equal((await ask({ 'if-none-match': etag })).status, 304)
  assert.equal((await ask({ 'if-match': '"another"' })).status, 412)
  const behind = await ask({ range: `bytes=${whole.length}-` })
  assert.deepEqual([behind.status, behind.headers.get('content-range')], [416, `bytes */${whole.length}`])
})

test('only the link opens it, for an hour, while backup and account are there', async (t) => {
  const { cloud, shortId, url } = await scene(t)
  const statusOf = async (from: string, method = 'GET') => {
    const answer = await fetch(from, { method })
    const text = await answer.text()
    return [answer.status, /<Code>(\w+)</.exec(text)?.[1]]
  }
  const [place = '', search = ''] = url.split('?')
  const expires = Number(new URLSearchParams(search).get('expires'))
  assert.deepEqual(await statusOf(place), [403, 'SignatureDoesNotMatch'])
  assert.deepEqual(await statusOf(url.replace(String(expires), String(expires + 1))), [403, 'SignatureDoesNotMatch'])
  assert.deepEqual(await statusOf(url.replace(shortId, 'bk-00000000')), [403, 'SignatureDoesNotMatch'])
  assert.deepEqual(await statusOf(`${cloud.s3Url}/.havn/backups/x?${search}`), [404, 'NoSuchKey'])
  assert.deepEqual(await statusOf(`${cloud.s3Url}/.havn`), [404, 'NoSuchKey'])
  assert.deepEqual(await statusOf(url, 'PUT'), [405, 'MethodNotAllowed'])
  assert.equal(cloud.s3Log.join().includes(new URLSearchParams(search).get('signature') ?? ''), false)

  await sql`UPDATE account SET suspended_reason = 'unpaid'`.execute(cloud.db)
  assert.deepEqual(await statusOf(url), [403, 'AccessDenied'])
  await sql`UPDATE account SET suspended_reason = NULL`.execute(cloud.db)
  assert.equal((await fetch(url, { method: 'HEAD' })).status, 200)
  await cloud.advance(3_590_000)
  assert.equal((await fetch(url, { method: 'HEAD' })).status, 200)
  await cloud.advance(11_000)
  assert.deepEqual(await statusOf(url), [403, 'AccessDenied'])
  const fresh = await signedUrl(cloud, shortId)
  await sql`UPDATE backup SET state = 'deleted'`.execute(cloud.db)
  assert.deepEqual(await statusOf(fresh), [404, 'NoSuchKey'])
})

test('whoever goes away in the middle leaves nothing behind, and what is damaged is never sent', async (t) => {
  const { cloud, stage, uploaded, url } = await scene(t)
  const { host, port, pathname, search } = new URL(url)
  for (let i = 0; i < 40; i++) {
    await new Promise<void>((closed) => {
      const socket = connect(Number(port), '127.0.0.1', () =>
        socket.write(`GET ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\n\r\n`),
      )
      socket.once('data', () => socket.destroy())
      socket.once('close', () => closed())
    })
  }
  await eventually('there is room again', async () => (await fetch(url)).status === 200)

  const blobs = []
  for await (const chunk of readChunkList(uploaded.chunkListFile)) if (chunk) blobs.push(chunk)
  const last = blobs.at(-1)!
  const file = join(cloud.context.paths.objects, 'blobs', last.blobId[0]!, last.blobId.slice(1, 3), last.blobId)
  const bytes = await readFile(file)
  bytes[60]! ^= 1
  await writeFile(file, bytes)
  await assert.rejects(
    fetch(url).then((answer) => answer.arrayBuffer()),
    'the rest is cut off',
  )
  const end = await fetch(url, { headers: { range: 'bytes=-70000' } })
  assert.equal(end.status, 500)
  await assert.rejects(stage.restore(uploaded), { code: 'conflict' })
})

test('the link of a backup that was made of a machine opens an image of its length', async (t) => {
  const cloud = await startCloud(t)
  const { body } = await cloud.call<{ instance: { id: string } }>('POST', '/havn/v1/instances', { name: 'one' })
  const instance = body.instance.id
  const ctx = await ownerOf(cloud.context)
  await eventually('it runs', async () => (await instances.get(ctx, instance)).state === 'running')
  const { backup } = await backups.create(ctx, instance)
  await assert.rejects(link(ctx, backup.shortId), { code: 'conflict' })
  await eventually('it is made', async () => (await backups.get(ctx, backup.id)).state === 'completed')

  const { url, expiresAt, sizeBytes } = await link(ctx, backup.number, { instance })
  const left = expiresAt.getTime() - Date.now()
  assert.ok(left > 3_500_000 && left <= 3_600_000)
  const folder = await mkdtemp(join(tmpdir(), 'havn-download-'))
  t.after(() => rm(folder, { recursive: true }))
  const file = join(folder, 'image.qcow2')
  await run('curl', ['-sSf', '-o', file, url])
  assert.equal((await stat(file)).size, sizeBytes)
  await run('qemu-img', ['check', '-q', '-f', 'qcow2', file])
  const info = JSON.parse(await run('qemu-img', ['info', '--output=json', '-f', 'qcow2', file]))
  assert.equal(info['virtual-size'], (await backups.get(ctx, backup.id)).diskBytes)
})
