import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type RoutingRule, redirectOfError, redirectOfKey, type Website } from './website.ts'

const site = (...routingRules: RoutingRule[]): Website => ({ indexDocument: 'index.html', routingRules })

test('everything to another host', () => {
  const website: Website = { redirectAllTo: { hostName: 'x.example', protocol: 'https' } }
  const to = { status: 301, protocol: 'https', hostName: 'x.example' }
  assert.deepEqual(redirectOfKey(website, 'a/b'), { ...to, key: 'a/b' })
})

test('the first rule that holds', () => {
  const rules: RoutingRule[] = [
    { condition: { keyPrefixEquals: 'docs/' }, redirect: { replaceKeyPrefixWith: 'documents/' } },
    { condition: { keyPrefixEquals: 'images/' }, redirect: { replaceKeyWith: 'gone.html', httpRedirectCode: '302' } },
    { condition: { httpErrorCodeReturnedEquals: '404', keyPrefixEquals: 'app/' }, redirect: { hostName: 'a.example' } },
    { condition: { httpErrorCodeReturnedEquals: '403' }, redirect: { protocol: 'https' } },
  ]
  const here = { status: 301, protocol: null, hostName: null }
  assert.deepEqual(redirectOfKey(site(...rules), 'docs/a'), { ...here, key: 'documents/a' })
  assert.deepEqual(redirectOfKey(site(...rules), 'images/a'), { ...here, status: 302, key: 'gone.html' })
  assert.equal(redirectOfKey(site(...rules), 'app/a'), null)
  assert.deepEqual(redirectOfError(rules, 'app/a', 404), { ...here, hostName: 'a.example', key: 'app/a' })
  assert.deepEqual(redirectOfError(rules, 'app/a', 403), { ...here, protocol: 'https', key: 'app/a' })
  assert.equal(redirectOfError(rules, 'other', 404), null)
})
