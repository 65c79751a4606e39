import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answerPreflight, type CorsRule, corsHeaders } from './cors.ts'

const rule = (parts: Partial<CorsRule> = {}): CorsRule => ({
  allowedOrigins: ['https://a.example'],
  allowedMethods: ['GET', 'PUT'],
  allowedHeaders: [],
  exposeHeaders: [],
  ...parts,
})
const preflight = (rules: CorsRule[], origin = 'https://a.example', method = 'PUT', requestHeaders?: string) =>
  answerPreflight(rules, { origin, method, requestHeaders })

const VARY = 'Origin, Access-Control-Request-Headers, Access-Control-Request-Method'

test('the first rule that fits answers a preflight', () => {
  const rules = [
    rule({ allowedMethods: ['GET'] }),
    rule({ allowedHeaders: ['x-amz-*', 'Content-Type'], exposeHeaders: ['ETag', 'x-amz-meta-a'], maxAgeSeconds: 60 }),
    rule({ allowedOrigins: ['*'] }),
  ]
  assert.deepEqual(preflight(rules, undefined, 'PUT', 'content-type, X-Amz-Date'), {
    'access-control-allow-origin': 'https://a.example',
    'access-control-allow-credentials': 'true',
    'access-control-allow-methods': 'GET, PUT',
    'access-control-allow-headers': 'content-type, x-amz-date',
    'access-control-expose-headers': 'ETag, x-amz-meta-a',
    'access-control-max-age': '60',
    vary: VARY,
  })
  assert.deepEqual(preflight(rules, 'https://b.example'), {
    'access-control-allow-origin': '*',
    'access-control-allow-methods': 'GET, PUT',
    vary: VARY,
  })
  assert.equal(preflight(rules, 'https://b.example', 'PUT', 'x-amz-date'), null)
  assert.equal(preflight(rules, undefined, 'DELETE'), null)
  assert.equal(preflight([]), null)
})

test('origins are patterns with one star and nothing else', () => {
  const fits = (pattern: string, origin: string) => preflight([rule({ allowedOrigins: [pattern] })], origin) !== null
  assert.equal(fits('https://*.example', 'https://a.example'), true)
  assert.equal(fits('https://*.example', 'https://example'), false)
  assert.equal(fits('https://*.example', 'https://a.example.evil'), false)
  assert.equal(fits('https://?.example', 'https://a.example'), false)
  assert.equal(fits('https://a.example', 'https://A.example'), false)
  assert.equal(fits('https://a.example', 'https://a.example:8080'), false)
})

test('an actual request gets the headers of its rule, or none', () => {
  const rules = [rule({ exposeHeaders: ['ETag'] })]
  assert.deepEqual(corsHeaders(rules, 'https://a.example', 'GET'), {
    'access-control-allow-origin': 'https://a.example',
    'access-control-allow-credentials': 'true',
    'access-control-allow-methods': 'GET, PUT',
    'access-control-expose-headers': 'ETag',
    vary: VARY,
  })
  assert.deepEqual(corsHeaders(rules, 'https://b.example', 'GET'), {})
  assert.deepEqual(corsHeaders(rules, 'https://a.example', 'DELETE'), {})
})
