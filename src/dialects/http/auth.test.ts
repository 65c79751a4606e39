import assert from 'node:assert/strict'
import { test } from 'node:test'
import { basic, bearer, createAuthenticator, leasewebHeader, type Principal } from './auth.ts'

const principal: Principal = { accountId: 'acct_1', apiKeyId: 'key_1', email: 'a@example.net', scopes: new Set() }

function stage(onKeyChange?: (listener: () => void) => void) {
  const seen = { lookups: 0, touches: 0 }
  const authenticate = createAuthenticator({
    access: {
      async authenticate(text) {
        seen.lookups++
        return text === 'right' ? principal : null
      },
      async touch() {
        seen.touches++
      },
    },
    onKeyChange,
    onError: assert.fail,
  })
  return { seen, authenticate }
}

test('readers', () => {
  assert.deepEqual(bearer({ authorization: 'bearer  abc' }), { text: 'abc' })
  assert.equal(bearer({ authorization: 'Basic abc' }), null)
  assert.deepEqual(leasewebHeader({ 'x-lsw-auth': 'abc' }), { text: 'abc' })
  const of = (text: string) => basic({ authorization: `Basic ${Buffer.from(text).toString('base64')}` })
  assert.deepEqual(of('a@b:k:ey'), { email: 'a@b', text: 'k:ey' })
  assert.equal(of('no colon'), null)
  assert.equal(basic({ authorization: 'Basic !' }), null)
})

test('remembers a key until somebody says that keys changed; never remembers without being told', async () => {
  let change = () => {}
  const told = stage((listener) => {
    change = listener
  })
  for (let i = 0; i < 3; i++) assert.equal(await told.authenticate([{ text: 'right' }]), principal)
  assert.deepEqual(told.seen, { lookups: 1, touches: 1 })
  change()
  await told.authenticate([{ text: 'right' }])
  assert.deepEqual(told.seen, { lookups: 2, touches: 1 })
  const alone = stage()
  for (let i = 0; i < 3; i++) await alone.authenticate([{ text: 'right' }])
  assert.deepEqual(alone.seen, { lookups: 3, touches: 1 })
})

test('a wrong key is never remembered, an endless one not even looked up', async () => {
  const { seen, authenticate } = stage(() => {})
  assert.equal(await authenticate([{ text: 'wrong' }, { text: 'x'.repeat(10_000) }, { text: 'nul\0' }]), null)
  assert.equal(await authenticate([{ text: 'wrong' }]), null)
  assert.equal(seen.lookups, 2)
})

test('a key that changed while it was looked up is not remembered', async () => {
  let change = () => {}
  let lookups = 0
  const authenticate = createAuthenticator({
    access: {
      async authenticate() {
        lookups++
        change()
        return principal
      },
      touch: async () => undefined,
    },
    onKeyChange: (listener) => {
      change = listener
    },
    onError: assert.fail,
  })
  await authenticate([{ text: 'right' }])
  await authenticate([{ text: 'right' }])
  assert.equal(lookups, 2)
})
