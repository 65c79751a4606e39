import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, afterEach, before, test } from 'node:test'
import { type Cluster, startCluster } from '../../../test/cluster.ts'
import { CloudError, describeError } from '../../model/errors.ts'
import { objectsContract } from './contract.ts'
import type { ObjectsDriver } from './objects.ts'
import { createS3Objects } from './s3.ts'

const KIB = 1024
const MIB = 1024 * KIB

let cluster: Cluster
let driver: ObjectsDriver
before(async () => {
  cluster = await startCluster()
  driver = createS3Objects(cluster.options)
  await driver.open()
})
afterEach(() => {
  cluster.fault = () => undefined
})
after(async () => {
  await driver.close()
  await cluster.close()
})

objectsContract('s3', async () => {
  const own = await startCluster()
  const openOne = async () => {
    const one = createS3Objects(own.options)
    await one.open()
    return one
  }
  const first = await openOne()
  return {
    driver: first,
    another: openOne,
    async close() {
      await first.close()
      await own.close()
      assert.equal(own.uploads.size, 0)
    },
  }
})

/** The fault of the first `times` requests that begin so. */
function failFirst(times: number, start: string, fault: ReturnType<Cluster['fault']>): void {
  let left = times
  cluster.fault = (request) => (request.startsWith(start) && left-- > 0 ? fault : undefined)
}
async function put(bytes: Buffer, sizeBytes: number | null = bytes.length): Promise<string> {
  const writer = await driver.create(sizeBytes)
  try {
    for (let at = 0; at < bytes.length; at += 256 * KIB) await writer.write(bytes.subarray(at, at + 256 * KIB))
    await writer.finish()
    return writer.id
  } catch (error) {
    await writer.discard()
    throw error
  }
}
async function get(id: string, length: number): Promise<Buffer> {
  const reader = await driver.read(id, 0, length)
  const into = Buffer.alloc(length)
  await reader.read(into)
  await reader.close()
  return into
}
const unavailable = (pattern: RegExp) => (error: unknown) => {
  assert.ok(error instanceof CloudError && error.code === 'unavailable', String(error))
  assert.match(describeError(error), pattern)
  return true
}
const opening = (options: Partial<Cluster['options']>) => {
  const one = createS3Objects({ ...cluster.options, ...options })
  return one.open().finally(() => one.close())
}

test('a wrong key, a missing bucket and a silent address are told apart', async () => {
  await assert.rejects(
    opening({ secretAccessKey: 'other' }),
    unavailable(/does not let Havn in \(SignatureDoesNotMatch\)/),
  )
  await assert.rejects(opening({ bucket: 'nowhere' }), unavailable(/does not let Havn in \(NoSuchBucket\)/))
  await assert.rejects(opening({ endpoint: 'http://127.0.0.1:1' }), unavailable(/is away \(.*ECONNREFUSED/))
})

test('what the cluster lacks is named at the start, and what it has is known', async () => {
  assert.deepEqual(driver.abilities, { conditionalWrites: true, checksums: false, listsUploads: true })
  failFirst(9, 'POST havn/probe', { status: 501, code: 'NotImplemented' })
  await assert.rejects(opening({}), unavailable(/cannot do what Havn needs: uploads in parts/))
  cluster.fault = () => undefined
  assert.deepEqual(
    [...cluster.objects.keys()].filter((key) => key.includes('probe')),
    [],
  )
})

test('an outage is unavailable and names the cluster’s request', async () => {
  cluster.fault = () => ({ status: 503, code: 'SlowDown' })
  await assert.rejects(
    driver.create(10),
    unavailable(/failed \(SlowDown\): .*503 SlowDown No & no \(request CLUSTER\d+\)/),
  )
  await assert.rejects(driver.read('0'.repeat(32), 0, 1), unavailable(/SlowDown/))
  await assert.rejects(driver.remove(['0'.repeat(32)]), unavailable(/SlowDown/))
})

test('a full cluster is a full store', async () => {
  failFirst(9, 'PUT', { status: 507 })
  await assert.rejects(driver.create(10), unavailable(/^the object store is full/))
  failFirst(9, 'PUT', { status: 403, code: 'QuotaExceeded' })
  await assert.rejects(put(randomBytes(6 * MIB), null), unavailable(/^the object store is full/))
  assert.equal(cluster.uploads.size, 0)
})

test('what fails in passing is tried again', async () => {
  const body = randomBytes(300 * KIB)
  for (const fault of ['reset', { status: 503 }] as const) {
    failFirst(2, 'PUT', fault)
    const id = await put(body)
    failFirst(2, 'GET', fault)
    assert.deepEqual(await get(id, body.length), body)
    failFirst(2, 'DELETE', fault)
    await driver.remove([id])
    assert.equal(cluster.objects.has(`havn/${id}`), false)
  }
})

test('connections that the cluster dropped while they were idle harm nobody', async () => {
  const body = randomBytes(300 * KIB)
  for (let round = 0; round < 5; round++) {
    const id = await put(body)
    cluster.dropIdleConnections()
    assert.deepEqual(await get(id, body.length), body)
    cluster.dropIdleConnections()
  }
})

test('a read that is cut goes on where it was', async () => {
  const body = randomBytes(3 * MIB)
  const id = await put(body)
  failFirst(3, `GET havn/${id}`, 'cut')
  assert.deepEqual(await get(id, body.length), body)
  assert.equal(cluster.requests.filter((request) => request === `GET havn/${id}`).length, 4)
})

test('a cluster that cuts every read is an outage, not an end', async () => {
  const id = await put(randomBytes(1000))
  failFirst(99, 'GET', 'reset')
  await assert.rejects(driver.read(id, 0, 1000), unavailable(/is away/))
})

test('a write that is cut fails and leaves nothing', async () => {
  const before = cluster.objects.size
  failFirst(1, 'PUT', 'cut')
  await assert.rejects(put(randomBytes(20 * MIB)), unavailable(/is away/))
  assert.equal(cluster.objects.size, before)
})

test('a refusal in the middle of a write is heard before its end', async () => {
  const writer = await driver.create(10 * MIB)
  await cluster.close()
  await assert.rejects(
    async () => {
      for (let round = 0; round < 40; round++) await writer.write(randomBytes(256 * KIB))
      await writer.finish()
    },
    unavailable(/is away/),
  )
  await writer.discard()
  cluster = await startCluster()
  driver = createS3Objects(cluster.options)
  await driver.open()
})

test('an upload in parts that fails is aborted, also when its end only says 200', async () => {
  const before = cluster.objects.size
  const faults: Cluster['fault'][] = [
    (request) =>
      /^PUT.*partNumber/.test(request) && cluster.uploads.size > 0 ? { status: 500, code: 'InternalError' } : undefined,
    (request) => (/^POST.*uploadId/.test(request) ? 'cut' : undefined),
  ]
  for (const fault of faults) {
    cluster.fault = fault
    await assert.rejects(put(randomBytes(11 * MIB), null), unavailable(/InternalError/))
    assert.equal(cluster.uploads.size, 0)
    assert.equal(cluster.objects.size, before)
  }
})

test('uploads that a dead process left long ago are aborted at the start, others not', async () => {
  const day = 86_400_000
  const add = (id: string, key: string, ageMs: number) =>
    cluster.uploads.set(id, { key, startedAt: new Date(Date.now() - ageMs), parts: new Map() })
  add('old', `havn/${'a'.repeat(32)}`, 3 * day)
  add('young', `havn/${'b'.repeat(32)}`, day)
  add('foreign', 'elsewhere/key', 30 * day)
  await driver.open()
  assert.deepEqual([...cluster.uploads.keys()], ['young', 'foreign'])
  cluster.uploads.clear()
})

test('what a process that was killed at its start tried out goes with a later start', async () => {
  const body = Buffer.from('x')
  const hours = (ago: number) => new Date(Date.now() - ago * 3_600_000)
  const [old, young] = [`havn/probe-${'a'.repeat(16)}`, `havn/probe-${'b'.repeat(16)}`]
  cluster.objects.set(old, { body, modifiedAt: hours(2) })
  cluster.objects.set(young, { body, modifiedAt: hours(0.5) })
  cluster.objects.set('havn/probe-of-somebody', { body, modifiedAt: hours(2) })
  cluster.uploads.set('tried', { key: old, startedAt: hours(72), parts: new Map() })
  await driver.open()
  const left = [...cluster.objects.keys()].filter((key) => key.startsWith('havn/probe-'))
  assert.deepEqual(left, [young, 'havn/probe-of-somebody'])
  assert.equal(cluster.uploads.size, 0)
  for (const key of left) cluster.objects.delete(key)
})

test('a blob that became shorter is damage', async () => {
  const id = await put(randomBytes(1000))
  cluster.objects.set(`havn/${id}`, { body: randomBytes(400), modifiedAt: new Date() })
  await assert.rejects(driver.read(id, 0, 1000), /lacks bytes/)
  await assert.rejects(driver.read(id, 500, 10), /fewer than 510 bytes/)
})

test('keys of others under the bucket are not listed', async () => {
  cluster.objects.set('havn/README', { body: Buffer.from('x'), modifiedAt: new Date() })
  cluster.objects.set('a'.repeat(32), { body: Buffer.from('x'), modifiedAt: new Date() })
  for await (const { id } of driver.list()) assert.match(id, /^[0-9a-f]{32}$/)
  assert.throws(() => createS3Objects({ ...cluster.options, prefix: 'a b' }), /cannot be the prefix/)
})
