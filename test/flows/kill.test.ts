/**
 * Every process of the control plane killed in the middle of twenty creates, on the simulator. The clients do what a
 * patient client does: they ask again with the same Idempotency-Key until there is an answer.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Instance, InstanceAccepted } from '../../src/dialects/native/contract/instances.ts'
import type { Operation } from '../../src/dialects/native/contract/operations.ts'
import { createSimulator } from '../../src/drivers/compute/simulator.ts'
import { isAlive, signalProcess } from '../../src/lib/process-identity.ts'
import { eventually } from '../eventually.ts'
import { type Havn, newHavn } from '../havn.ts'

const CREATES = 20
const ANSWERS_BEFORE_KILL = 4
const LIMIT_MS = 60_000

describe('a kill in the middle of twenty creates', () => {
  let havn: Havn
  let key: string
  const all = new Map<string, Instance>()

  before(async () => {
    havn = await newHavn({ HAVN_COMPUTE: 'simulator' })
    const { code, out, err } = await havn.run('up --detach --empty')
    assert.equal(code, 0, out + err)
    key = (JSON.parse(readFileSync(havn.paths.credentials, 'utf8')) as { apiKey: string }).apiKey
  })
  after(() => havn.close())

  /** Null while there is nobody to answer. */
  async function ask<T>(method: string, path: string, body?: unknown, idempotencyKey?: string): Promise<T | null> {
    const headers = {
      authorization: `Bearer ${key}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(idempotencyKey && { 'idempotency-key': idempotencyKey }),
    }
    const init = { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) }
    const response = await fetch(`http://${havn.env.HAVN_LISTEN}${path}`, init).catch(() => null)
    const text = await response?.text().catch(() => null)
    if (!response || typeof text !== 'string') return null // cut off in the middle
    if (response.ok) return JSON.parse(text) as T
    assert.ok(response.status >= 500 || response.status === 409, `${method} ${path}: ${response.status} ${text}`)
    return null
  }
  const patiently = <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const idempotencyKey = method === 'GET' ? undefined : randomUUID()
    return eventually(`${method} ${path} is answered`, () => ask<T>(method, path, body, idempotencyKey), LIMIT_MS)
  }
  const list = async () => (await patiently<{ items: Instance[] }>('GET', '/havn/v1/instances?limit=1000')).items
  const simulated = async () => {
    const driver = createSimulator({ folder: havn.paths.simulator })
    await driver.open()
    try {
      return await driver.resources()
    } finally {
      await driver.close()
    }
  }

  for (const name of ['worker', 'api', 'postgres', 'havn'] as const) {
    test(`of ${name === 'havn' ? 'the supervisor' : name}`, async () => {
      let answers = 0
      const creates = Array.from({ length: CREATES }, async (_, index) => {
        const body = { name: `${name}-${index}`, imageId: 'debian-12' }
        const { instance } = await patiently<InstanceAccepted>('POST', '/havn/v1/instances', body)
        answers += 1
        return instance
      })
      while (answers < ANSWERS_BEFORE_KILL) await sleep(1)
      const victim = havn.process(name)!
      assert.ok(signalProcess(victim, 'SIGKILL'))
      if (name === 'havn') {
        const { code, out, err } = await havn.run('up --detach')
        assert.equal(code, 0, out + err)
      }
      const made = await Promise.all(creates)
      assert.ok(!isAlive(victim))
      for (const instance of made) all.set(instance.id, instance)

      const items = await eventually(
        'all of them run',
        async () => {
          const found = await list()
          return found.every(({ state }) => state === 'running') && found
        },
        LIMIT_MS,
      )
      assert.deepEqual(new Set(items.map(({ id }) => id)), new Set(all.keys()))
      for (const family of ['ipv4', 'ipv6'] as const) {
        assert.equal(new Set(items.map((item) => item[family])).size, items.length, `${family} is given twice`)
      }
      const { items: operations } = await patiently<{ items: Operation[] }>('GET', '/havn/v1/operations?limit=1000')
      assert.deepEqual(
        operations.filter(({ state }) => state !== 'succeeded'),
        [],
      )
      const { items: incidents } = await patiently<{ items: unknown[] }>('GET', '/havn/v1/incidents')
      assert.deepEqual(incidents, [])
    })
  }

  test('leaves nothing behind once they are purged', async () => {
    assert.deepEqual(new Set((await simulated()).map(({ instanceId }) => instanceId)), new Set(all.keys()))
    await Promise.all([...all.keys()].map((id) => patiently('DELETE', `/havn/v1/instances/${id}?purge=true`)))
    await eventually('nothing is left', async () => (await simulated()).length === 0, LIMIT_MS)
    assert.deepEqual(await list(), [])
  })
})
