/** What lies in the store is not believed: every change of it is an error that says what is damaged. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { zstdCompressSync } from 'node:zlib'
import { backupStage, MIB, rawDisk, uploadWork } from '../../../test/backup-stage.ts'
import { newId } from '../../model/ids.ts'
import { digestOf, openChunk, sealChunk } from './chunk.ts'
import { readChunkList } from './chunk-list.ts'
import { EnvelopeDamaged, sealEnvelope } from './envelope.ts'
import { deriveKeys, newSealedKey, openSealedKey } from './keys.ts'
import { openManifest, sealedKeyOf, sealManifest } from './manifest.ts'

const keys = deriveKeys(randomBytes(32))

test('a key opens only with the master key it was sealed with, and its three keys differ', () => {
  const masterKey = randomBytes(32)
  const sealed = newSealedKey(masterKey)
  const opened = openSealedKey(masterKey, sealed)
  assert.deepEqual(openSealedKey(masterKey, sealed), opened)
  assert.equal(new Set(Object.values(opened).map((key) => key.toString('hex'))).size, 3)
  assert.throws(() => openSealedKey(randomBytes(32), sealed), { code: 'conflict', message: /master\.key/ })
})

for (const [what, plain] of [
  ['that can be compressed', Buffer.from('all work and no play '.repeat(10_000))],
  ['that cannot', randomBytes(100_000)],
  ['of one byte', Buffer.of(7)],
] as const) {
  test(`a chunk ${what} opens as it was, and with any byte changed not at all`, () => {
    const digest = digestOf(keys, plain)
    const sealed = sealChunk(keys, digest, plain)
    assert.ok(openChunk(keys, digest, sealed, plain.length).equals(plain))
    assert.ok(sealed.length <= plain.length + 40)
    for (const at of [0, 4, 5, 6, 8, 11, 12, 24, 39, 40, sealed.length - 1]) {
      const changed = Buffer.from(sealed)
      changed[at]! ^= 1
      assert.throws(() => openChunk(keys, digest, changed, plain.length), EnvelopeDamaged, `byte ${at}`)
    }
    for (const length of [0, 39, 40, sealed.length - 1]) {
      assert.throws(() => openChunk(keys, digest, sealed.subarray(0, length), plain.length), EnvelopeDamaged)
    }
    assert.throws(() => openChunk(keys, randomBytes(32), sealed, plain.length), EnvelopeDamaged)
    assert.throws(() => openChunk(deriveKeys(randomBytes(32)), digest, sealed, plain.length), EnvelopeDamaged)
    assert.throws(() => openChunk(keys, digest, sealed, plain.length + 1), EnvelopeDamaged)
    assert.throws(() => openChunk(keys, digest, sealed, plain.length - 1), EnvelopeDamaged)
  })
}

test('a chunk that says it holds less than it does costs no memory', () => {
  const bomb = zstdCompressSync(Buffer.alloc(256 * MIB))
  const digest = randomBytes(32)
  // Somebody with the key, or a mistake of ours: sealed as plain, then said to be compressed is refused by the tag.
  const sealed = sealEnvelope({ magic: 'HVNC', key: keys.chunk, context: digest }, bomb)
  sealed[5] = 1
  assert.throws(() => openChunk(keys, digest, sealed, 4 * MIB), EnvelopeDamaged)
})

test('a manifest is of its backup, whole and of a disk it can describe', () => {
  const backupId = newId('backup')
  const source = { kind: 'file' as const, path: '', extents: [] }
  const { header } = uploadWork(backupId, { source, diskBytes: 9 * MIB, sealedKey: '' })
  const chunk = { digest: randomBytes(32), blobId: randomBytes(16).toString('hex'), storedBytes: 1234 }
  const manifest = { backupId, diskBytes: 9 * MIB, header, count: 3, at: (i: number) => (i === 1 ? chunk : null) }
  const sealedKey = randomBytes(72)
  const sealed = sealManifest(keys, sealedKey, manifest)
  assert.deepEqual(sealedKeyOf(sealed), sealedKey)
  const otherKey = Buffer.from(sealed)
  otherKey[45]! ^= 1
  assert.throws(() => openManifest(keys, backupId, otherKey), EnvelopeDamaged)
  const opened = openManifest(keys, backupId, sealed)
  assert.deepEqual(opened.header, header)
  assert.deepEqual([opened.diskBytes, opened.count], [9 * MIB, 3])
  assert.deepEqual([0, 1, 2].map(opened.at), [null, chunk, null])

  assert.throws(() => openManifest(keys, newId('backup'), sealed), /is of bkp_/)
  const short = sealManifest(keys, sealedKey, { ...manifest, count: 2 })
  assert.throws(() => openManifest(keys, backupId, short), /does not name 3 chunks/)
  const asManifest = (plain: Buffer) =>
    sealEnvelope({ magic: 'HVNM', key: keys.manifest, context: Buffer.alloc(0) }, plain)
  for (const plain of [Buffer.alloc(0), Buffer.of(0, 0, 0, 9, 1), Buffer.of(255, 255, 255, 255), Buffer.alloc(4)]) {
    assert.throws(() => openManifest(keys, backupId, asManifest(plain)), EnvelopeDamaged)
  }
  const asChunk = sealEnvelope({ magic: 'HVNC', key: keys.manifest, context: Buffer.alloc(0) }, Buffer.alloc(4))
  assert.throws(() => openManifest(keys, backupId, asChunk), /does not begin with HVNM/)
})

test('a restore names what is damaged or missing, and writes no disk that is not the one', async (t) => {
  const stage = await backupStage(t)
  const source = await rawDisk(join(stage.folder, 'disk'), 64 * MIB, [
    { offset: 0, bytes: randomBytes(MIB) },
    { offset: 20 * MIB, bytes: randomBytes(MIB) },
  ])
  const uploaded = await stage.upload({ source, diskBytes: 64 * MIB })
  const chunks = []
  for await (const chunk of readChunkList(uploaded.chunkListFile)) if (chunk) chunks.push(chunk)
  const fileOf = (id: string) => join(stage.folder, 'objects/blobs', id[0]!, id.slice(1, 3), id)
  const [first, second] = chunks.map(({ blobId }) => blobId) as [string, string]
  const whole = new Map<string, Buffer>()
  for (const id of [first, second, uploaded.manifestBlobId]) whole.set(id, await readFile(fileOf(id)))
  const mend = async () => {
    for (const [id, bytes] of whole) await writeFile(fileOf(id), bytes)
  }
  const refused = async (message: RegExp) => {
    await assert.rejects(stage.restore(uploaded), (error: Error & { code: string }) => {
      assert.equal(error.code, 'conflict')
      assert.match(error.message, message)
      return true
    })
    await mend()
  }

  await writeFile(fileOf(second), whole.get(first)!.subarray(0, whole.get(second)!.length))
  await refused(new RegExp(`^chunk 5 of backup ${uploaded.backupId} \\(disk from byte 20971520, blob ${second}\\)`))
  await rm(fileOf(first))
  await refused(/^chunk 0 of backup/)
  await truncate(fileOf(first), 1000)
  await refused(/^chunk 0 of backup/)
  await truncate(fileOf(uploaded.manifestBlobId), 100)
  await refused(/^the manifest of backup/)
  await rm(fileOf(uploaded.manifestBlobId))
  await refused(/^the manifest of backup/)
  await assert.rejects(stage.restore({ ...uploaded, backupId: newId('backup') }), { code: 'conflict' })
  await assert.rejects(stage.restore({ ...uploaded, manifestBytes: 2 ** 40 }), { code: 'conflict' })
  await stage.restore(uploaded)
})
