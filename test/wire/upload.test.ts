/** Uploads: streamed to disk, in one piece or in parts, resumed where the last part ended. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, test } from 'node:test'
import type { ErrorBody } from '../../src/dialects/native/contract/errors.ts'
import type { Upload } from '../../src/dialects/native/contract/images.ts'
import { wireOfSuite } from './wire.ts'

describe('image uploads', () => {
  const wire = wireOfSuite()
  const put = async (body: Buffer | Readable, headers: Record<string, string> = {}, id = 'ubuntu-24.04') => {
    const response = await fetch(`${wire().apiUrl}/havn/v1/images/${id}/upload`, {
      method: 'PUT',
      headers: { 'x-api-key': wire().ownerKey, 'content-type': 'application/octet-stream', ...headers },
      body: body as never,
      duplex: 'half',
    } as RequestInit)
    return { status: response.status, body: (await response.json()) as Upload & ErrorBody }
  }
  const stored = async (id = 'ubuntu-24.04') => readFile(join(wire().context.settings.uploadsFolder, `${id}.image`))
  const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

  test('whole, and larger than any JSON body may be', async () => {
    const bytes = randomBytes(8 * 1024 * 1024)
    const chunks = Array.from({ length: 64 }, (_, i) => bytes.subarray(i * 131_072, (i + 1) * 131_072))
    const { status, body } = await put(Readable.from(chunks))
    assert.deepEqual([status, body], [200, { receivedBytes: bytes.length, totalBytes: bytes.length, isComplete: true }])
    assert.equal(digest(await stored()), digest(bytes))
  })

  test('in parts; a part that does not fit is refused and says where to go on', async () => {
    const bytes = randomBytes(300_000)
    const part = (from: number, to: number) =>
      put(bytes.subarray(from, to), { 'content-range': `bytes ${from}-${to - 1}/${bytes.length}` }, 'rocky-9')
    assert.deepEqual((await part(0, 100_000)).body, { receivedBytes: 100_000, totalBytes: 300_000, isComplete: false })
    const gap = await part(200_000, 300_000)
    assert.deepEqual([gap.status, gap.body.error.code], [409, 'conflict'])
    assert.match(gap.body.error.message, /byte 100000/)
    assert.equal((await part(100_000, 250_000)).body.isComplete, false)
    assert.equal((await part(250_000, 300_000)).body.isComplete, true)
    assert.equal(digest(await stored('rocky-9')), digest(bytes))
    const { body } = await wire().call<{ items: { method: string; resourceId: string; status: number }[] }>(
      'GET',
      '/havn/v1/audit?limit=1',
    )
    assert.deepEqual([body.items[0]!.method, body.items[0]!.resourceId, body.items[0]!.status], ['PUT', 'rocky-9', 200])
  })

  test('nonsense', async () => {
    const cases: [string, Record<string, string>, number][] = [
      ['no-such-image', {}, 404],
      ['..%2f..%2fetc', {}, 404],
      ['rocky-9', { 'content-range': 'bytes 5-1/10' }, 400],
      ['rocky-9', { 'content-range': 'bytes 0-9/5' }, 400],
      ['rocky-9', { 'content-range': 'lines 1-2' }, 400],
    ]
    for (const [id, headers, status] of cases)
      assert.equal((await put(Buffer.from('x'), headers, id)).status, status, id)
  })
})
