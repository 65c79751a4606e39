/** An instance's life over the native API and WAYSCloud's at once, on the simulator. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Cloud, startCloud } from '../cloud.ts'
import { eventually } from '../eventually.ts'

interface InstanceBody {
  id: string
  uuid: string
  state: string
  ipv4: string
  provisionedAt: string | null
}

async function reaches(cloud: Cloud, id: string, state: string): Promise<InstanceBody> {
  return eventually(`${id} is ${state}`, async () => {
    const { body } = await cloud.call<InstanceBody>('GET', `/havn/v1/instances/${id}`)
    return body.state === state ? body : null
  })
}

test('created in one dialect, power-cycled in another, deleted in the first', async (t) => {
  const cloud = await startCloud(t)
  const created = await cloud.call<{ id: string; status: string; ipv4: string }>('POST', '/v1/vps', {
    hostname: 'web01.example.com',
    plan_code: 'vps-4gb-2cpu',
    region: 'oslo',
    os_template: 'ubuntu-22.04',
  })
  assert.equal(created.status, 201, JSON.stringify(created.body))
  assert.equal(created.body.status, 'provisioning')
  const running = await reaches(cloud, created.body.id, 'running')
  assert.equal(running.ipv4, created.body.ipv4)
  assert.ok(running.provisionedAt)

  const stopped = await cloud.call('POST', `/havn/v1/instances/web01.example.com/stop`)
  assert.equal(stopped.status, 202, JSON.stringify(stopped.body))
  const refused = await cloud.call<{ detail: string }>('POST', `/v1/vps/${running.uuid}/reboot`)
  assert.equal(refused.status, 409, JSON.stringify(refused.body))
  await reaches(cloud, running.id, 'stopped')
  assert.equal((await cloud.call('POST', `/v1/vps/${running.uuid}/start`)).status, 200)
  await reaches(cloud, running.id, 'running')

  assert.equal((await cloud.call('DELETE', `/v1/vps/${running.uuid}`)).status, 200)
  assert.equal((await cloud.call('GET', `/v1/vps/${running.uuid}`)).status, 404)
  await eventually('its machine is gone', async () => {
    const seen = await cloud.simulator.observe(running.id as `inst_${string}`)
    return seen.power === 'stopped' || null
  })
  await cloud.advance(12 * 3_600_000 + 60_000)
  await eventually('disk and addresses are given back', async () => {
    const left = await cloud.simulator.resources()
    return left.length === 0 || null
  })
})

test('100 creates at once: all running, no address twice', async (t) => {
  const cloud = await startCloud(t)
  const replies = await Promise.all(
    Array.from({ length: 100 }, (_, index) =>
      cloud.call<{ instance: InstanceBody }>('POST', '/havn/v1/instances', { name: `vm-${index}` }),
    ),
  )
  assert.deepEqual([...new Set(replies.map(({ status }) => status))], [201])
  const addresses = replies.map(({ body }) => body.instance.ipv4)
  assert.equal(new Set(addresses).size, 100)
  await eventually('all run', async () => {
    const { body } = await cloud.call<{ total: number }>('GET', '/havn/v1/instances?state=running&limit=1')
    return body.total === 100 || null
  })
})
