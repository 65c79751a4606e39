import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plainText, readBootLog } from './boot-log.ts'

const CASES: readonly [log: string, kind: 'up' | 'broken' | 'nothing'][] = [
  ['', 'nothing'],
  ['[    0.000000] Linux version 6.1.0\n[    1.2] Run /init as init process\n', 'nothing'],
  ['micro: first boot of inst_1-g1\nmicro: ready, ssh listens (4.11 s)\n', 'up'],
  ['Debian GNU/Linux 12 machine ttyS0\r\n\r\nmachine login: ', 'up'],
  ['\x1b[0;32m  OK  \x1b[0m Started Getty on tty1.\r\n\x1b[H\x1b[Jmachine login: ', 'up'],
  ['sshd[1]: Failed login: root from nowhere\n', 'nothing'],
  ['[    1.9] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n', 'broken'],
  ['You are in emergency mode. After logging in, type "journalctl -xb"\nmachine login: ', 'broken'],
  ['ALERT!  UUID=12 does not exist.  Dropping to a shell!\n(initramfs) ', 'broken'],
  ['error: no such partition.\nEntering rescue mode...\ngrub rescue> ', 'broken'],
  ['Booting from Hard Disk...\nNo bootable device.\n', 'broken'],
]

for (const [log, kind] of CASES) {
  test(`${JSON.stringify(log.slice(-40))} is ${kind}`, () => assert.equal(readBootLog(log).kind, kind))
}

test('what no text holds is left out', () => {
  assert.equal(plainText('a\x00b\x1b[31mc\r\nd\x07\te'), 'abc\nd\te')
})
