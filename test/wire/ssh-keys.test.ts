/** SSH keys that an account keeps. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { wireOfSuite } from './wire.ts'

// biome-ignore lint/suspicious/noExplicitAny: what comes is what is looked at
type Json = any

describe('stored SSH keys', () => {
  const wire = wireOfSuite()
  const call = (method: string, path: string, body?: unknown, key?: string) =>
    wire().call<Json>(method, path, body, key)
  const KEYS = '/havn/v1/ssh-keys'
  const LINE = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3Q5rT8nN3yYkqV0o1mXb2c4d5e6f7g8h9i0jKLMNOP'

  test('are added, listed, used by any of their names, and forgotten', async () => {
    const added = await call('POST', KEYS, { name: 'laptop', publicKey: `  ${LINE}   me@laptop\n` })
    assert.equal(added.status, 201, JSON.stringify(added.body))
    const { id, uuid, number, fingerprint } = added.body
    assert.match(id, /^ssh_[0-9a-z]{26}$/)
    assert.equal(added.body.publicKey, `${LINE} me@laptop`)
    assert.match(fingerprint, /^SHA256:[A-Za-z0-9+/]{43}$/)
    assert.deepEqual((await call('GET', KEYS)).body, { items: [added.body], total: 1 })
    for (const ref of [id, uuid, String(number), 'laptop', fingerprint]) {
      const created = await call('POST', '/havn/v1/instances', { name: 'a', sshKeyIds: [ref] })
      assert.equal(created.status, 201, `${ref}: ${JSON.stringify(created.body)}`)
    }
    for (const [why, body, status] of [
      ['the same name', { name: 'laptop', publicKey: LINE.replace('MNOP', 'MNOQ') }, 409],
      ['the same key', { name: 'desk', publicKey: `${LINE} other comment` }, 409],
      ['a private key', { name: 'desk', publicKey: '-----BEGIN OPENSSH PRIVATE KEY-----' }, 400],
      ['two lines', { name: 'desk', publicKey: `${LINE}\n${LINE}` }, 400],
      ['no name', { publicKey: LINE }, 400],
    ] as const) {
      assert.equal((await call('POST', KEYS, body)).status, status, why)
    }
    assert.equal((await call('DELETE', `${KEYS}/laptop`, undefined, wire().keys.other)).status, 404)
    assert.deepEqual((await call('DELETE', `${KEYS}/laptop`)).body, added.body)
    assert.equal((await call('DELETE', `${KEYS}/${id}`)).status, 404)
    assert.equal((await call('POST', '/havn/v1/instances', { name: 'a', sshKeyIds: [id] })).status, 400)
  })
})
