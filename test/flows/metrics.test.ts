/** What an instance uses, from the driver to the native API, over its restarts and the worker's. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { InstanceMetrics, InstanceTraffic } from '../../src/dialects/native/contract/metrics.ts'
import { startWorker } from '../../src/main/worker.ts'
import { type Cloud, startCloud } from '../cloud.ts'
import { eventually } from '../eventually.ts'

const reaches = (cloud: Cloud, id: string, state: string) =>
  eventually(`${id} is ${state}`, async () => {
    const { body } = await cloud.call<{ state: string }>('GET', `/havn/v1/instances/${id}`)
    return body.state === state
  })

test('counted while it runs, once more when it ends, and on after restarts of it and of the worker', async (t) => {
  const cloud = await startCloud(t)
  const { body } = await cloud.call<{ instance: { id: `inst_${string}` } }>('POST', '/havn/v1/instances', {
    name: 'meter',
    imageId: 'debian-12',
  })
  const { id } = body.instance
  await reaches(cloud, id, 'running')
  const sweep = () => cloud.worker.reconcilers.runNow('stats.sample')
  const traffic = async (query = '?granularity=none') =>
    (await cloud.call<InstanceTraffic>('GET', `/havn/v1/instances/meter/traffic${query}`)).body
  const inBytes = async () => (await traffic()).values.map((value) => value.inBytes)
  const metrics = async (query: string) =>
    (await cloud.call<InstanceMetrics>('GET', `/havn/v1/instances/meter/metrics${query}`)).body.series

  await sweep()
  assert.deepEqual(await inBytes(), [null], 'nothing measures it')
  assert.equal((await metrics('')).length, 9)

  cloud.simulator.setStats(id, { run: 'a', networkInBytes: 1_000, networkOutBytes: 10, cpuPercent: 40 })
  await sweep()
  await sweep()
  assert.deepEqual(await inBytes(), [1_000])
  const samples = await metrics('?step=10s&metric=cpuPercent')
  assert.deepEqual(samples[0]?.values.at(-1)?.value, 40)
  await cloud.worker.reconcilers.runNow('metrics.roll-up')
  assert.deepEqual((await metrics('?metric=cpuPercent'))[0]?.values.at(-1)?.value, 40)

  // Between the last sweep and the end.
  cloud.simulator.setStats(id, { run: 'a', networkInBytes: 1_500, networkOutBytes: 10 })
  assert.equal((await cloud.call('POST', '/havn/v1/instances/meter/stop')).status, 202)
  await reaches(cloud, id, 'stopped')
  assert.deepEqual(await inBytes(), [1_500])

  await cloud.worker.stop()
  cloud.worker = await startWorker(cloud.context, { log: () => {} })
  assert.equal((await cloud.call('POST', '/havn/v1/instances/meter/start')).status, 202)
  await reaches(cloud, id, 'running')
  cloud.simulator.setStats(id, { run: 'b', networkInBytes: 2_000, networkOutBytes: 10 })
  await sweep()
  await cloud.worker.stop()
  cloud.worker = await startWorker(cloud.context, { log: () => {} })
  await sweep()
  assert.deepEqual(await inBytes(), [3_500])
  assert.equal((await traffic('?granularity=day')).values.at(-1)?.inBytes, 3_500)

  for (const query of ['?granularity=week', '?from=yesterday', '?to=2001-01-01T00:00:00Z&from=2002-01-01T00:00:00Z']) {
    const refused = await cloud.call('GET', `/havn/v1/instances/meter/traffic${query}`)
    assert.equal(refused.status, 400, query)
  }
  assert.equal((await cloud.call('GET', '/havn/v1/instances/nobody/traffic')).status, 404)
  assert.equal((await cloud.call('GET', '/havn/v1/instances/nobody/metrics')).status, 404)
})
