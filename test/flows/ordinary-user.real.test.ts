/**
 * Havn without root, as most newcomers have it at first. Where the tests run as root, a throw-away user is made, with a
 * copy of the program that it may read; else whoever runs the tests is that user.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Instance } from '../../src/dialects/native/contract/instances.ts'
import { execute, freePorts, type Outcome, processesWith } from '../havn.ts'

const ROOT = join(import.meta.dirname, '../..')
const isRoot = process.getuid!() === 0
const place = mkdtempSync(join(tmpdir(), 'hv-'))
const user = basename(place).toLowerCase()
const home = join(place, 'home')
let env: NodeJS.ProcessEnv
let node = process.execPath
let program = join(ROOT, 'src/main/havn.ts')

before(async () => {
  mkdirSync(home, { mode: 0o700 })
  const [api, s3, dns] = await freePorts(3)
  env = {
    PATH: '/usr/local/bin:/usr/bin:/bin',
    HOME: home,
    HAVN_HOME: join(home, 'havn'),
    HAVN_LISTEN: `127.0.0.1:${api}`,
    HAVN_S3_LISTEN: `127.0.0.1:${s3}`,
    HAVN_DNS_LISTEN: `127.0.0.1:${dns}`,
  }
  if (!isRoot) return
  chmodSync(place, 0o755)
  copyProgram(join(place, 'program'))
  execFileSync('useradd', ['--system', '--user-group', '--home-dir', home, '--shell', '/bin/sh', user])
  execFileSync('chown', ['-R', `${user}:${user}`, home])
})
after(async () => {
  await havn('down --instances')
  if (isRoot) {
    for (const pid of processesWith(home)) process.kill(pid, 'SIGKILL')
    execFileSync('userdel', [user])
  }
  rmSync(place, { recursive: true, force: true })
})

/** The checkout may lie where nobody else can pass. What only developers need stays behind. */
function copyProgram(to: string): void {
  mkdirSync(to)
  for (const name of ['src', 'catalog', 'package.json']) cpSync(join(ROOT, name), join(to, name), { recursive: true })
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean }>
  }
  for (const [path, { dev }] of Object.entries(packages)) {
    if (path !== '' && !dev) cpSync(join(ROOT, path), join(to, path), { recursive: true })
  }
  node = join(to, 'node')
  copyFileSync(process.execPath, node)
  program = join(to, 'src/main/havn.ts')
  execFileSync('chmod', ['-R', 'a+rX,a-w', to])
  chmodSync(node, 0o755)
}

function havn(words: string, path = env.PATH): Promise<Outcome> {
  if (!isRoot) return execute(node, [program, ...words.split(' ')], { ...process.env, ...env, PATH: path })
  return execute('su', ['-s', '/bin/sh', user, '-c', `cd ~ && PATH=${path} exec ${node} ${program} ${words}`], env)
}

test('programs that are missing are named, with the command that brings them', async () => {
  const bin = join(place, 'bin')
  mkdirSync(bin, { mode: 0o755 })
  symlinkSync('/usr/bin/apt-get', join(bin, 'apt-get'))
  const { code, err } = await havn('up --detach', bin)
  assert.equal(code, 1)
  assert.match(err, /missing on this machine: .*qemu-system-x86_64.*\n +sudo apt-get install .*qemu-system-x86/)
})

test('the first start of an ordinary user ends with a machine that is reached by a port of the loopback', async () => {
  const { code, out, err } = await havn('up --detach')
  assert.equal(code, 0, out + err)
  const first = JSON.parse((await havn('instance show first --json')).out) as Instance
  assert.equal(first.state, 'running')
  assert.ok(first.sshPort && first.sshPort > 1024)
  const show = await havn('instance show first')
  assert.match(show.out, new RegExp(`only SSH, on 127\\.0\\.0\\.1:${first.sshPort} \\(user-mode network\\)`))
  assert.match((await havn('status')).out, /user mode: only SSH, forwarded from a loopback port/)
  assert.match(out, new RegExp(`ssh -i \\S+ -p ${first.sshPort} root@127\\.0\\.0\\.1`))
  const id = await havn('ssh first -- id')
  assert.equal(id.code, 0, id.err)
  assert.match(id.out, /^uid=0/)
  const uid = statSync(home).uid
  const qemus = processesWith(home).filter((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('qemu'))
  assert.deepEqual(
    qemus.map((pid) => statSync(`/proc/${pid}`).uid),
    [uid],
  )
})

test('down --instances leaves no process', async () => {
  const { code, out, err } = await havn('down --instances')
  assert.equal(code, 0, out + err)
  assert.deepEqual(processesWith(home), [])
})
