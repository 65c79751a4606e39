/** What the tests of Leaseweb's dialect share. */
import assert from 'node:assert/strict'
import type { Wire } from '../wire.ts'

// biome-ignore lint/suspicious/noExplicitAny: what comes is what is looked at
export type Json = any

/** Where the calls about servers begin. */
export const S = '/cloud/v2/virtualServers'
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Every error, whatever it is about. */
export function isError({ status, body, headers }: { status: number; body: Json; headers: Headers }, wanted: number) {
  assert.equal(status, wanted, JSON.stringify(body))
  assert.equal(body.errorCode, wanted === 404 ? 404 : wanted === 400 ? 'APP00900' : body.errorCode)
  assert.equal(typeof body.errorMessage, 'string')
  assert.match(body.correlationId, UUID)
  assert.equal(headers.get('apigw-correlation-id'), body.correlationId)
  assert.match(headers.get('content-type')!, /^application\/json/)
}

export const serverPath = ({ instance }: Wire) => `${S}/${instance.number}`
