import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ERROR_CODES } from '../../model/errors.ts'
import { INSTANCE_STATES } from '../../model/instance.ts'
import type { Problem } from '../http/errors.ts'
import { ErrorBody, errors } from './errors.ts'
import { statusFilter } from './present.ts'

const problem = (given: Partial<Problem>): Problem => ({
  code: 'invalid',
  message: 'a message',
  issues: [],
  isMalformed: false,
  resource: null,
  state: null,
  hasCredential: true,
  allowedMethods: [],
  method: 'POST',
  path: '/api/v1/servers/1/start/',
  requestId: 'r',
  ...given,
})
const detail = (given: Partial<Problem>) => (errors(problem(given)).body as { detail: string }).detail

test('every error has its status and one of the two shapes, and a bug tells nothing', () => {
  for (const code of [...ERROR_CODES, 'internal' as const]) {
    const { status, body } = errors(problem({ code }))
    assert.ok(status >= 400 && status < 600, code)
    assert.ok(ErrorBody.safeParse(body).success, code)
  }
  const { status, body } = errors(problem({ code: 'internal', message: 'SELECT secret' }))
  assert.deepEqual([status, body], [500, { detail: 'A server error occurred.' }])
  assert.deepEqual(errors(problem({})).body, { non_field_errors: ['a message'] })
})

test('a refused power action says what the server is doing instead', () => {
  const at = (action: string, state: Problem['state']) =>
    detail({ code: 'conflict', path: `/api/v1/servers/1/${action}`, state })
  assert.equal(at('start/', 'running'), 'Server is already running.')
  assert.equal(at('start', 'running'), 'Server is already running.')
  assert.equal(at('start/', 'provisioning'), 'Server is provisioning.')
  for (const state of ['stopped', 'provisioning', 'starting', 'failed'] as const) {
    assert.equal(at('stop/', state), 'Server is not running.')
    assert.equal(at('reboot/', state), 'Server is not running.')
  }
  assert.equal(at('stop/', 'suspended'), 'Server is suspended.')
  assert.equal(at('stop/', null), 'a message', 'when it is no state that forbids it')
})

test('every state that is seen is found by one word, and by one only', () => {
  const words = ['provisioning', 'stopped', 'starting', 'active', 'stopping', 'rebooting', 'restoring', 'error']
  const found = words.flatMap((word) => statusFilter(word).states ?? [])
  const seen = INSTANCE_STATES.filter((state) => state !== 'deleting' && state !== 'deleted')
  assert.deepEqual([...found].sort(), [...seen].sort())
  assert.deepEqual(statusFilter('running').states, [])
  assert.deepEqual(statusFilter('suspended'), { isSuspended: true })
})
