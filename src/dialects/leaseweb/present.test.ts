import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Instance } from '../../services/instances.ts'
import { presentServer } from './present.ts'

const AT = new Date('2026-05-01T09:00:00Z')
const stateOf = (given: Partial<Instance>) =>
  presentServer({
    image: { name: 'Debian 12' },
    plan: { names: {}, memoryMib: 1 },
    regionNames: {},
    createdAt: AT,
    readAt: AT,
    ...given,
  } as Instance).state

test('what goes down to come up again stops until it is down, and starts from then on', () => {
  for (const state of ['rebooting', 'rebuilding'] as const) {
    assert.equal(stateOf({ state, startedAt: AT, provisionedAt: AT }), 'STOPPING', state)
    assert.equal(stateOf({ state, startedAt: null, provisionedAt: AT }), 'STARTING', state)
  }
  assert.equal(stateOf({ state: 'rebuilding', startedAt: null, provisionedAt: null }), 'STARTING')
  assert.equal(stateOf({ state: 'rebuilding', startedAt: AT, provisionedAt: null }), 'STARTING', 'its new system boots')
})
