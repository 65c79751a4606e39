import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { hashPassword, isPassword, seal, unseal } from './secrets.ts'

test('what is sealed can be read again, by the same key only and unchanged only', () => {
  const key = randomBytes(32)
  const sealed = seal(key, 'sécret')
  assert.equal(unseal(key, sealed), 'sécret')
  assert.notDeepEqual(seal(key, 'sécret'), sealed, 'never the same bytes twice')
  assert.throws(() => unseal(randomBytes(32), sealed))
  for (const at of [0, 12, sealed.length - 1]) {
    const changed = Buffer.from(sealed)
    changed[at]! ^= 1
    assert.throws(() => unseal(key, changed), `byte ${at}`)
  }
})

test('a password is known by its hash, and nothing else is', async () => {
  const stored = await hashPassword('correct horse')
  assert.ok(!stored.includes('correct'))
  assert.ok(await isPassword('correct horse', stored))
  assert.ok(!(await isPassword('correct horsf', stored)))
  assert.ok(!(await isPassword('correct horse', 'nonsense')))
})
