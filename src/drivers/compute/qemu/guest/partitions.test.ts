import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { nameOf, uptimeOf } from './guest.ts'
import { filesystemAt, MARK_BYTES, partitionsOf, TABLE_BYTES } from './partitions.ts'

const folder = mkdtempSync(join(tmpdir(), 'partitions-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const BYTES = 64 << 20

function disk(name: string): string {
  const file = join(folder, name)
  writeFileSync(file, '')
  truncateSync(file, BYTES)
  return file
}
function head(file: string, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes)
  const fd = openSync(file, 'r')
  const got = readSync(fd, buffer, 0, bytes, 0)
  closeSync(fd)
  return buffer.subarray(0, got)
}
function partitioned(label: string, lines: string): string {
  const file = disk(`${label}-table`)
  execFileSync('sfdisk', ['-q', file], { input: `label: ${label}\n${lines}` })
  return file
}
const MIB = 1 << 20

for (const label of ['dos', 'gpt']) {
  test(`a table of kind ${label} is read`, () => {
    const file = partitioned(label, 'start=2048, size=8192\nstart=10240\n')
    const found = partitionsOf(head(file, TABLE_BYTES), BYTES)
    assert.deepEqual(found[0], { name: '1', offset: MIB, length: 4 * MIB })
    assert.equal(found[1]?.name, '2')
    assert.equal(found[1]?.offset, 5 * MIB)
    assert.equal(found.length, 2)
  })
}

test('a disk without a table is one, and so is one whose table leads nowhere', () => {
  const whole = [{ name: 'disk', offset: 0, length: BYTES }]
  assert.deepEqual(partitionsOf(Buffer.alloc(0), BYTES), whole)
  assert.deepEqual(partitionsOf(Buffer.alloc(TABLE_BYTES), BYTES), whole)
  const file = partitioned('dos', 'start=2048\n')
  assert.deepEqual(partitionsOf(head(file, TABLE_BYTES), MIB), [{ name: 'disk', offset: 0, length: MIB }])
  const noise = Buffer.alloc(TABLE_BYTES, 0xff)
  noise.writeUInt16LE(0xaa55, 510)
  assert.deepEqual(partitionsOf(noise, BYTES), whole)
})

test('entries of a hostile GPT are bounded', () => {
  const evil = head(partitioned('gpt', 'start=2048\n'), TABLE_BYTES)
  for (const [at, value] of [
    [584, 0xffff_ffff_ffff_ffffn],
    [592, 0xffff_ffff_ffff_ffffn],
  ] as const) {
    const copy = Buffer.from(evil)
    copy.writeBigUInt64LE(value, at)
    assert.doesNotThrow(() => partitionsOf(copy, BYTES))
  }
})

for (const [type, make] of [
  ['ext2', (file: string) => execFileSync('mke2fs', ['-q', '-F', '-t', 'ext2', file])],
  ['ext3', (file: string) => execFileSync('mke2fs', ['-q', '-F', '-t', 'ext3', file])],
  ['ext4', (file: string) => execFileSync('mke2fs', ['-q', '-F', '-t', 'ext4', file])],
  ['vfat', (file: string) => execFileSync('mkfs.vfat', [file])],
  ['swap', (file: string) => execFileSync('mkswap', [file], { stdio: 'ignore' })],
] as const) {
  test(`${type} is known by its marks, and is no table`, () => {
    const file = disk(type)
    make(file)
    assert.equal(filesystemAt(head(file, MARK_BYTES)), type)
    assert.equal(partitionsOf(head(file, TABLE_BYTES), BYTES)[0]?.name, 'disk')
  })
}

test('marks of other file systems', () => {
  const marked = (at: number, text: string) => {
    const bytes = Buffer.alloc(MARK_BYTES)
    bytes.write(text, at, 'latin1')
    return filesystemAt(bytes)
  }
  assert.equal(marked(0, 'XFSB'), 'xfs')
  assert.equal(marked(0x10040, '_BHRfS_M'), 'btrfs')
  assert.equal(marked(3, 'NTFS    '), 'ntfs')
  assert.equal(marked(0, 'LUKS\xba\xbe'), 'luks')
  assert.equal(marked(512, 'LABELONE'), 'lvm')
  assert.equal(marked(0, ''), null)
  assert.equal(filesystemAt(Buffer.alloc(10)), null)
})

test('what an agent says is believed only as far as it makes sense', () => {
  assert.equal(nameOf({ 'pretty-name': 'Debian GNU/Linux 12\x1b[31m' }), 'Debian GNU/Linux 12[31m')
  assert.equal(nameOf({ name: 'Alpine', 'version-id': '3' }), 'Alpine 3')
  for (const nonsense of [null, 7, {}, { 'pretty-name': 9 }, { name: {} }]) assert.equal(nameOf(nonsense), null)
  assert.equal(nameOf({ 'pretty-name': 'x'.repeat(999) })?.length, 200)
  assert.equal(uptimeOf({ 'buf-b64': Buffer.from('12.34 5.6\n').toString('base64') }), 12)
  for (const nonsense of [null, {}, { 'buf-b64': 'AAAA' }, { 'buf-b64': 3 }]) assert.equal(uptimeOf(nonsense), null)
})
