import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asCloudError } from './errors.ts'

const thrown = (message: string, fields: object) => Object.assign(new Error(message), fields)

test('a database that dies under a query is worth another try, a client that goes away is not', () => {
  const reset = { code: 'ECONNRESET', errno: -104 }
  assert.equal(asCloudError(thrown('read ECONNRESET', { ...reset, syscall: 'read' }))?.code, 'unavailable')
  assert.equal(asCloudError(thrown('write EPIPE', { code: 'EPIPE', syscall: 'write' }))?.code, 'unavailable')
  assert.equal(asCloudError(thrown('Connection terminated unexpectedly', {}))?.code, 'unavailable')
  assert.equal(asCloudError(thrown('aborted', { code: 'ECONNRESET' }))?.code, 'invalid')
  assert.equal(asCloudError(new TypeError('x is not a function')), null)
})
