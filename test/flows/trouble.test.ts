/** When things go wrong, on the simulator: crash loops, hosts without room, guests that never answer. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { InstanceId } from '../../src/model/ids.ts'
import { type Cloud, startCloud } from '../cloud.ts'
import { eventually } from '../eventually.ts'

interface InstanceBody {
  id: InstanceId
  state: string
  stateReason: string | null
}
interface Accepted {
  instance: InstanceBody
  operation: { id: string; state: string; message: string | null; errorCode: string | null }
}

const show = async (cloud: Cloud, id: string) =>
  (await cloud.call<InstanceBody>('GET', `/havn/v1/instances/${id}`)).body
const reaches = (cloud: Cloud, id: string, state: string) =>
  eventually(`${id} is ${state}`, async () => {
    const body = await show(cloud, id)
    return body.state === state && body
  })

async function create(cloud: Cloud, name: string): Promise<InstanceBody> {
  const { status, body } = await cloud.call<Accepted>('POST', '/havn/v1/instances', { name })
  assert.equal(status, 201, JSON.stringify(body))
  return body.instance
}

test('a machine that dies again and again is left alone, an incident opens, and recover starts it', async (t) => {
  const cloud = await startCloud(t)
  const { id } = await create(cloud, 'frail')
  await reaches(cloud, id, 'running')
  for (let crash = 1; crash <= 5; crash++) {
    cloud.simulator.crash(id)
    const restarting = await eventually(`restart ${crash}`, async () => {
      const body = await show(cloud, id)
      return body.stateReason?.includes(`restart ${crash} of 5`) && body
    })
    assert.equal(restarting.state, 'starting')
    await cloud.advance(60_000)
    await reaches(cloud, id, 'running')
  }
  cloud.simulator.crash(id)
  const failed = await reaches(cloud, id, 'failed')
  assert.match(failed.stateReason ?? '', /stopped unexpectedly 6 times within 10 minutes/)

  const { body: incidents } = await cloud.call<{ items: { id: string; kind: string; strandId: string }[] }>(
    'GET',
    '/havn/v1/incidents',
  )
  assert.deepEqual(
    incidents.items.map(({ kind, strandId }) => [kind, strandId]),
    [['crash-loop', id]],
  )
  const recovered = await cloud.call<{ resolution: string }>(
    'POST',
    `/havn/v1/incidents/${incidents.items[0]!.id}/recover`,
  )
  assert.equal(recovered.status, 200, JSON.stringify(recovered.body))
  assert.match(recovered.body.resolution, /recovered by an operator/)
  await reaches(cloud, id, 'running')
  const again = await cloud.call('POST', `/havn/v1/incidents/${incidents.items[0]!.id}/recover`)
  assert.equal(again.status, 404)
})

test('no room: the instance waits and says for what; room that is given back is taken', async (t) => {
  const cloud = await startCloud(t, { simulator: { facts: { memoryMib: 4096 } } })
  const [first, second] = [await create(cloud, 'one'), await create(cloud, 'two')]
  await Promise.all([reaches(cloud, first.id, 'running'), reaches(cloud, second.id, 'running')])
  const third = await create(cloud, 'three')
  const waiting = await eventually('it says why it waits', async () => {
    const body = await show(cloud, third.id)
    return body.stateReason !== null && body
  })
  assert.equal(waiting.state, 'provisioning')
  assert.match(waiting.stateReason ?? '', /waiting for room: .* has 0 of 4096 MiB memory left, 2048 are needed/)

  assert.equal((await cloud.call('DELETE', `/havn/v1/instances/${first.id}`)).status, 202)
  await reaches(cloud, third.id, 'running')
})

test('what no host could ever hold is refused at once, in each dialect, and leaves nothing', async (t) => {
  const cloud = await startCloud(t, { simulator: { facts: { memoryMib: 4096 } } })
  const native = await cloud.call<{ error: { code: string } }>('POST', '/havn/v1/instances', {
    name: 'big',
    planId: 'vps-8gb-4cpu',
  })
  assert.deepEqual([native.status, native.body.error.code], [409, 'no_capacity'])
  const wayscloud = await cloud.call<{ detail: string }>('POST', '/v1/vps', {
    hostname: 'big.example.com',
    plan_code: 'vps-8gb-4cpu',
    region: 'oslo',
    os_template: 'micro',
  })
  assert.equal(wayscloud.status, 409)
  assert.match(wayscloud.body.detail, /no host in oslo is large enough/)
  const { body } = await cloud.call<{ total: number }>('GET', '/havn/v1/instances')
  assert.equal(body.total, 0)
  const addresses = await cloud.db.selectFrom('ip_address').selectAll().execute()
  assert.deepEqual(addresses, [])
})

test('a guest that never answers: an incident after the deadline, and deleting still wins', async (t) => {
  const cloud = await startCloud(t)
  const { id } = await create(cloud, 'mute')
  cloud.simulator.neverReady(id)
  await eventually('it boots', async () => {
    const strand = await cloud.db.selectFrom('strand').select('step').where('id', '=', id).executeTakeFirst()
    return strand?.step === 'ready'
  })
  await cloud.advance(20 * 60_000)
  await cloud.db
    .updateTable('strand')
    .set({ leased_until: new Date(0) })
    .where('id', '=', id)
    .execute()
  await eventually('an incident', async () => {
    const { body } = await cloud.call<{ total: number }>('GET', '/havn/v1/incidents')
    return body.total === 1
  })
  assert.equal((await cloud.call('DELETE', `/havn/v1/instances/${id}?purge=true`)).status, 202)
  await eventually('nothing is left', async () => (await cloud.simulator.resources()).length === 0)
  const { body } = await cloud.call<{ total: number }>('GET', '/havn/v1/incidents')
  assert.equal(body.total, 0)
})
