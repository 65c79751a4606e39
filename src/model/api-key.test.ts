import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newKeyText, parseKeyText } from './api-key.ts'

test('a new key is understood, and tells its service and key id', () => {
  const { text, keyId } = newKeyText('vps')
  assert.match(text, /^havn_vps_[0-9a-z]{12}_[0-9A-Za-z]{46}$/)
  assert.equal(parseKeyText(text)?.keyId, keyId)
  assert.equal(parseKeyText(text)?.service, 'vps')
})

test('one wrong character fails the checksum', () => {
  const { text } = newKeyText('api')
  for (let at = text.lastIndexOf('_') + 1; at < text.length; at++) {
    const other = text[at] === 'a' ? 'b' : 'a'
    assert.equal(parseKeyText(text.slice(0, at) + other + text.slice(at + 1)), null)
  }
})

test('WAYSCloud shaped keys are understood at any length', () => {
  assert.deepEqual(parseKeyText('wayscloud_vps_abc12_YOUR_SECRET'), {
    brand: 'wayscloud',
    service: 'vps',
    keyId: 'abc12',
    secret: 'YOUR_SECRET',
  })
})

test('everything else is no key', () => {
  for (const text of [
    '',
    'havn',
    'havn_api_x_',
    'other_api_a_b',
    'havn_api_a b_c',
    `havn_api_${'a'.repeat(400)}_b`,
    'havn_api_a_b\n',
  ]) {
    assert.equal(parseKeyText(text), null, text)
  }
})
