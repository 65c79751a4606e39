import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { backupStage, MIB, rawDisk } from '../../../test/backup-stage.ts'
import { run } from '../../lib/run.ts'
import { readChunkList } from './chunk-list.ts'
import { writeKnownChunks } from './known-chunks.ts'

async function listOf(file: string) {
  const chunks = []
  for await (const chunk of readChunkList(file)) chunks.push(chunk)
  return chunks
}

for (const format of ['raw', 'qcow2'] as const) {
  test(`what is uploaded is restored, as ${format}`, async (t) => {
    const stage = await backupStage(t)
    const diskBytes = 70 * MIB + 1536 // its last chunk is short, and ends within a cluster
    const source = await rawDisk(join(stage.folder, 'disk'), diskBytes, [
      { offset: 512, bytes: randomBytes(100) },
      { offset: 9 * MIB + 100, bytes: randomBytes(6 * MIB) },
      { offset: 40 * MIB, bytes: Buffer.alloc(4 * MIB) },
      { offset: 70 * MIB + 1000, bytes: randomBytes(536) },
    ])
    const uploaded = await stage.upload({ source, diskBytes })
    const chunks = await listOf(uploaded.chunkListFile)
    assert.deepEqual(
      chunks.flatMap((chunk, index) => (chunk ? [index] : [])),
      [0, 2, 3, 17],
      'zeros are holes, also where the source says they are data',
    )
    assert.equal(uploaded.addedChunks, 4)
    assert.equal(uploaded.addedBytes, uploaded.storedBytes)
    assert.equal(uploaded.dataBytes, 14 * MIB + 1536)

    const { file, ...outcome } = await stage.restore(uploaded, { format })
    assert.deepEqual({ ...outcome, ms: 0 }, { diskBytes, writtenBytes: uploaded.dataBytes, chunks: 4, ms: 0 })
    if (format === 'qcow2') await run('qemu-img', ['check', '-q', '-f', 'qcow2', file])
    await run('qemu-img', ['compare', '-q', '-f', 'raw', '-F', format, source.path, file])
    const { blocks } = await stat(file)
    assert.ok(blocks * 512 < 10 * MIB, `it takes ${blocks * 512} bytes of the disk`)
  })
}

test('what the account has already is not sent again', async (t) => {
  const stage = await backupStage(t)
  const diskBytes = 64 * MIB
  const bytes = randomBytes(4 * MIB)
  const source = await rawDisk(join(stage.folder, 'disk'), diskBytes, [
    { offset: 0, bytes },
    { offset: 20 * MIB, bytes },
    { offset: 40 * MIB, bytes: randomBytes(4 * MIB) },
  ])
  const first = await stage.upload({ source, diskBytes })
  assert.equal(first.addedChunks, 2, 'equal chunks are sent once')
  const known = (await listOf(first.chunkListFile)).filter((chunk) => chunk !== null)
  const knownFile = join(stage.folder, 'known')
  await writeKnownChunks(knownFile, known)
  const second = await stage.upload({ source, diskBytes, knownFile })
  assert.equal(second.addedChunks, 0)
  assert.equal(second.addedBytes, second.manifestBytes)
  const { file } = await stage.restore(second)
  assert.ok((await readFile(file)).equals(await readFile(source.path)))
})
