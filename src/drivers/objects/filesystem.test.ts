import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { CloudError } from '../../model/errors.ts'
import { objectsContract } from './contract.ts'
import { createFilesystemObjects } from './filesystem.ts'
import { BlobDamaged, BlobMissing, type ObjectsDriver } from './objects.ts'

const root = mkdtempSync(join(tmpdir(), 'havn-objects-'))
after(() => rmSync(root, { recursive: true, force: true }))
const newFolder = () => mkdtempSync(join(root, 'store-'))

async function openIn(folder: string): Promise<ObjectsDriver> {
  const driver = createFilesystemObjects({ folder })
  await driver.open()
  return driver
}
const fileOf = (folder: string, id: string) => join(folder, 'blobs', id.slice(0, 1), id.slice(1, 3), id)
const openFiles = () => readdirSync('/proc/self/fd').length

async function put(driver: ObjectsDriver, body: Buffer): Promise<string> {
  const writer = await driver.create(body.length)
  await writer.write(body)
  await writer.finish()
  return writer.id
}
async function countBlobs(driver: ObjectsDriver): Promise<number> {
  let count = 0
  for await (const _ of driver.list()) count++
  return count
}

objectsContract('filesystem', async () => {
  const folder = newFolder()
  return { driver: await openIn(folder), another: () => openIn(folder), close: async () => {} }
})

test('two processes that open a new folder at once both find it ready', async () => {
  const folder = join(newFolder(), 'objects')
  const [one, other] = await Promise.all([openIn(folder), openIn(folder)])
  const id = await put(one, Buffer.from('hello'))
  await (await other.read(id, 0, 5)).close()
  assert.deepEqual(readdirSync(folder).sort(), ['blobs', 'format.json'])
})

test('the layout of another version is refused', async () => {
  const folder = newFolder()
  writeFileSync(join(folder, 'format.json'), '{"layout":2}')
  await assert.rejects(openIn(folder), (error) => error instanceof CloudError && error.code === 'unavailable')
})

test('a full disk is said to be full, costs nothing that was there, and no descriptor', async () => {
  const folder = newFolder()
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m,nr_inodes=5000', 'tmpfs', folder])
  try {
    const driver = await openIn(folder)
    const old = randomBytes(100_000)
    const id = await put(driver, old)
    const free = await driver.freeBytes()
    assert.ok(free !== null && free < 2 * 1024 * 1024, `${free} bytes free`)
    const before = openFiles()
    for (let round = 0; round < 3; round++) {
      const writer = await driver.create(null)
      await assert.rejects(
        async () => {
          for (;;) await writer.write(randomBytes(256 * 1024))
        },
        (error) => error instanceof CloudError && error.code === 'unavailable' && /full/.test(error.message),
      )
      await writer.discard()
    }
    assert.equal(openFiles(), before)
    assert.equal(await countBlobs(driver), 1)
    assert.equal(await driver.freeBytes(), free)
    const back = Buffer.alloc(old.length)
    const reader = await driver.read(id, 0, old.length)
    await reader.read(back)
    await reader.close()
    assert.deepEqual(back, old)
    await put(driver, randomBytes(500_000))
  } finally {
    execFileSync('umount', ['-l', folder])
  }
})

test('no inode left is a full disk too', async () => {
  const folder = newFolder()
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m,nr_inodes=4125', 'tmpfs', folder])
  try {
    const driver = await openIn(folder)
    const before = openFiles()
    const fill = async () => {
      for (let count = 0; count < 100; count++) await put(driver, Buffer.from('x'))
    }
    await assert.rejects(fill, (error) => error instanceof CloudError && /full/.test(error.message))
    assert.equal(openFiles(), before)
  } finally {
    execFileSync('umount', ['-l', folder])
  }
})

test('a process killed in the middle leaves what it finished, and the rest shows in the list', async () => {
  const folder = newFolder()
  const program = `
    const { createFilesystemObjects } = await import('${join(import.meta.dirname, 'filesystem.ts')}')
    const driver = createFilesystemObjects({ folder: '${folder}' })
    await driver.open()
    const done = await driver.create(5)
    await done.write(Buffer.from('whole'))
    await done.finish()
    const half = await driver.create(1000)
    await half.write(Buffer.alloc(500))
    console.log(done.id + ' ' + half.id)
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const said = await new Promise<string>((resolve) => child.stdout.once('data', (data) => resolve(String(data))))
  const exited = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await exited

  const [done = '', half = ''] = said.trim().split(' ')
  const driver = await openIn(folder)
  const reader = await driver.read(done, 0, 5)
  const back = Buffer.alloc(5)
  await reader.read(back)
  await reader.close()
  assert.equal(String(back), 'whole')
  await assert.rejects(driver.read(half, 0, 1000), BlobDamaged)
  const sizes = new Map<string, number>()
  for await (const { id, sizeBytes } of driver.list()) sizes.set(id, sizeBytes)
  assert.deepEqual(
    sizes,
    new Map(
      [
        [done, 5],
        [half, 500],
      ].sort() as [string, number][],
    ),
  )
  await driver.remove([half])
  assert.equal(await countBlobs(driver), 1)
})

test('a blob that shrinks or vanishes behind our back is damage, never less data', async () => {
  const folder = newFolder()
  const driver = await openIn(folder)
  const id = await put(driver, randomBytes(1000))
  const reader = await driver.read(id, 0, 1000)
  truncateSync(fileOf(folder, id), 400)
  const rest = Buffer.alloc(1000)
  await assert.rejects(reader.read(rest), BlobDamaged)
  await reader.close()
  await assert.rejects(driver.read(id, 0, 1000), BlobDamaged)
  rmSync(fileOf(folder, id))
  await assert.rejects(driver.read(id, 0, 1), BlobMissing)
})

test('names that are no blobs are neither listed nor reached', async () => {
  const folder = newFolder()
  const driver = await openIn(folder)
  writeFileSync(join(folder, 'blobs/0/00/README'), 'hello')
  assert.equal(await countBlobs(driver), 0)
  await assert.rejects(driver.read('../../../etc/passwd', 0, 1), /cannot name a blob/)
  await assert.rejects(driver.remove(['../format.json']), /cannot name a blob/)
})
