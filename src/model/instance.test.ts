import assert from 'node:assert/strict'
import { test } from 'node:test'
import { canInstance, INSTANCE_STATES, isHostname, TRANSIENT_STATES } from './instance.ts'

test('nothing but deleting is possible while a strand works', () => {
  for (const state of TRANSIENT_STATES) {
    for (const action of ['start', 'stop', 'reboot'] as const)
      assert.ok(!canInstance(action, state), `${action} ${state}`)
  }
})

test('power follows the state', () => {
  const allowed = (action: 'start' | 'stop' | 'reboot') => INSTANCE_STATES.filter((state) => canInstance(action, state))
  assert.deepEqual(allowed('start'), ['stopped', 'failed'])
  assert.deepEqual(allowed('stop'), ['running', 'failed'])
  assert.deepEqual(allowed('reboot'), ['running'])
})

test('host names are RFC 1123', () => {
  for (const name of ['a', 'web01.example.com', '1and1', 'x'.repeat(63), `${'a.'.repeat(126)}a`]) {
    assert.ok(isHostname(name), name)
  }
  for (const name of [
    '',
    '-a',
    'a-',
    'a..b',
    '.a',
    'a.',
    'a_b',
    'a b',
    'x'.repeat(64),
    `${'a.'.repeat(127)}a`,
    'æ',
    'a\n',
    'a\0',
  ]) {
    assert.ok(!isHostname(name), name)
  }
})
