import assert from 'node:assert/strict'
import { test } from 'node:test'
import { accountOfCanonicalId, canonicalIdOf } from './canonical-id.ts'
import { idOfUuid, newIdentity } from './ids.ts'

test('a canonical id is 64 hex digits that lead back to the account', () => {
  const { id, uuid } = newIdentity('account')
  const canonical = canonicalIdOf(id)
  assert.match(canonical, /^[0-9a-f]{64}$/)
  assert.equal(canonicalIdOf(id), canonical)
  assert.equal(accountOfCanonicalId(canonical), id)
  assert.equal(accountOfCanonicalId(canonical.toUpperCase()), id)
  assert.equal(idOfUuid('account', uuid), id)
})

test('what nobody was given is nobody’s', () => {
  const canonical = canonicalIdOf(newIdentity('account').id)
  const last = canonical.endsWith('0') ? '1' : '0'
  for (const text of ['', 'a'.repeat(64), canonical.slice(1), `${canonical.slice(0, 63)}${last}`, `${canonical} `]) {
    assert.equal(accountOfCanonicalId(text), null)
  }
})
