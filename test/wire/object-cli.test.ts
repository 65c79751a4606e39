/** `object put` and `get` against a real S3 server, over connections that break. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { after, before, describe, test } from 'node:test'
import type { Cli } from '../../src/cli/command.ts'
import { runCommand } from '../../src/cli/run.ts'
import { createS3Client, type S3Access } from '../../src/cli/s3-client.ts'
import { partName } from '../../src/cli/s3-download.ts'
import { type Wire, wireOfSuite } from './wire.ts'

const MIB = 1024 * 1024
const md5 = (bytes: Buffer) => createHash('md5').update(bytes).digest('hex')

describe('objects from the command line', () => {
  const suite = wireOfSuite()
  const folder = mkdtempSync(join(tmpdir(), 'havn-object-'))
  let wire: Wire
  let access: S3Access
  before(async () => {
    wire = suite()
    access = (await wire.call<S3Access>('GET', '/havn/v1/s3/credentials')).body
    assert.equal((await wire.call('POST', '/havn/v1/buckets', { name: 'cli-bucket' })).status, 201)
  })
  after(() => rmSync(folder, { recursive: true }))

  /** What the command prints, and what it writes to its output stream. */
  async function run(words: string[], { input = Buffer.alloc(0), s3Url = access.s3Url } = {}) {
    const lines: string[] = []
    const output = new PassThrough()
    const sink: Buffer[] = []
    output.on('data', (chunk: Buffer) => void sink.push(chunk))
    const cli = {
      client: { url: wire.apiUrl, call: async () => ({ ...access, s3Url }) },
      print: (line: string) => void lines.push(line),
      note: () => {},
      input: Readable.from([input.subarray(0, 100), input.subarray(100)]),
      output,
      isTerminal: false,
      now: () => new Date(),
    } as unknown as Cli
    assert.equal(await runCommand(words, cli), 0)
    return { out: lines.join('\n'), sent: Buffer.concat(sink) }
  }
  const file = (name: string, bytes?: Buffer): string => {
    const path = join(folder, name)
    if (bytes) writeFileSync(path, bytes)
    return path
  }
  const partsLeft = () => readdirSync(folder).filter((name) => name.endsWith('.part'))
  const uploadsLeft = async () => {
    const s3 = createS3Client(access)
    const { text } = await s3.send({ method: 'GET', bucket: 'cli-bucket', query: [['uploads', '']] })
    s3.close()
    return text.match(/<UploadId>/g)?.length ?? 0
  }

  test('small, large, empty and odd keys come back as they went', async () => {
    const cases: [key: string, bytes: Buffer][] = [
      ['small.txt', Buffer.from('hello\n')],
      ['empty', Buffer.alloc(0)],
      ['exactly-one-part', randomBytes(16 * MIB)],
      ['three-parts.bin', randomBytes(40 * MIB + 17)],
      ['a/../b//./c', Buffer.from('dots')],
      ['æ ø å +&?#%2F=', Buffer.from('odd')],
    ]
    for (const [key, bytes] of cases) {
      const source = file('source', bytes)
      const put = JSON.parse((await run(['object', 'put', source, `cli-bucket/${key}`, '--json'])).out)
      assert.deepEqual([put.key, put.sizeBytes], [key, bytes.length])
      const target = file('target')
      await run(['object', 'get', `s3://cli-bucket/${key}`, target])
      assert.equal(md5(readFileSync(target)), md5(bytes), key)
    }
    assert.deepEqual(partsLeft(), [])
    assert.equal(await uploadsLeft(), 0)
    const listed = JSON.parse((await run(['object', 'ls', 'cli-bucket', '--recursive', '--json'])).out)
    assert.deepEqual(listed.objects.map(({ key }: { key: string }) => key).sort(), cases.map(([key]) => key).sort())
    const top = JSON.parse((await run(['object', 'ls', 'cli-bucket/a/', '--json'])).out)
    assert.deepEqual([top.prefixes, top.objects], [['a/../'], []])
    assert.match(
      (await run(['object', 'ls', 'cli-bucket/small'])).out,
      /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +6 B {2}small\.txt$/,
    )
  })

  test('stdin of unknown length goes in, and out to stdout', async () => {
    const bytes = randomBytes(20 * MIB)
    await run(['object', 'put', '-', 'cli-bucket/piped'], { input: bytes })
    const { sent, out } = await run(['object', 'get', 'cli-bucket/piped', '-'])
    assert.equal(out, '')
    assert.equal(md5(sent), md5(bytes))
  })

  test('a folder, a bucket and a type', async () => {
    const source = file('page.html', Buffer.from('<p>'))
    await run(['object', 'put', source, 'cli-bucket/site/'])
    const s3 = createS3Client(access)
    const { headers } = await s3.send({ method: 'HEAD', bucket: 'cli-bucket', key: 'site/page.html' })
    assert.equal(headers['content-type'], 'text/html; charset=utf-8')
    s3.close()
    const there = mkdtempSync(join(folder, 'there-'))
    await run(['object', 'get', 'cli-bucket/site/page.html', there])
    assert.equal(readFileSync(join(there, 'page.html'), 'utf8'), '<p>')
  })

  test('a connection that breaks again and again only slows a download', async () => {
    const bytes = randomBytes(8 * MIB)
    await run(['object', 'put', file('source', bytes), 'cli-bucket/broken'])
    const breaking = await breakingProxy(access.s3Url, 3 * MIB)
    const target = file('broken')
    await run(['object', 'get', 'cli-bucket/broken', target], { s3Url: breaking.url })
    breaking.close()
    assert.ok(breaking.breaks() >= 2)
    assert.equal(md5(readFileSync(target)), md5(bytes))
  })

  test('what an earlier run left is continued, and never another version', async () => {
    const bytes = randomBytes(4 * MIB)
    await run(['object', 'put', file('source', bytes), 'cli-bucket/half'])
    const target = file('half')
    const part = partName(target, md5(bytes))
    writeFileSync(part, bytes.subarray(0, MIB))
    await run(['object', 'get', 'cli-bucket/half', target])
    assert.equal(md5(readFileSync(target)), md5(bytes))
    // Bytes that are not the object's are found out, and the next try is clean.
    writeFileSync(part, randomBytes(MIB))
    await assert.rejects(run(['object', 'get', 'cli-bucket/half', target]), /not those of the object/)
    await run(['object', 'get', 'cli-bucket/half', target])
    assert.deepEqual(partsLeft(), [])
  })

  test('what cannot be done says why, and leaves no upload', async () => {
    const wrong: [words: string[], message: RegExp][] = [
      [['object', 'get', 'cli-bucket/nowhere', file('x')], /cli-bucket\/nowhere/],
      [['object', 'ls', 'no-such-bucket'], /does not exist \(NoSuchBucket\)/],
      [['object', 'put', file('source'), 'no-such-bucket/x'], /NoSuchBucket/],
      [['object', 'rm', 'cli-bucket/nowhere'], /cli-bucket\/nowhere/],
    ]
    for (const [words, message] of wrong) await assert.rejects(run(words), message, words.join(' '))
    await wire.call('PATCH', `/havn/v1/accounts/${wire.credentials.email}/quota`, { bytes: 150 * MIB })
    await assert.rejects(
      run(['object', 'put', '-', 'cli-bucket/too-much'], { input: randomBytes(120 * MIB) }),
      (error: { exit: string }) => error.exit === 'noCapacity',
    )
    await wire.call('PATCH', `/havn/v1/accounts/${wire.credentials.email}/quota`, { bytes: null })
    assert.equal(await uploadsLeft(), 0)
  })

  test('rm takes one, or all under a prefix, and with --versions the bucket is empty', async () => {
    await run(['object', 'rm', 'cli-bucket/small.txt'])
    const { out } = await run(['object', 'rm', 'cli-bucket/site/', '--recursive', '--json'])
    assert.equal(JSON.parse(out).deleted, 1)
    const s3 = createS3Client(access)
    const body = Buffer.from('<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>')
    await s3.send({ method: 'PUT', bucket: 'cli-bucket', query: [['versioning', '']], body })
    s3.close()
    await run(['object', 'put', file('source', Buffer.from('1')), 'cli-bucket/twice'])
    await run(['object', 'put', file('source', Buffer.from('2')), 'cli-bucket/twice'])
    await run(['object', 'rm', 'cli-bucket', '--recursive'])
    assert.equal((await wire.call('DELETE', '/havn/v1/buckets/cli-bucket')).status, 409, 'markers and versions')
    await run(['object', 'rm', 'cli-bucket', '--recursive', '--versions'])
    assert.equal((await wire.call('DELETE', '/havn/v1/buckets/cli-bucket')).status, 200)
  })
})

/** Passes everything on, and cuts each connection after so many bytes of answers. */
async function breakingProxy(url: string, cutBytes: number) {
  const { hostname, port } = new URL(url)
  let breaks = 0
  const server: Server = createServer((client) => {
    const upstream = connect(Number(port), hostname)
    let passed = 0
    client.pipe(upstream)
    upstream.on('data', (chunk: Buffer) => {
      passed += chunk.length
      if (passed < cutBytes) return void client.write(chunk)
      breaks++
      client.destroy()
      upstream.destroy()
    })
    for (const socket of [client, upstream]) socket.on('error', () => {})
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address() as { port: number }
  return { url: `http://127.0.0.1:${address.port}`, breaks: () => breaks, close: () => server.close() }
}
