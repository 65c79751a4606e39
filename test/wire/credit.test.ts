/** What the instances of an account may cost a month: one rule for every dialect. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { census, until, untilState, type Wire, wireOfSuite } from './wire.ts'

// biome-ignore lint/suspicious/noExplicitAny: what comes is what is looked at
type Json = any

const INSTANCES = '/havn/v1/instances'
const INSTANCE = { name: 'a' }

/** Without the events: instances that are on their way go on making some. */
async function made({ db }: Wire): Promise<Record<string, number>> {
  const { event: _, ...counts } = await census(db)
  return counts
}

describe('credit', () => {
  const wire = wireOfSuite()
  const PRICE = 9_900
  const call = (method: string, path: string, body?: unknown) =>
    wire().call<Json>(method, path, body, wire().keys.other)
  const setCredit = (creditMinor: number | null) =>
    wire().call<Json>('PUT', '/havn/v1/accounts/other@example.net/credit', { creditMinor })

  test('covers the month of every instance, the new one included; nobody spends it twice', async () => {
    assert.deepEqual((await setCredit(3 * PRICE)).body, { creditMinor: 3 * PRICE, committedMinor: 0 })
    const created = await Promise.all(Array.from({ length: 8 }, () => call('POST', INSTANCES, INSTANCE)))
    const count = (status: number) => created.filter((answer) => answer.status === status).length
    assert.deepEqual([count(201), count(402)], [3, 5])
    const refused = created.find(({ status }) => status === 402)
    assert.equal(refused?.body.error.code, 'insufficient_credit')
    assert.match(refused?.body.error.message, /all instances cost 396 a month, the credit is 297$/)
    assert.equal((await call('GET', INSTANCES)).body.total, 3)
    assert.deepEqual((await call('GET', '/havn/v1/account/credit')).body, {
      creditMinor: 3 * PRICE,
      committedMinor: 3 * PRICE,
    })
    const before = await made(wire())
    const wrong = await call('POST', INSTANCES, { name: 'a', planId: 'x' })
    assert.equal(wrong.status, 400, 'what is wrong is told before what it would cost')
    for (const [path, body] of [
      ['/api/v1/servers/', { name: 'a', plan_id: 1, os_id: 1, location: 'us-west' }],
      ['/v1/vps', { hostname: 'a', plan_code: 'vps-2gb-1cpu', region: 'oslo', os_template: 'micro' }],
    ] as const) {
      assert.equal((await call('POST', path, body)).status, 402, path)
    }
    assert.deepEqual(await made(wire()), before)
  })

  test('what is deleted counts no longer; more credit or none at all opens the door', async () => {
    const [first] = (await call('GET', INSTANCES)).body.items
    assert.equal((await call('DELETE', `${INSTANCES}/${first.id}`)).status, 202)
    assert.equal((await call('POST', INSTANCES, INSTANCE)).status, 201)
    assert.equal((await call('POST', INSTANCES, INSTANCE)).status, 402)
    await setCredit(4 * PRICE - 1)
    assert.equal((await call('POST', INSTANCES, INSTANCE)).status, 402)
    await setCredit(4 * PRICE)
    assert.equal((await call('POST', INSTANCES, INSTANCE)).status, 201)
    await setCredit(0)
    assert.equal((await call('POST', INSTANCES, INSTANCE)).status, 402)
    assert.equal((await call('GET', INSTANCES)).body.total, 4, 'what there is stays')
    await setCredit(null)
    assert.equal((await call('POST', INSTANCES, { name: 'a', planId: 'vps-8gb-4cpu' })).status, 201)
    assert.equal(
      (await wire().call('PUT', '/havn/v1/accounts/other@example.net/credit', { creditMinor: -1 })).status,
      400,
    )
    assert.equal((await wire().call('PUT', '/havn/v1/accounts/nobody/credit', { creditMinor: 1 })).status, 404)
  })

  test('a backup that becomes a new instance is paid for like any other, and many at once are not', async () => {
    await setCredit(null)
    for (const { id } of (await call('GET', INSTANCES)).body.items) await call('DELETE', `${INSTANCES}/${id}`)
    const { id } = (await call('POST', INSTANCES, INSTANCE)).body.instance
    await untilState(wire(), id, 'running')
    const backupId = (await call('POST', `${INSTANCES}/${id}/backups`, {})).body.backup.id
    await until(
      'the backup',
      async () => (await call('GET', `/havn/v1/backups/${backupId}`)).body.state === 'completed',
    )
    await setCredit(2 * PRICE)
    const orders = [
      { name: 'b', backupId },
      { name: 'c', backupId },
      { name: 'd', backupId },
      { name: 'e', backupId },
    ].map((body) => call('POST', INSTANCES, body))
    const statuses = (await Promise.all(orders)).map(({ status }) => status)
    assert.deepEqual(statuses.sort(), [201, 402, 402, 402])
  })

  test('an account may begin with a credit', async () => {
    const account = { email: 'poor@example.net', creditMinor: PRICE }
    const { apiKey } = (await wire().call<Json>('POST', '/havn/v1/accounts', account)).body
    assert.equal((await wire().call('POST', INSTANCES, INSTANCE, apiKey)).status, 201)
    assert.equal((await wire().call('POST', INSTANCES, INSTANCE, apiKey)).status, 402)
  })
})
