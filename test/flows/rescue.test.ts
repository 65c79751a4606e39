/** The day after: all that is left is the object store and a copy of the master key. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { zstdDecompressSync } from 'node:zlib'
import { createFilesystemObjects } from '../../src/drivers/objects/filesystem.ts'
import { run } from '../../src/lib/run.ts'
import { backupStage, MIB, rawDisk } from '../backup-stage.ts'

const HAVN = join(import.meta.dirname, '../../src/main/havn.ts')
const DISK_BYTES = 42 * MIB + 512 // so that the last chunk is a short one

/** A home with a store, a master key, two backups of one disk and nothing else. */
async function remains(t: TestContext) {
  const home = await mkdtemp(join(tmpdir(), 'havn-remains-'))
  t.after(() => rm(home, { recursive: true, force: true }))
  const masterKey = randomBytes(32)
  await mkdir(join(home, 'keys'))
  await writeFile(join(home, 'keys/master.key'), masterKey)
  await mkdir(join(home, 'objects'))
  const stage = await backupStage(t, { objects: createFilesystemObjects({ folder: join(home, 'objects') }), masterKey })
  const pieces = [
    { offset: 5 * MIB, bytes: randomBytes(2 * MIB) },
    { offset: 20 * MIB, bytes: Buffer.alloc(MIB, 'all work and no play ') },
    { offset: 42 * MIB, bytes: Buffer.alloc(512, 'end') },
  ]
  const source = await rawDisk(join(stage.folder, 'disk'), DISK_BYTES, pieces)
  const backup = await stage.upload({ source, diskBytes: DISK_BYTES })
  await stage.upload({ source, diskBytes: DISK_BYTES })
  return { home, masterKey, backup, disk: await readFile(source.path) }
}

const rescue = (home: string, ...words: string[]) =>
  new Promise<{ code: number; out: string; err: string }>((resolve) => {
    const env = { ...process.env, HAVN_HOME: home }
    execFile(process.execPath, [HAVN, 'rescue', ...words], { env }, (error, out, err) =>
      resolve({ code: error ? Number(error.code) : 0, out, err }),
    )
  })

test('./havn rescue lists what there is and restores it, without a database', async (t) => {
  const { home, backup, disk } = await remains(t)
  const listed = await rescue(home, '--json')
  const { backups, lost } = JSON.parse(listed.out)
  assert.equal(listed.code, 0, listed.err)
  assert.equal(backups.length, 2)
  assert.deepEqual(lost, [])
  const found = backups.find((one: { backupId: string }) => one.backupId === backup.backupId)
  assert.deepEqual([found.diskBytes, found.chunks, found.header.origin.name], [DISK_BYTES, 3, 'one'])
  assert.doesNotMatch(listed.out, /sealedKey/)
  assert.match((await rescue(home)).out, new RegExp(`${backup.backupId}  one +2026-01-02T03:04:05.000Z  off +42.0 MiB`))

  const [raw, qcow2] = [join(home, 'disk.raw'), join(home, 'disk.qcow2')]
  assert.equal((await rescue(home, backup.backupId, raw, '--raw')).code, 0)
  assert.ok((await readFile(raw)).equals(disk))
  assert.match((await rescue(home, backup.backupId, qcow2)).out, /every chunk verified/)
  await run('qemu-img', ['compare', '-f', 'raw', '-F', 'qcow2', raw, qcow2])
  assert.deepEqual((await readdir(home)).sort(), ['disk.qcow2', 'disk.raw', 'keys', 'objects'])
})

test('./havn rescue says what is wrong, and leaves nothing half written', async (t) => {
  const { home, masterKey, backup } = await remains(t)
  const unknown = await rescue(home, 'bkp_00000000000000000000000000')
  assert.deepEqual([unknown.code, unknown.out], [3, ''])
  assert.equal((await rescue(home, 'a', 'b', 'c')).code, 2)
  assert.equal((await rescue(home, '--nonsense')).code, 2)

  const id = backup.manifestBlobId
  const manifest = join(home, 'objects/blobs', id[0]!, id.slice(1, 3), id)
  const bytes = await readFile(manifest)
  await writeFile(manifest, Buffer.concat([bytes.subarray(0, -1), Buffer.of(bytes.at(-1)! ^ 1)]))
  const damaged = JSON.parse((await rescue(home, '--json')).out)
  assert.equal(damaged.backups.length, 1)
  assert.deepEqual(damaged.lost, [{ manifestBlobId: id, problem: 'was changed, or is encrypted with another key' }])

  await writeFile(join(home, 'keys/master.key'), randomBytes(32))
  const other = await rescue(home)
  assert.match(other.out, /cannot be read: .*master\.key is not the one/)
  await writeFile(join(home, 'keys/master.key'), masterKey.subarray(1))
  assert.match((await rescue(home)).err, /holds 31 bytes, not 32/)
  await rm(join(home, 'keys/master.key'))
  const keyless = await rescue(home)
  assert.deepEqual([keyless.code, /there is no .*master\.key/.test(keyless.err)], [3, true])
  await writeFile(join(home, 'keys/master.key'), masterKey)
  await rm(join(home, 'objects'), { recursive: true })
  assert.equal((await rescue(home)).code, 3)
  assert.deepEqual(await readdir(home), ['keys'], 'nothing is made where there was nothing')
})

test('docs/backups.md is enough: its words as a program that shares nothing with Havn', async (t) => {
  const { home, backup, disk } = await remains(t)
  const file = join(home, 'by-hand.raw')
  await byHand(join(home, 'objects'), await readFile(join(home, 'keys/master.key')), backup.backupId, file)
  assert.ok((await readFile(file)).equals(disk))
})

/** "Restoring without Havn", step by step. */
async function byHand(store: string, masterKey: Buffer, backupId: string, target: string): Promise<void> {
  const blob = (id: string) => readFile(join(store, 'blobs', id[0]!, id.slice(1, 3), id))
  const decrypt = (key: Buffer, nonce: Buffer, tag: Buffer, known: Buffer, sealed: Buffer) => {
    const cipher = createDecipheriv('aes-256-gcm', key, nonce).setAuthTag(tag).setAAD(known)
    return Buffer.concat([cipher.update(sealed), cipher.final()])
  }
  const openEnvelope = (bytes: Buffer, key: Buffer, digest: Buffer): Buffer => {
    const clearBytes = bytes.readUInt16BE(6)
    const known = Buffer.concat([bytes.subarray(0, 12), bytes.subarray(40, 40 + clearBytes), digest])
    const body = decrypt(key, bytes.subarray(12, 24), bytes.subarray(24, 40), known, bytes.subarray(40 + clearBytes))
    return bytes[5] === 1 ? zstdDecompressSync(body) : body
  }
  const names = await readdir(join(store, 'blobs'), { recursive: true, withFileTypes: true })
  for (const { name } of names.filter((entry) => entry.isFile())) {
    const bytes = await blob(name)
    if (bytes.toString('latin1', 0, 4) !== 'HVNM') continue
    const sealed = bytes.subarray(40, 40 + bytes.readUInt16BE(6))
    const nothing = Buffer.alloc(0)
    const text = decrypt(masterKey, sealed.subarray(0, 12), sealed.subarray(12, 28), nothing, sealed.subarray(28))
    const key = (use: string) =>
      Buffer.from(hkdfSync('sha256', Buffer.from(`${text}`, 'base64'), '', `havn backup ${use} v1`, 32))
    const manifest = openEnvelope(bytes, key('manifest'), nothing)
    const headBytes = manifest.readUInt32BE()
    const head = JSON.parse(manifest.toString('utf8', 4, 4 + headBytes))
    if (head.backupId !== backupId) continue
    const disk = await open(target, 'w')
    await disk.truncate(head.diskBytes)
    for (let at = 4 + headBytes, place = 0; at < manifest.length; at += 52, place++) {
      const record = manifest.subarray(at, at + 52)
      if (record.every((byte) => byte === 0)) continue
      const digest = record.subarray(0, 32)
      const plain = openEnvelope(await blob(record.toString('hex', 32, 48)), key('chunk'), digest)
      assert.ok(createHmac('sha256', key('digest')).update(plain).digest().equals(digest))
      await disk.write(plain, 0, plain.length, place * head.chunkBytes)
    }
    return disk.close()
  }
  assert.fail('no such manifest')
}
