import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { shellQuote, sshArgs } from './ssh.ts'

test('arguments arrive in the remote shell as they are here', () => {
  const words = [
    'a',
    '',
    'b c',
    "it's",
    '$HOME',
    '`id`',
    'x"y',
    '*',
    '\\',
    'line\nbreak',
    '--',
    '-n',
    'ø',
    ';',
    '!',
    '~',
  ]
  const script = `for word in ${words.map(shellQuote).join(' ')}; do printf '%s\\0' "$word"; done`
  assert.deepEqual(execFileSync('sh', ['-c', script], { encoding: 'utf8' }).split('\0').slice(0, -1), words)
})

test("the user's own SSH setup takes no part", () => {
  const text = sshArgs({ host: '127.0.0.1', port: 40_022 }, '/k', ['uname', '-a']).join(' ')
  assert.equal(
    text,
    '-F none -i /k -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o GlobalKnownHostsFile=/dev/null ' +
      '-o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes -o LogLevel=ERROR -o ConnectionAttempts=30 ' +
      '-p 40022 -l root 127.0.0.1 -- uname -a',
  )
})
