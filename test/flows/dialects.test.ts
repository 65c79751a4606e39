/**
 * One instance, four vocabularies: made in one dialect, switched in the next two, taken back to a snapshot and installed anew
 * in the third, deleted in the first. Whenever its state
 * held still while all of them were asked, each has said its own word for it.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Instance } from '../../src/dialects/native/contract/instances.ts'
import { type Cloud, startCloud } from '../cloud.ts'
import { until } from '../wire/wire.ts'

// biome-ignore lint/suspicious/noExplicitAny: what comes is what is looked at
type Json = any
type State = Instance['state']

const WORDS: Partial<Record<State, { wayscloud: string; vpsorg: string; leaseweb: readonly string[] }>> = {
  provisioning: { wayscloud: 'provisioning', vpsorg: 'provisioning', leaseweb: ['STARTING'] },
  running: { wayscloud: 'running', vpsorg: 'active', leaseweb: ['RUNNING'] },
  stopping: { wayscloud: 'stopping', vpsorg: 'stopping', leaseweb: ['STOPPING'] },
  stopped: { wayscloud: 'stopped', vpsorg: 'stopped', leaseweb: ['STOPPED'] },
  starting: { wayscloud: 'starting', vpsorg: 'starting', leaseweb: ['STARTING'] },
  rebooting: { wayscloud: 'starting', vpsorg: 'rebooting', leaseweb: ['STOPPING', 'STARTING'] },
  rebuilding: { wayscloud: 'provisioning', vpsorg: 'provisioning', leaseweb: ['STOPPING', 'STARTING'] },
}

/** Asks everybody until the state is the wished one. */
async function watch(cloud: Cloud, { id, uuid, number }: Instance, wished: State): Promise<void> {
  const native = async () => (await cloud.call<Instance>('GET', `/havn/v1/instances/${id}`)).body
  await until(`all to say that it is ${wished}`, async () => {
    const before = await native()
    const [wayscloud, vpsorg, leaseweb] = await Promise.all([
      cloud.call<Json>('GET', `/v1/vps/${uuid}`),
      cloud.call<Json>('GET', `/api/v1/servers/${number}/`),
      cloud.call<Json>('GET', `/cloud/v2/virtualServers/${number}`),
    ])
    const { state, updatedAt } = await native()
    if (state !== before.state || updatedAt !== before.updatedAt) return null
    const words = WORDS[state]
    assert.ok(words, `nobody expected ${state}`)
    assert.deepEqual([wayscloud.body.status, vpsorg.body.status], [words.wayscloud, words.vpsorg])
    assert.ok(words.leaseweb.includes(leaseweb.body.state), `${leaseweb.body.state} for ${state}`)
    assert.equal(wayscloud.body.hostname, vpsorg.body.hostname)
    return state === wished
  })
}

test('the same instance through every dialect at once', async (t) => {
  const cloud = await startCloud(t, { simulator: { bootMs: 1_500, shutdownMs: 1_000 } })
  const created = await cloud.call<Json>('POST', '/api/v1/servers/', {
    name: 'shop',
    plan_id: 1,
    os_id: 1,
    location: 'us-west',
  })
  assert.equal(created.status, 201, JSON.stringify(created.body))
  const number: number = created.body.id
  const instance = (await cloud.call<Instance>('GET', `/havn/v1/instances/${number}`)).body
  const expectStatus = async (status: number, method: string, path: string) => {
    const answer = await cloud.call<Json>(method, path)
    assert.equal(answer.status, status, `${method} ${path}: ${JSON.stringify(answer.body)}`)
  }
  const ways = `/v1/vps/${instance.uuid}`
  const vpsorg = `/api/v1/servers/${number}/`
  const leaseweb = `/cloud/v2/virtualServers/${number}`

  await watch(cloud, instance, 'running')
  await expectStatus(200, 'POST', `${ways}/stop`)
  await watch(cloud, instance, 'stopped')
  // Each in its own manner: what is stopped already is no error to one of them.
  await expectStatus(409, 'POST', `${ways}/stop`)
  await expectStatus(400, 'POST', `${vpsorg}stop/`)
  await expectStatus(202, 'POST', `${leaseweb}/powerOff`)
  await expectStatus(202, 'POST', `${leaseweb}/powerOn`)
  await watch(cloud, instance, 'running')
  await expectStatus(200, 'POST', `${vpsorg}reboot/`)
  await watch(cloud, instance, 'running')

  const call = async (method: string, path: string, body: object) => {
    const answer = await cloud.call<Json>(method, leaseweb + path, body)
    assert.equal(answer.status, 202, JSON.stringify(answer.body))
  }
  cloud.simulator.write(instance.id as `inst_${string}`, 'then')
  await call('POST', '/snapshots', { name: 'Before' })
  const snapshot = await until('the snapshot to be ready', async () => {
    const [one] = (await cloud.call<Json>('GET', `${leaseweb}/snapshots`)).body.snapshots
    return one.state === 'READY' && one
  })
  cloud.simulator.write(instance.id as `inst_${string}`, 'now')
  await call('POST', `/snapshots/${snapshot.id}/restore`, {})
  await until('it is back there', async () => cloud.simulator.read(instance.id as `inst_${string}`) === 'then')
  await watch(cloud, instance, 'running')
  await until('the snapshot to be ready again', async () => {
    return (await cloud.call<Json>('GET', `${leaseweb}/snapshots/${snapshot.id}`)).body.state === 'READY'
  })

  cloud.simulator.fault({ verb: 'ensureStopped', when: 'before', delayMs: 1_000 })
  await call('POST', '/reinstall', { operatingSystemId: 'DEBIAN_12_64' })
  await watch(cloud, instance, 'rebuilding')
  await watch(cloud, instance, 'running')
  assert.equal(cloud.simulator.read(instance.id as `inst_${string}`), '')
  const os = (await cloud.call<Json>('GET', vpsorg)).body.os.name
  const template = (await cloud.call<Json>('GET', ways)).body.os_template
  assert.deepEqual([os, template], ['Debian 12', 'debian-12'])

  await expectStatus(204, 'DELETE', vpsorg)
  for (const path of [ways, vpsorg, leaseweb, `/havn/v1/instances/${instance.id}`]) await expectStatus(404, 'GET', path)
})
