import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { seal } from '../../lib/secrets.ts'
import { configText, rsyncPlaces, secretsText } from './config-text.ts'
import { measureUse } from './measure.ts'
import { createRsyncServer } from './rsync.ts'

const NEVER = new AbortController().signal
const MASTER = Buffer.alloc(32, 5)

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'havn-rsync-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

async function server(t: TestContext) {
  const root = folder(t)
  const rsync = createRsyncServer({ folder: root, masterKey: MASTER, owner: undefined })
  await rsync.open()
  return { root, rsync, places: rsyncPlaces(root) }
}
const account = (username: number) => ({ username, passwordSealed: seal(MASTER, `secret-${username}`) })

test('a module for every account, in nobody’s list', () => {
  const text = configText(rsyncPlaces('/h/rsync'), [1000, 1001])
  for (const line of ['use chroot = no', 'munge symlinks = yes', 'list = no', 'strict modes = yes']) {
    assert.ok(text.includes(`\n${line}\n`), line)
  }
  assert.ok(text.endsWith(
    '\n[1001]\npath = /h/rsync/1001\nauth users = 1001\nlock file = /h/rsync/server/locks/1001\n',
  ), text) // biome-ignore format: one text
  assert.equal(secretsText([{ username: 1000, password: 'x' }]), '1000:x\n')
})

test('what is served is what stands in the files, also after another open', async (t) => {
  const { root, rsync, places } = await server(t)
  await rsync.serve([account(1000), account(1001)])
  assert.equal(readFileSync(places.secrets, 'utf8'), '1000:secret-1000\n1001:secret-1001\n')
  assert.ok(existsSync(join(root, '1001')))
  await rsync.open()
  assert.match(readFileSync(places.config, 'utf8'), /\[1001\]/, 'nobody is shut out by a start')
  await rsync.serve([account(1001)])
  assert.doesNotMatch(readFileSync(places.config, 'utf8'), /\[1000\]/)
  assert.doesNotMatch(readFileSync(places.secrets, 'utf8'), /1000/)
  assert.ok(existsSync(join(root, '1000')), 'the files stay')
})

test('a full account is admitted to fetch and to delete, whatever the words say', async (t) => {
  const { rsync, places } = await server(t)
  const admits = (...words: string[]): boolean => {
    const env = Object.fromEntries(['rsyncd', ...words].map((word, index) => [`RSYNC_ARG${index}`, word]))
    try {
      execFileSync('/bin/sh', [places.admit], { env: { ...env, RSYNC_MODULE_NAME: '1000' }, stdio: 'pipe' })
      return true
    } catch (error) {
      assert.match(String((error as { stdout: Buffer }).stdout), /quota is used up/)
      return false
    }
  }
  const upload = ['--server', '-logDtpre.iLsfxCIvu', '.', '1000/']
  assert.ok(admits(...upload))
  assert.deepEqual(await rsync.takeTouched(), [1000])
  assert.deepEqual(await rsync.takeTouched(), [])
  assert.equal(await rsync.setFull(1000, true), true)
  assert.equal(await rsync.setFull(1000, true), false)
  assert.ok(!admits(...upload))
  assert.ok(admits('--server', '--sender', '-logDtpre.iLsfxCIvu', '.', '1000/'))
  const deleting = ['--delete-during', '--existing', '--ignore-existing']
  assert.ok(admits('--server', '-rDe.iLsfxCIvu', ...deleting, '.', '1000/'))
  for (const words of [
    ['--server', '-re.x', '--existing', '.', '--ignore-existing'],
    ['--server', '-re.x', '--temp-dir', '--existing', '--ignore-existing', '.'],
    ['--server', '-rT', '--existing', '--ignore-existing', '.'],
    ['--server', '-re.x', '--existing', '--ignore-existing', 'x; exit 0', '.'],
    ['--sender', '--server', '-re.x', '.'],
    ['--server', '-re.x', '.', '--sender'],
    [],
  ]) {
    assert.ok(!admits(...words), words.join(' '))
  }
  await rsync.setFull(1000, false)
  assert.ok(admits(...upload))
})

test('what a folder takes: a file of two names once, a link nothing of where it leads, and no more than so many', async (t) => {
  const root = folder(t)
  mkdirSync(join(root, 'below'))
  writeFileSync(join(root, 'below', 'a'), Buffer.alloc(1 << 20, 1))
  const before = await measureUse(root, NEVER)
  assert.ok(before.bytes >= 1 << 20 && before.bytes < (1 << 20) + 65_536, String(before.bytes))
  linkSync(join(root, 'below', 'a'), join(root, 'b'))
  symlinkSync('/usr', join(root, 'usr'))
  const after = await measureUse(root, NEVER)
  assert.ok(Math.abs(after.bytes - before.bytes) < 8192, String(after.bytes))
  assert.equal((await measureUse(root, NEVER, 2)).isCutShort, true)
  assert.deepEqual(await measureUse(join(root, 'absent'), NEVER), { bytes: 0, isCutShort: false })
})

test('removing an account removes its files and follows no link; of one that is not there it says nothing', async (t) => {
  const { root, rsync } = await server(t)
  const outside = folder(t)
  writeFileSync(join(outside, 'kept'), '')
  await rsync.serve([account(1000)])
  mkdirSync(join(root, '1000', 'a b', '-rf'), { recursive: true })
  symlinkSync(outside, join(root, '1000', 'a b', 'out'))
  await rsync.setFull(1000, true)
  await rsync.serve([])
  for (let time = 0; time < 2; time++) await rsync.ensureAbsent(1000)
  assert.ok(!existsSync(join(root, '1000')))
  assert.ok(existsSync(join(outside, 'kept')))
})
