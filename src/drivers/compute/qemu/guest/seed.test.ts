import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fatVolume } from '../../../../lib/fat.ts'
import { type SeedInput, seedFiles, writeSeed } from './seed.ts'

const INPUT: SeedInput = {
  instanceId: 'inst_01-g1',
  hostname: 'web-1',
  sshKeys: ['ssh-ed25519 AAAA ada "the first"\n'],
  passwordHash: '$6$salt$hash',
  network: {
    mac: '52:54:00:AB:CD:EF',
    addresses: [
      { address: '10.91.0.17', prefix: 32, gateway: '169.254.0.1', onLink: true },
      { address: 'fd00::11', prefix: 128, gateway: 'fe80::1', onLink: true },
    ],
    nameservers: ['9.9.9.9'],
  },
}

test('the seed says host name, keys, password hash and both default routes', () => {
  const files = seedFiles(INPUT)
  assert.equal(files['meta-data'], 'instance-id: "inst_01-g1"\nlocal-hostname: "web-1"\n')
  assert.equal(
    files['user-data'],
    `#cloud-config
hostname: "web-1"
fqdn: "web-1"
disable_root: false
users:
  - name: root
    lock_passwd: false
    hashed_passwd: "$6$salt$hash"
    ssh_authorized_keys:
      - "ssh-ed25519 AAAA ada \\"the first\\""
write_files:
  - path: /etc/ssh/sshd_config.d/10-havn.conf
    content: "PasswordAuthentication yes\\nPermitRootLogin yes\\n"
growpart:
  mode: auto
  devices: ["/"]
resize_rootfs: true
`,
  )
  assert.equal(
    files['network-config'],
    `version: 2
ethernets:
  eth0:
    match:
      macaddress: "52:54:00:ab:cd:ef"
    set-name: eth0
    dhcp4: false
    dhcp6: false
    accept-ra: false
    addresses:
      - "10.91.0.17/32"
      - "fd00::11/128"
    routes:
      - to: "0.0.0.0/0"
        via: "169.254.0.1"
        on-link: true
    gateway6: "fe80::1"
    nameservers:
      addresses:
        - "9.9.9.9"
`,
  )
})

test('without a password, root is locked and passwords are refused', () => {
  const text = seedFiles({ ...INPUT, passwordHash: null })['user-data']
  assert.match(text, /PasswordAuthentication no/)
  assert.match(text, /^ {4}lock_passwd: true$/m)
  assert.doesNotMatch(text, /hashed_passwd|PermitRootLogin/)
})

test('what a user typed cannot add a line to the seed', () => {
  const text = seedFiles({ ...INPUT, hostname: 'a\nruncmd: [reboot]', sshKeys: ['k"\nruncmd: [x]'] })['user-data']
  assert.doesNotMatch(text, /^runcmd/m)
})

test('other programs read the volume as we meant it, and it is written whole and private', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'seed-'))
  t.after(() => rm(folder, { recursive: true }))
  const file = join(folder, 'seed.img')
  const sshKeys = Array.from({ length: 40 }, (_, i) => `ssh-ed25519 ${'A'.repeat(68)} key-${i}`)
  await writeSeed(file, INPUT)
  await writeSeed(file, { ...INPUT, sshKeys })
  assert.deepEqual(await readdir(folder), ['seed.img'])
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  execFileSync('fsck.vfat', ['-n', file])
  const expected = seedFiles({ ...INPUT, sshKeys })
  for (const name of ['meta-data', 'user-data', 'network-config'] as const) {
    assert.equal(execFileSync('mtype', ['-i', file, `::${name}`]).toString(), expected[name])
  }
  assert.match(execFileSync('mlabel', ['-i', file, '-s', '::']).toString(), /CIDATA/)
  assert.equal(Buffer.compare(await readFile(file), fatVolume('CIDATA', expected)), 0)
})

test('files that do not fit are refused', () => {
  assert.throws(() => fatVolume('CIDATA', { big: Buffer.alloc(2 * 1024 * 1024) }), RangeError)
})
