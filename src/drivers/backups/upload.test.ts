import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { type BackupStage, backupStage, MIB, rawDisk, type Uploaded } from '../../../test/backup-stage.ts'
import { startCluster } from '../../../test/cluster.ts'
import { serveDisk, writePattern } from '../../../test/qemu-nbd.ts'
import { run } from '../../lib/run.ts'
import { waitFor } from '../../lib/wait.ts'
import { createS3Objects } from '../objects/s3.ts'
import { readChunkList } from './chunk-list.ts'
import { writeKnownChunks } from './known-chunks.ts'

const DISK = 256 * MIB

/** In each of the first chunks half a mebibyte of data. */
const CHUNKS = 20
const dataOf = (chunks: number) =>
  Array.from({ length: chunks }, (_, index) => ({ offset: index * 4 * MIB, bytes: randomBytes(MIB / 2) }))

/** A qcow2 disk with data in 20 chunks, and a mark since when changes are noted. */
async function qcow2Disk({ folder }: BackupStage): Promise<string> {
  const raw = await rawDisk(join(folder, 'raw'), DISK, dataOf(CHUNKS))
  const file = join(folder, 'disk.qcow2')
  await run('qemu-img', ['convert', '-q', '-f', 'raw', '-O', 'qcow2', raw.path, file])
  await run('qemu-img', ['bitmap', '--add', '-f', 'qcow2', file, 'mark'])
  return file
}

async function knownAfter(stage: BackupStage, ...uploads: Uploaded[]): Promise<string> {
  const file = join(stage.folder, `known-${uploads.length}`)
  async function* all() {
    for (const { chunkListFile } of uploads) {
      for await (const chunk of readChunkList(chunkListFile)) if (chunk) yield chunk
    }
  }
  await writeKnownChunks(file, all())
  return file
}

const sameAs = (restored: string, file: string) =>
  run('qemu-img', ['compare', '-q', '-f', 'raw', '-F', 'qcow2', restored, file])

test('an export is backed up; the next one reads and sends what changed', async (t) => {
  const stage = await backupStage(t)
  const file = await qcow2Disk(stage)
  const full = await serveDisk(t, { file, format: 'qcow2', bitmap: 'mark' })
  const source = { kind: 'nbd' as const, ...full, dirtyBitmap: 'qemu:dirty-bitmap:mark', baseExport: null }
  const first = await stage.upload({ source, diskBytes: DISK })
  assert.equal(first.readBytes, 10 * MIB, 'what holds no data is not read')
  assert.equal(first.dataBytes, 80 * MIB)
  await sameAs((await stage.restore(first)).file, file)

  await full.stop()
  await writePattern(file, 100 * MIB + 4096, 5 * MIB, 7) // touches two chunks that were holes
  await writePattern(file, 8 * MIB, 4 * MIB, 0) // and one becomes zeros
  await serveDisk(t, { file, format: 'qcow2', bitmap: 'mark' })
  const base = { backupId: first.backupId, manifestBlobId: first.manifestBlobId, manifestBytes: first.manifestBytes }
  const knownFile = await knownAfter(stage, first)
  const second = await stage.upload({ source, diskBytes: DISK, base, knownFile })
  assert.ok(second.readBytes <= 12 * MIB, `it read ${second.readBytes} bytes`)
  assert.equal(second.addedChunks, 2)
  assert.ok(second.addedBytes <= 1.1 * 8 * MIB + MIB)
  assert.equal(second.dataBytes, 84 * MIB)
  await sameAs((await stage.restore(second)).file, file)

  const unmarked = await stage.upload({ source: { ...source, dirtyBitmap: null }, diskBytes: DISK, base, knownFile })
  assert.equal(unmarked.dataBytes, 84 * MIB)
  assert.ok(unmarked.readBytes >= 14 * MIB, 'without a mark all data are read')
  assert.equal(unmarked.addedChunks, 2, 'the same two, which only the second knows')

  const lost = { ...base, manifestBytes: base.manifestBytes + 1 }
  const withoutBase = await stage.upload({ source, diskBytes: DISK, base: lost, knownFile })
  assert.ok(withoutBase.readBytes >= 14 * MIB, 'a base that cannot be read is none')
  await sameAs((await stage.restore(withoutBase)).file, file)
})

test('an export that ends under the upload is told from all else, and nothing is sent twice afterwards', async (t) => {
  const cluster = await startCluster()
  t.after(() => cluster.close())
  const stage = await backupStage(t, { objects: createS3Objects(cluster.options) })
  const file = await qcow2Disk(stage)
  const server = await serveDisk(t, { file, format: 'qcow2' })
  const source = { kind: 'nbd' as const, ...server, dirtyBitmap: null, baseExport: null }
  const kept = join(stage.folder, 'kept')
  const chunksSent = () => cluster.requests.filter((request) => /^PUT havn\/[0-9a-f]{32}$/.test(request)).length
  const before = chunksSent()
  cluster.fault = (request) => {
    if (request.startsWith('PUT') && chunksSent() === before + 5) void server.stop()
    return undefined
  }
  await assert.rejects(stage.upload({ source, diskBytes: DISK }, kept), { code: 'not_found' })
  const stored = cluster.objects.size
  assert.ok(stored > 0 && stored < 20, `${stored} of 20 chunks are stored`)

  await serveDisk(t, { file, format: 'qcow2' })
  const again = await stage.upload({ source, diskBytes: DISK }, kept)
  assert.equal(again.addedChunks, 20, 'those of the first try belong to it')
  assert.equal(cluster.objects.size, 21)
  await sameAs((await stage.restore(again)).file, file)
})

test('a source that is not there, or has another size', async (t) => {
  const stage = await backupStage(t)
  const source = {
    kind: 'nbd' as const,
    socket: join(stage.folder, 'none'),
    exportName: 'x',
    dirtyBitmap: null,
    baseExport: null,
  }
  await assert.rejects(stage.upload({ source, diskBytes: DISK }), { code: 'not_found' })
  const file = { kind: 'file' as const, path: join(stage.folder, 'none'), extents: [] }
  await assert.rejects(stage.upload({ source: file, diskBytes: DISK }), { code: 'not_found' })
  const disk = await rawDisk(join(stage.folder, 'small'), 64 * MIB, [])
  const server = await serveDisk(t, { file: disk.path, format: 'raw' })
  await assert.rejects(
    stage.upload({ source: { kind: 'nbd', ...server, dirtyBitmap: null, baseExport: null }, diskBytes: DISK }),
    {
      code: 'not_found',
    },
  )
})

test('a store that is away for a while is waited for; one that stays away is not', async (t) => {
  const cluster = await startCluster()
  t.after(() => cluster.close())
  const objects = createS3Objects(cluster.options)
  const stage = await backupStage(t, { objects, patienceMs: 15_000 })
  const source = await rawDisk(join(stage.folder, 'disk'), DISK, dataOf(10))
  let refused = 0
  cluster.fault = () => (refused++ < 12 ? (refused % 2 ? 'reset' : { status: 503, code: 'SlowDown' }) : undefined)
  const uploaded = await stage.upload({ source, diskBytes: DISK })
  assert.ok(refused > 12)
  assert.equal(cluster.objects.size, 11, 'nothing half is left')
  refused = 0
  await stage.restore(uploaded)

  const hasty = await backupStage(t, { objects, patienceMs: 300 })
  cluster.fault = (request) => (request.startsWith('PUT') ? 'cut' : undefined)
  await assert.rejects(hasty.upload({ source, diskBytes: DISK }), { code: 'unavailable' })
  cluster.fault = () => undefined
  assert.ok(await waitFor(() => cluster.uploads.size === 0, { timeoutMs: 5_000 }))
})

test('a log that was torn or garbled is believed as far as it is whole', async (t) => {
  const stage = await backupStage(t)
  const source = await rawDisk(join(stage.folder, 'disk'), DISK, dataOf(10))
  const kept = join(stage.folder, 'kept')
  const first = await stage.upload({ source, diskBytes: DISK }, kept)
  const log = await readFile(join(kept, 'uploaded'))
  const blobs = async (file: string) => {
    const ids = []
    for await (const chunk of readChunkList(file)) if (chunk) ids.push(chunk.blobId)
    return ids
  }
  const firstBlobs = new Set(await blobs(first.chunkListFile))
  log[4 * 72 + 40]! ^= 1
  await writeFile(join(kept, 'uploaded'), log.subarray(0, 7 * 72 + 5))
  await copyFile(join(kept, 'chunks'), join(stage.folder, 'chunks-before'))
  const second = await stage.upload({ source, diskBytes: DISK }, kept)
  const secondBlobs = await blobs(second.chunkListFile)
  assert.equal(secondBlobs.filter((id) => firstBlobs.has(id)).length, 4)
  assert.ok((await readFile((await stage.restore(second)).file)).equals(await readFile(source.path)))
})
