/**
 * A walk over every operation of every dialect, with nothing in hand but the published document: what is answered, also
 * in every kind of error, must be in it, and what is in it must be answered.
 */
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { Principal } from '../../src/dialects/http/auth.ts'
import { BODY_BYTES_MAX } from '../../src/dialects/http/body.ts'
import type { Limits } from '../../src/dialects/http/limits.ts'
import { createApi } from '../../src/dialects/http/server.ts'
import { leaseweb } from '../../src/dialects/leaseweb/dialect.ts'
import { native } from '../../src/dialects/native/dialect.ts'
import { vpsorg } from '../../src/dialects/vpsorg/dialect.ts'
import { wayscloud } from '../../src/dialects/wayscloud/dialect.ts'
import { newKeyText } from '../../src/model/api-key.ts'
import { newId, newIdentity } from '../../src/model/ids.ts'
import { SCOPES } from '../../src/model/scopes.ts'
import * as hosts from '../../src/store/hosts.ts'
import { type Cloud, startCloud } from '../cloud.ts'
import { type Published, type PublishedOperation, published } from './documents.ts'
import { type Teller, teller } from './teller.ts'
import { until, untilState, type Wire, wireOfSuite } from './wire.ts'

const SSH_KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3Q5rT8nN3yYkqV0o1mXb2c4d5e6f7g8h9i0jKLMNOP'
const HEADER: Record<string, (key: string) => object> = {
  native: (key) => ({ 'x-api-key': key }),
  wayscloud: (key) => ({ 'x-api-key': key }),
  vpsorg: (key) => ({ authorization: `Bearer ${key}` }),
  leaseweb: (key) => ({ 'x-lsw-auth': key }),
}

type Walk = (teller: Teller, wire: Wire) => Promise<void>

const walkVpsorg: Walk = async ({ tell, ask }, wire) => {
  const wish = { name: 'one', plan_id: 1, os_id: 3, location: 'us-west', hostname: 'one.example.net', ssh_key_id: null }
  const { id } = await tell('POST /api/v1/servers/', { body: { ...wish, backups_enabled: true } })
  const values = { server_id: id }
  await tell('GET /api/v1/servers/{server_id}/', { values })
  await until('it to run', async () => (await tell('GET /api/v1/servers/{server_id}/', { values })).status === 'active')
  await tell('GET /api/v1/servers/')
  await tell('GET /api/v1/servers/', { query: { page: '1', page_size: '1', status: 'active', location: 'us-west' } })
  assert.equal((await ask('GET /api/v1/servers/', { query: { page: '9' } })).status, 404)
  const all = { name: 'two', hostname: 'two.example.net', backups_enabled: false }
  await tell('PUT /api/v1/servers/{server_id}/', { values, body: all })
  await tell('PATCH /api/v1/servers/{server_id}/', { values, body: { name: 'three' } })
  await tell('POST /api/v1/servers/{server_id}/reboot/', { values })
  await untilNumber(wire, id, 'running')
  await tell('POST /api/v1/servers/{server_id}/stop/', { values })
  await untilNumber(wire, id, 'stopped')
  await tell('POST /api/v1/servers/{server_id}/start/', { values })
  assert.equal((await ask('POST /api/v1/servers/', { body: wish, key: await poorKey(wire) })).status, 402)
  const other = await tell('POST /api/v1/servers/', { body: wish })
  await tell('DELETE /api/v1/servers/{server_id}/', { values: { server_id: other.id } })
}

const walkLeaseweb: Walk = async ({ tell }, wire) => {
  const S = '/cloud/v2/virtualServers'
  const values = { virtualServerId: wire.instance.number, credentialType: 'OPERATING_SYSTEM', username: 'root' }
  const server = `${S}/{virtualServerId}`
  await tell(`GET ${S}`)
  await tell(`GET ${S}`, { query: { limit: '1', offset: '0' } })
  await tell(`GET ${server}`, { values })
  await tell(`PUT ${server}`, { values, body: { reference: 'shop' } })
  await tell(`GET ${server}/templates`, { values })
  await tell(`PUT ${server}/credentials`, {
    values,
    body: { username: 'root', password: 'x', type: 'OPERATING_SYSTEM' },
  })
  await tell(`GET ${server}/credentials/{credentialType}`, { values })
  await tell(`GET ${server}/credentials/{credentialType}/{username}`, { values })
  for (const query of [
    {},
    { granularity: 'HOUR', aggregation: 'SUM', from: '2026-01-01', to: '2026-01-02T00:00:00Z' },
  ]) {
    await tell(`GET ${server}/metrics/datatraffic`, { values, query })
  }
  await tell(`POST ${server}/snapshots`, { values, body: { name: 'before' } })
  const snapshotId = await until('the snapshot', async () => {
    const { snapshots } = await tell(`GET ${server}/snapshots`, { values })
    return snapshots[0]?.state === 'READY' && (snapshots[0].id as string)
  })
  const snapshot = { values: { ...values, snapshotId } }
  await tell(`GET ${server}/snapshots/{snapshotId}`, snapshot)
  await tell(`POST ${server}/snapshots/{snapshotId}/restore`, snapshot)
  await until('it to be back', async () => {
    return (await tell(`GET ${server}/snapshots/{snapshotId}`, snapshot)).state === 'READY'
  })
  await tell(`DELETE ${server}/snapshots/{snapshotId}`, snapshot)
  await until('it to be gone', async () => (await tell(`GET ${server}/snapshots`, { values })).snapshots.length === 0)
  const reaches = (state: string) =>
    until(`it to be ${state}`, async () => (await tell(`GET ${server}`, { values })).state === state)
  await tell(`POST ${server}/powerOff`, { values })
  await reaches('STOPPED')
  await tell(`POST ${server}/powerOn`, { values })
  await reaches('RUNNING')
  await tell(`POST ${server}/reboot`, { values })
  await untilState(wire, wire.instance.id, 'running')
  await tell(`POST ${server}/reinstall`, { values, body: { operatingSystemId: 'DEBIAN_12_64' } })
  await untilState(wire, wire.instance.id, 'running')
}

const walkWayscloud: Walk = async ({ tell, ask }, wire) => {
  for (const name of ['plans', 'os-templates', 'regions']) await tell(`GET /v1/vps/${name}`)
  await tell('GET /v1/vps/plans/region/{region}', { values: { region: 'oslo' } })
  await tell('GET /v1/regions')
  await tell('GET /v1/regions/{code}', { values: { code: 'oslo' } })
  await tell('GET /api/v1/dashboard/account/profile')
  const wish = { hostname: 'ways', plan_code: 'vps-2gb-1cpu', region: 'oslo', os_template: 'debian-12' }
  const made = await tell('POST /v1/vps', { body: { ...wish, display_name: 'Ways', ssh_keys: [SSH_KEY] } })
  const vps = (await tell('GET /v1/vps')).find?.((one: { id: string }) => one.id === made.id) ?? made
  const values = { vps_id: vps.vps_id ?? vps.id }
  assert.equal((await ask('POST /v1/vps', { body: wish, key: await poorKey(wire) })).status, 402)
  assert.equal((await ask('POST /v1/vps', { body: { ...wish, plan_code: 'none' } })).status, 400)
  const at = '/v1/vps/{vps_id}'
  await untilState(wire, values.vps_id, 'running')
  await tell(`GET ${at}`, { values })
  await tell(`GET ${at}/status`, { values })
  await tell(`PATCH ${at}`, { values, body: { display_name: 'Other' } })
  await tell(`POST ${at}/backups`, { values })
  const backup_id = await until('the backup', async () => {
    const { backups } = await tell(`GET ${at}/backups`, { values })
    return backups[0]?.status === 'completed' && (backups[0].backup_id as string)
  })
  await tell(`GET ${at}/backup-usage`, { values })
  await tell(`GET ${at}/backup-policy`, { values })
  await tell(`PUT ${at}/backup-policy`, { values, body: { enabled: true, frequency: 'weekly', day_of_week: 'monday' } })
  await tell(`GET ${at}/backup-policy`, { values })
  await tell(`DELETE ${at}/backup-policy`, { values })
  await tell(`POST ${at}/reboot`, { values })
  await untilState(wire, values.vps_id, 'running')
  await tell(`POST ${at}/stop`, { values })
  await untilState(wire, values.vps_id, 'stopped')
  await tell(`POST ${at}/snapshots`, { values, body: { name: 'before', description: 'an upgrade' } })
  await tell(`GET ${at}/snapshots`, { values })
  const snapshot = { values: { ...values, snapshot_name: 'before' } }
  await tell(`POST ${at}/snapshots/{snapshot_name}/rollback`, snapshot)
  await tell(`DELETE ${at}/snapshots/{snapshot_name}`, snapshot)
  const backup = { values: { ...values, backup_id } }
  await tell(`GET ${at}/backups/{backup_id}/download`, backup)
  await tell(`POST ${at}/backups/{backup_id}/restore`, backup)
  await untilState(wire, values.vps_id, 'stopped')
  await tell(`POST ${at}/start`, { values })
  await tell(`DELETE ${at}/backups/{backup_id}`, backup)
  await tell(`DELETE ${at}`, { values })

  await tell('GET /storage/s3')
  await tell('GET /v1/storage/tiers')
  await tell('GET /v1/storage/credentials')
  await tell('POST /v1/storage/buckets', { body: { bucket_name: 'walked-bucket', tier: 'standard' } })
  const bucket = { bucket_name: 'walked-bucket' }
  await tell('GET /v1/storage/buckets')
  await tell('GET /v1/storage/buckets/{bucket_name}', { values: bucket })
  const key = await tell('POST /v1/storage/buckets/{bucket_name}/keys', { values: bucket, body: { name: 'ci' } })
  await tell('GET /v1/storage/buckets/{bucket_name}/keys', { values: bucket })
  await tell('DELETE /v1/storage/buckets/{bucket_name}/keys/{key_id}', {
    values: { ...bucket, key_id: key.id },
  })
  await tell('DELETE /v1/storage/buckets/{bucket_name}', { values: bucket })
}

const walkNative: Walk = async (teller, wire) => {
  await walkAccounts(teller, wire)
  await walkInstances(teller, wire)
  await walkStorage(teller)
}

const V = '/havn/v1'

const walkAccounts: Walk = async ({ tell }, wire) => {
  for (const list of [
    'regions',
    'plans',
    'images',
    'status',
    'events',
    'account',
    'account/credit',
    'hosts',
    'audit',
    'operations',
  ]) {
    await tell(`GET ${V}/${list}`)
  }
  await tell(`POST ${V}/accounts`, { body: { email: 'walk@a.example', name: 'Walk', creditMinor: 100 } })
  const { items } = await tell(`GET ${V}/accounts`)
  const values = { id: items.find(({ email }: { email: string }) => email === 'walk@a.example').id }
  await tell(`GET ${V}/accounts/{id}/credit`, { values })
  await tell(`PUT ${V}/accounts/{id}/credit`, { values, body: { creditMinor: null } })
  await tell(`GET ${V}/accounts/{id}/quota`, { values })
  await tell(`PATCH ${V}/accounts/{id}/quota`, { values, body: { bytes: 1_000_000, objects: null } })
  const made = await tell(`POST ${V}/keys`, { body: { name: 'walk', service: 'vps', readOnly: true } })
  await tell(`GET ${V}/keys`)
  await tell(`DELETE ${V}/keys/{id}`, { values: { id: made.key.id } })
  const sshKey = await tell(`POST ${V}/ssh-keys`, { body: { name: 'walk', publicKey: SSH_KEY } })
  await tell(`GET ${V}/ssh-keys`)
  await tell(`DELETE ${V}/ssh-keys/{id}`, { values: { id: sshKey.id } })
  await wire.db
    .insertInto('incident')
    .values({ id: newId('incident'), strand_id: wire.instance.id, kind: 'deadline', step: 'rest', message: 'stuck' })
    .execute()
  const incidents = await tell(`GET ${V}/incidents`)
  await tell(`POST ${V}/incidents/{id}/recover`, { values: { id: incidents.items[0].id } })
}

const walkInstances: Walk = async ({ tell, ask }, wire) => {
  const at = `${V}/instances/{id}`
  const wish = { name: 'walk', planId: 'vps-2gb-1cpu', regionId: 'oslo', imageId: 'debian-12', sshKeys: [SSH_KEY] }
  const made = await tell(`POST ${V}/instances`, { body: { ...wish, generatePassword: true, automaticBackups: false } })
  assert.equal((await ask(`POST ${V}/instances`, { body: wish, key: await poorKey(wire) })).status, 402)
  const values = { id: made.instance.id }
  const reaches = (state: Parameters<typeof untilState>[2]) => untilState(wire, values.id, state)
  await tell(`GET ${at}`, { values })
  await reaches('running')
  await tell(`GET ${V}/instances`, { query: { state: 'running', all: 'true', limit: '1' } })
  await tell(`GET ${V}/operations/{id}`, { values: { id: made.operation.id } })
  await tell(`PATCH ${at}`, { values, body: { reference: 'a note' } })
  for (const part of ['credentials', 'log', 'stats', 'metrics', 'traffic']) await tell(`GET ${at}/${part}`, { values })
  const login = { type: 'operating_system', username: 'admin' }
  await tell(`PUT ${at}/credentials`, { values, body: { ...login, password: 'x' } })
  await tell(`POST ${at}/credentials/reveal`, { values, body: login })

  await tell(`POST ${at}/snapshots`, { values, body: { name: 'before', withMemory: true } })
  const snapshot = { values: { ...values, snapshot: 'before' } }
  const isReady = async () => (await tell(`GET ${at}/snapshots/{snapshot}`, snapshot)).state === 'ready'
  await until('the snapshot', isReady)
  await tell(`GET ${at}/snapshots`, { values })
  await tell(`POST ${at}/snapshots/{snapshot}/rollback`, { ...snapshot, body: {} })
  await until('the rollback', isReady)
  await tell(`DELETE ${at}/snapshots/{snapshot}`, snapshot)
  await until('it to be gone', async () => (await tell(`GET ${at}/snapshots`, { values })).total === 0)

  const { backup } = await tell(`POST ${at}/backups`, { values, body: { label: 'walk' } })
  const ofBackup = { values: { id: backup.id } }
  await until('the backup', async () => (await tell(`GET ${V}/backups/{id}`, ofBackup)).state === 'completed')
  for (const list of ['backups', 'backup-usage']) await tell(`GET ${V}/${list}`)
  await tell(`GET ${V}/backups/{id}/download`, ofBackup)
  const { receipt } = await tell(`POST ${V}/backups/{id}/verify`, ofBackup)
  const ofReceipt = { values: { id: receipt.id } }
  await until('the receipt', async () => (await tell(`GET ${V}/receipts/{id}`, ofReceipt)).state !== 'running')
  await tell(`GET ${V}/backups/{id}/receipts`, ofBackup)
  // The simulator has no screen.
  await wire.db
    .updateTable('receipt')
    .set({ screenshot: Buffer.from('png') })
    .where('id', '=', receipt.id)
    .execute()
  await tell(`GET ${V}/receipts/{id}/screenshot`, ofReceipt)

  await tell(`GET ${at}/backup-policy`, { values })
  await tell(`PUT ${at}/backup-policy`, { values, body: { enabled: true, frequency: 'daily', retentionDays: 14 } })
  await tell(`DELETE ${at}/backup-policy`, { values })
  await tell(`PUT ${at}/rsync-account`, { values })
  await tell(`GET ${at}/rsync-account`, { values })
  await tell(`DELETE ${at}/rsync-account`, { values })

  await tell(`POST ${at}/reboot`, { values })
  await reaches('running')
  await tell(`POST ${at}/stop`, { values })
  await reaches('stopped')
  await tell(`POST ${V}/backups/{id}/restore`, ofBackup)
  await reaches('stopped')
  await tell(`DELETE ${V}/backups/{id}`, ofBackup)
  await tell(`POST ${at}/start`, { values })
  await reaches('running')
  await tell(`POST ${at}/rebuild`, { values, body: { imageId: 'debian-12' } })
  await reaches('running')
  const twin = await tell(`POST ${V}/instances`, { body: { name: 'walk' } })
  assert.equal((await ask(`GET ${at}`, { values: { id: 'walk' } })).status, 409)
  await tell(`DELETE ${at}`, { values: { id: twin.instance.id }, query: { purge: 'true' } })
  await tell(`DELETE ${at}`, { values })
}

const walkStorage = async ({ tell }: Teller) => {
  await tell(`GET ${V}/storage-tiers`)
  await tell(`GET ${V}/account/quota`)
  await tell(`GET ${V}/s3/credentials`)
  const bucket = await tell(`POST ${V}/buckets`, { body: { name: 'native-bucket' } })
  const values = { id: bucket.id }
  await tell(`GET ${V}/buckets`)
  await tell(`GET ${V}/buckets/{id}`, { values })
  await tell(`GET ${V}/buckets/{id}/usage`, { values })
  const key = await tell(`POST ${V}/access-keys`, {
    body: { name: 'walk', readOnly: true, buckets: ['native-bucket'] },
  })
  await tell(`GET ${V}/access-keys`)
  await tell(`GET ${V}/access-keys/{id}`, { values: { id: key.accessKeyId } })
  await tell(`DELETE ${V}/access-keys/{id}`, { values: { id: key.accessKeyId } })
  await tell(`DELETE ${V}/buckets/{id}`, { values })
}

/** On a cloud where nobody works, so nothing is really built. */
const walkImages = async ({ tell, ask }: Teller, { db, context }: Cloud) => {
  context.settings.compute = 'qemu'
  const nothing = { vcpus: 1, memoryMib: 1, diskBytes: 1, diskFreeBytes: 1, diskHighWater: 1, bootSlots: 1, facts: {} }
  await hosts.report(db, { ...nothing, id: newId('host'), name: 'idle', regionId: 'oslo', driver: 'qemu' })
  const values = { id: 'debian-12' }
  const I = `${V}/images/{id}`
  const headers = { 'content-type': 'application/octet-stream' }
  await tell(`PUT ${I}/upload`, { values: { id: 'rocky-9' }, raw: Buffer.from('an image'), headers })
  const part = { ...headers, 'content-range': 'bytes 5-1/10' }
  assert.equal((await ask(`PUT ${I}/upload`, { values, raw: 'x', headers: part })).status, 400)
  await tell(`POST ${I}/import`, { values: { id: 'rocky-9' }, body: { source: { kind: 'upload' }, format: 'raw' } })
  await tell(`POST ${I}/build`, { values })
  assert.equal((await ask(`DELETE ${I}`, { values })).status, 409)
  await tell(`DELETE ${I}`, { values: { id: 'ubuntu-24.04' } })
}

/** Of an account that can pay nothing. */
async function poorKey({ call }: Wire): Promise<string> {
  const email = `${newIdentity('account').uuid}@a.example`
  return (await call<{ apiKey: string }>('POST', `${V}/accounts`, { email, creditMinor: 0 })).body.apiKey
}

const untilNumber = (wire: Wire, number: number, state: Parameters<typeof untilState>[2]) =>
  untilState(wire, String(number), state)

const WALKS: Record<string, Walk> = {
  native: walkNative,
  wayscloud: walkWayscloud,
  vpsorg: walkVpsorg,
  leaseweb: walkLeaseweb,
}

/** Said of every change that a rule or a state can forbid; not each of them is brought there here. */
const OFTEN: Record<string, readonly number[]> = { native: [409], wayscloud: [400, 409], vpsorg: [], leaseweb: [] }
/** It asks nothing of the database that could fail. */
const NEVER_FAILS = ['GET /storage/s3']

/** One that nobody knows, and two of which each call is forbidden to one at least. */
async function keysOfStrangers({ call }: Cloud): Promise<string[]> {
  const keys = [newKeyText('vps').text]
  for (const scope of ['images:read', 'instances:read']) {
    const wish = { name: scope, scopes: [scope] }
    keys.push((await call<{ apiKey: string }>('POST', `${V}/keys`, wish)).body.apiKey)
  }
  return keys
}

describe('every answer is as its document says', () => {
  const suite = wireOfSuite({ env: { HAVN_RSYNC_LISTEN: '127.0.0.1:1' } })
  for (const [dialect, walk] of Object.entries(WALKS)) {
    test(dialect, async (t) => {
      const wire = suite()
      const document = await published(wire.apiUrl, dialect)
      const told = teller(wire.apiUrl, document, HEADER[dialect]!, wire.ownerKey)
      await walk(told, wire)
      const idle =
        dialect === 'native'
          ? await startCloud(t, { withoutWorker: true, env: { HAVN_RATE_FAILED_LOGINS: '100000' } })
          : null
      const ofImages = idle && teller(idle.apiUrl, document, HEADER[dialect]!, idle.ownerKey)
      if (idle) await walkImages(ofImages!, idle)
      const all = [...document.operations.values()]
      assert.deepEqual(
        all.filter(({ example }) => example === null).map(({ name }) => name),
        [],
        'not walked',
      )

      const strangers = await keysOfStrangers(wire)
      const ofIdle = idle ? await keysOfStrangers(idle) : []
      for (const operation of all) {
        const isIdle = operation.path.includes('/images/')
        await refuseAll(isIdle ? ofImages! : told, document, operation, isIdle ? ofIdle : strangers)
      }
      await refuseBroken(t, document, new TypeError('a bug'), {})
      await refuseBroken(t, document, Object.assign(new Error('gone'), { code: '57P01' }), {})
      await refuseBroken(t, document, new TypeError('a bug'), { perKey: 1e-9, perKeyBurst: 1 })

      for (const { name, statuses, seen } of all) {
        const unseen = statuses.filter((status) => !seen.has(status) && !OFTEN[dialect]!.includes(status))
        const expected = NEVER_FAILS.includes(name) ? [500, 503] : []
        assert.deepEqual(unseen, expected, `${name}: documented and never answered`)
      }
    })
  }
})

/** Everything that can be wrong with any call. */
async function refuseAll(
  { ask }: Teller,
  { operations }: Published,
  at: PublishedOperation,
  keys: readonly string[],
): Promise<void> {
  const { name, method, operation, needsKey } = at
  const { values: gone = {}, ...example } = at.example!
  // What was deleted is not there: nothing but that would be said.
  const values = operations.get(`GET ${at.path}`)?.example?.values ?? gone
  for (const key of needsKey ? [null, ...keys] : []) await ask(name, { ...example, values, key })
  const unknown = Object.fromEntries(Object.keys(values).map((part) => [part, '999999']))
  if (Object.keys(values).length > 0) await ask(name, { ...example, values: unknown })
  for (const part of Object.keys(values)) await ask(name, { ...example, values: { ...values, [part]: 'no such' } })
  for (const { in: where, name: field } of operation.parameters ?? []) {
    if (where !== 'query') continue
    await ask(name, { ...example, values, query: { [field]: '☃' } })
    const twice: [string, string][] = [
      [field, '1'],
      [field, '2'],
    ]
    await ask(name, { ...example, values, query: twice })
  }
  if (method === 'GET' || example.raw !== undefined) return
  const json = { 'content-type': 'application/json' }
  await ask(name, { values, raw: '{', headers: json })
  if (operation.requestBody) await ask(name, { values, raw: '[]', headers: json })
  await ask(name, { values, raw: '{}', headers: { 'content-type': 'text/plain' } })
  await ask(name, { values, raw: ' '.repeat(BODY_BYTES_MAX + 1), headers: json })
  if (method === 'POST') await ask(name, { ...example, values, headers: { 'idempotency-key': 'é' } })
}

/** All of the same calls, on a server whose every look into the database fails. */
async function refuseBroken(t: TestContext, document: Published, error: Error, limits: Partial<Limits>): Promise<void> {
  const fail = () => {
    throw error
  }
  const nothing = async () => {}
  const principal = {
    accountId: 'acct_1',
    apiKeyId: 'key_1',
    email: 'a@a.example',
    scopes: new Set(SCOPES),
  } as Principal
  const app = createApi(
    {
      db: new Proxy({}, { get: () => fail }) as never,
      settings: { rsync: null, s3Url: 'http://s3.example', s3Region: 'r' } as never,
      compute: {} as never,
      limits: { perKey: 1e6, perKeyBurst: 1e6, createsPerKey: 1e6, failedLoginsPerMinute: 1e6, ...limits },
      access: { authenticate: async () => principal, touch: nothing },
      records: { claim: fail, keep: nothing, audit: nothing },
    },
    [native(), wayscloud(), vpsorg(), leaseweb()],
  )
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  t.after(() => app.close())
  const { ask } = teller(url, document, HEADER[document.dialect]!, 'any')
  const all = [...document.operations.values()]
  // Twice: no limit forbids the first of all calls.
  for (const { name, example } of [...all, ...all]) await ask(name, { ...example, headers: {} })
}
