import assert from 'node:assert/strict'
import { test } from 'node:test'
import { normalizeSshKey } from './ssh-key.ts'

const BLOB = 'AAAAC3NzaC1lZDI1NTE5AAAAIFjzqHCKDqGLcj0Cf0fYQ8DtTNRpRd1YTSTbZVO2bfPV'

test('a public key is taken with and without a comment, and trimmed', () => {
  assert.equal(normalizeSshKey(`ssh-ed25519 ${BLOB}`), `ssh-ed25519 ${BLOB}`)
  assert.equal(normalizeSshKey(`  ssh-ed25519   ${BLOB}  me on a laptop \n`), `ssh-ed25519 ${BLOB} me on a laptop`)
})

test('what is not one public key is refused', () => {
  for (const text of [
    '',
    'ssh-ed25519',
    'ssh-ed25519 AAAA... user@laptop',
    `ssh-rsa ${BLOB}`,
    `command="rm" ssh-ed25519 ${BLOB}`,
    `ssh-ed25519 ${BLOB}\nssh-ed25519 ${BLOB}`,
    '-----BEGIN OPENSSH PRIVATE KEY-----',
    `ssh-ed25519 ${'A'.repeat(20_000)}`,
    `ssh-ed25519 ${BLOB}\0`,
  ]) {
    assert.equal(normalizeSshKey(text), null, text.slice(0, 60))
  }
})
