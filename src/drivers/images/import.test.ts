import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, open, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, type TestContext, test } from 'node:test'
import { waitFor } from '../../lib/wait.ts'
import { isPublic } from './download.ts'
import { createImages } from './images.ts'
import { ImportInput, importImage } from './import.ts'

const SECRET = `the host's own secret ${randomBytes(8).toString('hex')}`
let base: string
let secret: string

before(async () => {
  base = await mkdtemp(join(tmpdir(), 'import-'))
  secret = join(base, 'secret')
  // Readable by everybody: what keeps it out of the result must not be its mode.
  await writeFile(secret, SECRET.padEnd(64 * 1024, '.'), { mode: 0o644 })
})
after(() => rm(base, { recursive: true }))

const qemuImg = (...args: string[]) => execFileSync('qemu-img', args, { cwd: base, stdio: 'pipe' }).toString()
const sha256 = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest('hex')
let counter = 0

async function bring(input: Record<string, unknown>, kept?: string) {
  const folder = join(base, `task-${counter++}`)
  const work = join(folder, 'work')
  await mkdir(work, { recursive: true })
  await mkdir(kept ?? join(folder, 'kept'), { recursive: true })
  const percents: number[] = []
  const wanted = ImportInput.parse({ imagesFolder: join(base, 'images'), ...input })
  const report = (percent: number) => percents.push(percent)
  const result = await importImage(wanted, { work, kept: kept ?? join(folder, 'kept') }, report)
  return { ...result, percents }
}

const bringFile = (file: string, format: string, more: Record<string, unknown> = {}) =>
  bring({ source: { file }, format, ...more })

/** A qcow2 with 1 MiB of noise in an 8 MiB disk; answers its path and the disk's content. */
async function soundImage(name: string, ...options: string[]): Promise<{ file: string; content: Buffer }> {
  const content = Buffer.alloc(8 * 2 ** 20)
  randomBytes(2 ** 20).copy(content, 2 ** 20)
  await writeFile(join(base, `${name}.raw`), content)
  qemuImg('convert', '-f', 'raw', '-O', 'qcow2', ...options, `${name}.raw`, `${name}.qcow2`)
  return { file: join(base, `${name}.qcow2`), content }
}

async function contentOf(file: string): Promise<Buffer> {
  qemuImg('convert', '-f', 'qcow2', '-O', 'raw', file, `${file}.out`)
  return readFile(`${file}.out`)
}

describe('what is sound comes in unchanged, as a file of our own', () => {
  for (const [name, options] of [
    ['plain', []],
    ['version-2', ['-o', 'compat=0.10']],
    ['compressed', ['-c', '-o', 'compression_type=zstd']],
  ] as const) {
    test(`qcow2, ${name}`, async () => {
      const { file, content } = await soundImage(name, ...options)
      const result = await bringFile(file, 'qcow2')
      assert.equal(result.virtualBytes, content.length)
      assert.equal(Buffer.compare(await contentOf(result.file), content), 0)
      assert.equal(result.percents.at(-1), 100)
    })
  }

  test('raw', async () => {
    const { content } = await soundImage('as-raw')
    const result = await bringFile(join(base, 'as-raw.raw'), 'raw', {
      source: { file: join(base, 'as-raw.raw'), sha256: sha256(content) },
    })
    assert.equal(Buffer.compare(await contentOf(result.file), content), 0)
  })

  test('published, it is read-only, named by its digest, verified, and removed', async () => {
    const images = createImages({ folder: join(base, 'images') })
    const { file } = await bringFile((await soundImage('published')).file, 'qcow2')
    const { digest, bytes } = await images.publish(file)
    assert.equal(sha256(await readFile(images.pathOf(digest))), digest)
    assert.equal((await stat(images.pathOf(digest))).mode & 0o777, 0o444)
    assert.deepEqual(await images.list(), [{ digest, bytes }])
    assert.equal(await images.verify(digest), true)
    const handle = await open(images.pathOf(digest), 'r+')
    await handle.write('x', 70_000)
    await handle.close()
    assert.equal(await images.verify(digest), false)
    await images.remove(digest)
    assert.deepEqual(await images.list(), [])
    await assert.rejects(images.verify(digest), { code: 'not_found' })
    assert.throws(() => images.pathOf('../../etc/passwd'), { code: 'invalid' })
  })
})

describe('hostile files are refused', () => {
  const refuses = (name: string, make: (t: TestContext) => Promise<[file: string, format: string]>, why: RegExp) =>
    test(name, async (t) => {
      const [file, format] = await make(t)
      await assert.rejects(bringFile(file, format), (error: Error & { code: string }) => {
        assert.equal(error.code, 'invalid')
        assert.match(error.message, why)
        assert.doesNotMatch(error.message, new RegExp(SECRET))
        return true
      })
    })

  refuses(
    'backing file',
    async () => {
      qemuImg('create', '-f', 'qcow2', '-F', 'raw', '-b', secret, 'backed.qcow2')
      return [join(base, 'backed.qcow2'), 'qcow2']
    },
    /backing file/,
  )

  for (const name of [
    'nbd://127.0.0.1:1/x',
    'json:{"driver":"file","filename":"/etc/hostname"}',
    'http://127.0.0.1/',
  ]) {
    refuses(
      `backing name ${name.slice(0, 5)}`,
      async () => {
        const file = join(base, `named-${counter++}.qcow2`)
        qemuImg('create', '-u', '-f', 'qcow2', '-F', 'raw', '-b', name, file, '1M')
        return [file, 'qcow2']
      },
      /backing file/,
    )
  }

  refuses(
    'external data file',
    async () => {
      await writeFile(join(base, 'data.raw'), SECRET.padEnd(2 ** 20, '.'))
      qemuImg('create', '-f', 'qcow2', '-o', 'data_file=data.raw,data_file_raw=on', 'outside.qcow2', '1M')
      return [join(base, 'outside.qcow2'), 'qcow2']
    },
    /data file/,
  )

  refuses(
    'VMDK with flat extents',
    async () => {
      const text = `# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="monolithicFlat"\n\nRW 128 FLAT "${secret}" 0\n`
      await writeFile(join(base, 'flat.vmdk'), text)
      return [join(base, 'flat.vmdk'), 'raw']
    },
    /begins like VMDK/,
  )
  refuses('the same, declared as qcow2', async () => [join(base, 'flat.vmdk'), 'qcow2'], /begins like VMDK/)

  refuses(
    'raw that begins with a qcow2 header',
    async () => [(await soundImage('disguised')).file, 'raw'],
    /begins like qcow2/,
  )
  refuses(
    'raw declared as qcow2',
    async () => {
      await soundImage('plain-raw')
      return [join(base, 'plain-raw.raw'), 'qcow2']
    },
    /declared as qcow2/,
  )

  refuses(
    'a claim of 1 PiB',
    async () => {
      qemuImg('create', '-f', 'qcow2', 'huge.qcow2', '1P')
      return [join(base, 'huge.qcow2'), 'qcow2']
    },
    /larger than/,
  )

  refuses(
    'truncated qcow2',
    async () => {
      const { file } = await soundImage('cut')
      await writeFile(file, (await readFile(file)).subarray(0, 700_000))
      return [file, 'qcow2']
    },
    /no sound qcow2/,
  )
  refuses(
    'truncated in its header',
    async () => {
      await writeFile(join(base, 'stub.qcow2'), (await readFile((await soundImage('whole')).file)).subarray(0, 50))
      return [join(base, 'stub.qcow2'), 'qcow2']
    },
    /cut off/,
  )
  refuses(
    'truncated raw',
    async () => {
      await writeFile(join(base, 'cut.raw'), randomBytes(1000))
      return [join(base, 'cut.raw'), 'raw']
    },
    /cut off/,
  )

  refuses(
    'encrypted',
    async () => {
      const secretObject = [
        '--object',
        'secret,id=s,data=abc',
        '-o',
        'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10',
      ]
      qemuImg('create', '-f', 'qcow2', ...secretObject, 'locked.qcow2', '1M')
      return [join(base, 'locked.qcow2'), 'qcow2']
    },
    /encrypted/,
  )
  refuses(
    'marked as corrupt',
    async () => {
      const { file } = await soundImage('corrupt')
      const bytes = await readFile(file)
      bytes[79] = 2
      await writeFile(file, bytes)
      return [file, 'qcow2']
    },
    /corrupt/,
  )
  refuses(
    'compressed',
    async () => {
      await writeFile(join(base, 'image.xz'), Buffer.concat([Buffer.from('fd377a585a00', 'hex'), randomBytes(506)]))
      return [join(base, 'image.xz'), 'raw']
    },
    /unxz/,
  )
  refuses(
    'a symbolic link',
    async () => {
      await symlink(secret, join(base, 'link'))
      return [join(base, 'link'), 'raw']
    },
    /cannot read/,
  )
  refuses('a device', async () => ['/dev/zero', 'raw'], /ordinary file/)

  test('a wrong digest', async () => {
    const { file } = await soundImage('digest')
    const input = { source: { file, sha256: '0'.repeat(64) } }
    await assert.rejects(bringFile(file, 'qcow2', input), /has sha256/)
  })
  test('a file that is too long', async () => {
    const { file } = await soundImage('long')
    await assert.rejects(bringFile(file, 'qcow2', { maxBytes: 1000 }), /longer than/)
  })
})

describe('from a URL', () => {
  async function serve(t: TestContext, answer: (request: IncomingMessage, response: ServerResponse) => void) {
    const server = createServer(answer).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => server.close())
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/image`
  }
  const raw = randomBytes(2 ** 20)
  const source = (url: string, digest = sha256(raw)) => ({
    source: { url, sha256: digest },
    format: 'raw',
    allowPrivate: true,
  })

  test('it is fetched, and a redirect followed', async (t) => {
    const url = await serve(t, (request, response) => {
      if (request.url === '/image') response.writeHead(302, { location: '/there' }).end()
      else response.end(raw)
    })
    const { file } = await bring(source(url))
    assert.equal(Buffer.compare(await contentOf(file), raw), 0)
  })

  test('a broken-off download goes on where it stopped, by range and validator', async (t) => {
    const kept = join(base, 'kept-broken')
    const ranges: (string | undefined)[] = []
    const url = await serve(t, (request, response) => {
      ranges.push(request.headers.range)
      const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
      const isFirst = ranges.length === 1
      if (from) assert.equal(request.headers['if-range'], '"v1"')
      const range = `bytes ${from}-${raw.length - 1}/${raw.length}`
      const headers = { etag: '"v1"', 'content-length': raw.length - from, ...(from ? { 'content-range': range } : {}) }
      response.writeHead(from ? 206 : 200, headers)
      if (!isFirst) return response.end(raw.subarray(from))
      // Breaks off only when a part has reached the disk.
      const size = () =>
        stat(join(kept, 'download')).then(
          (found) => found.size > 0,
          () => false,
        )
      response.write(raw.subarray(0, 300_000))
      void waitFor(size, { timeoutMs: 5_000 }).then(() => response.destroy())
    })
    const { file } = await bring(source(url), kept)
    assert.equal(ranges[0], undefined)
    assert.match(ranges[1] ?? '', /^bytes=[1-9]/)
    assert.equal(Buffer.compare(await contentOf(file), raw), 0)
  })

  test('what an earlier process left is continued; when the server has something else, it begins anew', async (t) => {
    let isSame = true
    const ranges: (string | undefined)[] = []
    const url = await serve(t, (request, response) => {
      ranges.push(request.headers.range)
      if (isSame && request.headers.range) {
        const headers = { etag: '"v1"', 'content-range': `bytes 1000-${raw.length - 1}/${raw.length}` }
        response.writeHead(206, headers).end(raw.subarray(1000))
      } else response.writeHead(200, { etag: '"v2"' }).end(raw)
    })
    for (const same of [true, false]) {
      isSame = same
      const kept = join(base, `kept-${same}`)
      await mkdir(kept)
      await writeFile(join(kept, 'download'), same ? raw.subarray(0, 1000) : Buffer.alloc(1000))
      await writeFile(join(kept, 'download.json'), JSON.stringify({ url, validator: '"v1"' }))
      assert.equal(Buffer.compare(await contentOf((await bring(source(url), kept)).file), raw), 0)
    }
    assert.deepEqual(ranges, ['bytes=1000-', 'bytes=1000-'])
  })

  test('a wrong digest, a file too long and a missing one are refused for good', async (t) => {
    const url = await serve(t, (request, response) => {
      if (request.url === '/image') response.end(raw)
      else response.writeHead(404).end()
    })
    await assert.rejects(bring(source(url, '0'.repeat(64))), { code: 'invalid', message: /has sha256/ })
    await assert.rejects(bring({ ...source(url), maxBytes: 1000 }), { code: 'invalid', message: /longer than 1000/ })
    await assert.rejects(bring(source(url.replace('/image', '/none'))), { code: 'invalid', message: /answers 404/ })
  })

  test('addresses inside are refused, literal, by name, and behind a redirect', async (t) => {
    let asked = 0
    const url = await serve(t, (_request, response) => {
      asked++
      response.end(raw)
    })
    for (const at of [url, url.replace('127.0.0.1', 'localhost'), 'http://[::ffff:127.0.0.1]/', 'http://2130706433/']) {
      const input = { ...source(at), allowPrivate: false }
      await assert.rejects(bring(input), { code: 'invalid', message: /not a public address/ })
    }
    await assert.rejects(bring(source('file:///etc/passwd')), { code: 'invalid', message: /no http or https URL/ })
    assert.equal(asked, 0)
  })

  test('which addresses are public', () => {
    const inside = ['10.1.2.3', '127.0.0.1', '169.254.169.254', '100.64.0.1', '172.31.0.1', '0.0.0.0', '224.0.0.1']
    const inside6 = [
      '::1',
      '::',
      'fe80::1',
      'fd00::1',
      '::ffff:8.8.8.8',
      '64:ff9b::a00:1',
      '2002:a00:1::',
      '2001:db8::1',
    ]
    for (const address of [...inside, ...inside6]) assert.equal(isPublic(address), false, address)
    for (const address of ['9.9.9.9', '172.32.0.1', '2620:fe::fe']) assert.equal(isPublic(address), true, address)
  })
})
