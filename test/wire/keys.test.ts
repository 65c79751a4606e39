/**
 * Every route x every kind of key. A route that is not in the table fails the suite: nobody adds one without saying who
 * may call it.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { healthRoutes } from '../../src/dialects/http/health.ts'
import { createMetrics } from '../../src/dialects/http/metrics.ts'
import { leaseweb } from '../../src/dialects/leaseweb/dialect.ts'
import { native } from '../../src/dialects/native/dialect.ts'
import { vpsorg } from '../../src/dialects/vpsorg/dialect.ts'
import { wayscloud } from '../../src/dialects/wayscloud/dialect.ts'
import { census, startWire, until, type Wire } from './wire.ts'

/** The statuses for: no key, a wrong key, a read-only key of the owner, an expired key, a key of another account. */
type Row = readonly [none: number, wrong: number, reader: number, expired: number, other: number]
const OPEN: Row = [200, 200, 200, 200, 200]
/** A list of the caller's own things. */
const LIST: Row = [401, 401, 200, 401, 200]
/** A thing of the owner's. */
const READ: Row = [401, 401, 200, 401, 404]
const WRITE: Row = [401, 401, 403, 401, 404]
/** Makes something for whoever calls. */
const MAKE: Row = [401, 401, 403, 401, 201]
/** The caller's own secret: a key that only reads could not have made it. */
const SECRET: Row = [401, 401, 403, 401, 200]
const OPERATOR: Row = [401, 401, 403, 401, 403]
/** Leaseweb answers a key that nobody knows like one that may not. */
const leasewebRow = ([none, , reader, , other]: Row): Row => [none, 403, reader, 403, other]
const LSW_LIST = leasewebRow(LIST)
const LSW_READ = leasewebRow(READ)
const LSW_WRITE = leasewebRow(WRITE)

const TABLE: Record<string, Row> = {
  'GET /healthz': OPEN,
  'GET /readyz': OPEN,
  'GET /metrics': OPEN, // from this machine; from elsewhere see below

  'GET /havn/v1/instances': LIST,
  'POST /havn/v1/instances': MAKE,
  'GET /havn/v1/instances/{id}': READ,
  'PATCH /havn/v1/instances/{id}': WRITE,
  'DELETE /havn/v1/instances/{id}': WRITE,
  'POST /havn/v1/instances/{id}/start': WRITE,
  'POST /havn/v1/instances/{id}/stop': WRITE,
  'POST /havn/v1/instances/{id}/reboot': WRITE,
  'POST /havn/v1/instances/{id}/rebuild': WRITE,
  'GET /havn/v1/instances/{id}/credentials': READ,
  'PUT /havn/v1/instances/{id}/credentials': WRITE,
  'POST /havn/v1/instances/{id}/credentials/reveal': WRITE,
  'GET /havn/v1/instances/{id}/log': READ,
  'GET /havn/v1/instances/{id}/stats': READ,
  'GET /havn/v1/instances/{id}/metrics': READ,
  'GET /havn/v1/instances/{id}/traffic': READ,
  'GET /havn/v1/instances/{id}/snapshots': READ,
  'POST /havn/v1/instances/{id}/snapshots': WRITE,
  'GET /havn/v1/instances/{id}/snapshots/{snapshot}': READ,
  'DELETE /havn/v1/instances/{id}/snapshots/{snapshot}': WRITE,
  'POST /havn/v1/instances/{id}/snapshots/{snapshot}/rollback': WRITE,
  'POST /havn/v1/instances/{id}/backups': WRITE,
  'GET /havn/v1/instances/{id}/backup-policy': READ,
  'PUT /havn/v1/instances/{id}/backup-policy': WRITE,
  'DELETE /havn/v1/instances/{id}/backup-policy': WRITE,
  'GET /havn/v1/instances/{id}/rsync-account': WRITE, // it tells a secret
  'PUT /havn/v1/instances/{id}/rsync-account': WRITE,
  'DELETE /havn/v1/instances/{id}/rsync-account': WRITE,
  'GET /havn/v1/backups': LIST,
  'GET /havn/v1/backups/{id}': READ,
  'DELETE /havn/v1/backups/{id}': WRITE,
  'POST /havn/v1/backups/{id}/restore': WRITE,
  'GET /havn/v1/backups/{id}/download': READ,
  'POST /havn/v1/backups/{id}/verify': WRITE,
  'GET /havn/v1/backups/{id}/receipts': READ,
  'GET /havn/v1/receipts/{id}': READ,
  'GET /havn/v1/receipts/{id}/screenshot': READ,
  'GET /havn/v1/backup-usage': LIST,
  'GET /havn/v1/operations': LIST,
  'GET /havn/v1/operations/{id}': READ,
  'GET /havn/v1/regions': LIST,
  'GET /havn/v1/plans': LIST,
  'GET /havn/v1/images': LIST,
  'POST /havn/v1/images/{id}/build': OPERATOR,
  'POST /havn/v1/images/{id}/import': OPERATOR,
  'PUT /havn/v1/images/{id}/upload': OPERATOR,
  'DELETE /havn/v1/images/{id}': OPERATOR,
  'GET /havn/v1/status': LIST,
  'GET /havn/v1/events': LIST,
  'GET /havn/v1/account': LIST,
  'GET /havn/v1/account/credit': LIST,
  'GET /havn/v1/accounts/{id}/credit': OPERATOR,
  'PUT /havn/v1/accounts/{id}/credit': OPERATOR,
  'GET /havn/v1/ssh-keys': LIST,
  'POST /havn/v1/ssh-keys': MAKE,
  'DELETE /havn/v1/ssh-keys/{id}': WRITE,
  'GET /havn/v1/keys': LIST,
  'POST /havn/v1/keys': MAKE,
  'DELETE /havn/v1/keys/{id}': WRITE,
  'GET /havn/v1/buckets': LIST,
  'POST /havn/v1/buckets': MAKE,
  'GET /havn/v1/buckets/{id}': READ,
  'DELETE /havn/v1/buckets/{id}': WRITE,
  'GET /havn/v1/buckets/{id}/usage': READ,
  'GET /havn/v1/storage-tiers': LIST,
  'GET /havn/v1/access-keys': LIST,
  'POST /havn/v1/access-keys': MAKE,
  'GET /havn/v1/access-keys/{id}': WRITE, // it tells a secret
  'DELETE /havn/v1/access-keys/{id}': WRITE,
  'GET /havn/v1/s3/credentials': SECRET,
  'GET /havn/v1/account/quota': LIST,
  'GET /havn/v1/accounts/{id}/quota': OPERATOR,
  'PATCH /havn/v1/accounts/{id}/quota': OPERATOR,
  'GET /havn/v1/audit': LIST,
  'GET /havn/v1/hosts': OPERATOR,
  'GET /havn/v1/incidents': OPERATOR,
  'POST /havn/v1/incidents/{id}/recover': OPERATOR,
  'GET /havn/v1/accounts': OPERATOR,
  'POST /havn/v1/accounts': OPERATOR,

  'GET /v1/vps': LIST,
  'POST /v1/vps': MAKE,
  'GET /v1/vps/plans': LIST,
  'GET /v1/vps/plans/region/{region}': LIST,
  'GET /v1/vps/os-templates': LIST,
  'GET /v1/vps/regions': LIST,
  'GET /v1/vps/{vps_id}': READ,
  'GET /v1/vps/{vps_id}/status': READ,
  'GET /v1/vps/{vps_id}/snapshots': READ,
  'POST /v1/vps/{vps_id}/snapshots': WRITE,
  'DELETE /v1/vps/{vps_id}/snapshots/{snapshot_name}': WRITE,
  'POST /v1/vps/{vps_id}/snapshots/{snapshot_name}/rollback': WRITE,
  'GET /v1/vps/{vps_id}/backups': READ,
  'POST /v1/vps/{vps_id}/backups': WRITE,
  'DELETE /v1/vps/{vps_id}/backups/{backup_id}': WRITE,
  'POST /v1/vps/{vps_id}/backups/{backup_id}/restore': WRITE,
  'GET /v1/vps/{vps_id}/backups/{backup_id}/download': READ,
  'GET /v1/vps/{vps_id}/backup-usage': READ,
  'GET /v1/vps/{vps_id}/backup-policy': READ,
  'PUT /v1/vps/{vps_id}/backup-policy': WRITE,
  'DELETE /v1/vps/{vps_id}/backup-policy': WRITE,
  'POST /v1/vps/{vps_id}/start': WRITE,
  'POST /v1/vps/{vps_id}/stop': WRITE,
  'POST /v1/vps/{vps_id}/reboot': WRITE,
  'DELETE /v1/vps/{vps_id}': WRITE,
  'PATCH /v1/vps/{vps_id}': WRITE,
  'GET /v1/regions': OPEN,
  'GET /v1/regions/{code}': OPEN,
  'GET /api/v1/dashboard/account/profile': LIST,

  'GET /v1/storage/buckets': LIST,
  'POST /v1/storage/buckets': MAKE,
  'GET /v1/storage/buckets/{bucket_name}': READ,
  'DELETE /v1/storage/buckets/{bucket_name}': WRITE,
  'GET /v1/storage/credentials': SECRET,
  'GET /v1/storage/tiers': LIST,
  'GET /v1/storage/buckets/{bucket_name}/keys': READ,
  'POST /v1/storage/buckets/{bucket_name}/keys': WRITE,
  'DELETE /v1/storage/buckets/{bucket_name}/keys/{key_id}': WRITE,
  'GET /storage/s3': LIST,

  'GET /api/v1/servers/': LIST,
  'POST /api/v1/servers/': MAKE,
  'GET /api/v1/servers/{server_id}/': READ,
  'PUT /api/v1/servers/{server_id}/': WRITE,
  'PATCH /api/v1/servers/{server_id}/': WRITE,
  'DELETE /api/v1/servers/{server_id}/': WRITE,
  'POST /api/v1/servers/{server_id}/start/': WRITE,
  'POST /api/v1/servers/{server_id}/stop/': WRITE,
  'POST /api/v1/servers/{server_id}/reboot/': WRITE,

  'GET /cloud/v2/virtualServers': LSW_LIST,
  'GET /cloud/v2/virtualServers/{virtualServerId}': LSW_READ,
  'PUT /cloud/v2/virtualServers/{virtualServerId}': LSW_WRITE,
  'POST /cloud/v2/virtualServers/{virtualServerId}/powerOn': LSW_WRITE,
  'POST /cloud/v2/virtualServers/{virtualServerId}/powerOff': LSW_WRITE,
  'POST /cloud/v2/virtualServers/{virtualServerId}/reboot': LSW_WRITE,
  'GET /cloud/v2/virtualServers/{virtualServerId}/templates': LSW_READ,
  'POST /cloud/v2/virtualServers/{virtualServerId}/reinstall': LSW_WRITE,
  'PUT /cloud/v2/virtualServers/{virtualServerId}/credentials': LSW_WRITE,
  'GET /cloud/v2/virtualServers/{virtualServerId}/credentials/{credentialType}': LSW_READ,
  'GET /cloud/v2/virtualServers/{virtualServerId}/credentials/{credentialType}/{username}': LSW_WRITE, // it tells a secret
  'GET /cloud/v2/virtualServers/{virtualServerId}/metrics/datatraffic': LSW_READ,
  'GET /cloud/v2/virtualServers/{virtualServerId}/snapshots': LSW_READ,
  'POST /cloud/v2/virtualServers/{virtualServerId}/snapshots': LSW_WRITE,
  'GET /cloud/v2/virtualServers/{virtualServerId}/snapshots/{snapshotId}': LSW_READ,
  'DELETE /cloud/v2/virtualServers/{virtualServerId}/snapshots/{snapshotId}': LSW_WRITE,
  'POST /cloud/v2/virtualServers/{virtualServerId}/snapshots/{snapshotId}/restore': LSW_WRITE,
}

const SSH_KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3Q5rT8nN3yYkqV0o1mXb2c4d5e6f7g8h9i0jKLMNOP'
const BODIES: Record<string, unknown> = {
  'POST /havn/v1/instances': { name: 'theirs' },
  'PATCH /havn/v1/instances/{id}': { name: 'stolen' },
  'POST /havn/v1/images/{id}/import': { source: { kind: 'upload' } },
  'POST /havn/v1/keys': { name: 'theirs' },
  'POST /havn/v1/ssh-keys': { name: 'theirs', publicKey: SSH_KEY },
  'PUT /havn/v1/accounts/{id}/credit': { creditMinor: 1 },
  'POST /havn/v1/accounts': { email: 'third@example.net' },
  'POST /v1/vps': { hostname: 'theirs', plan_code: 'vps-2gb-1cpu', region: 'oslo', os_template: 'debian-12' },
  'PATCH /v1/vps/{vps_id}': { display_name: 'stolen' },
  'POST /havn/v1/buckets': { name: 'their-bucket' },
  'POST /havn/v1/access-keys': { name: 'theirs' },
  'PATCH /havn/v1/accounts/{id}/quota': { bytes: 1 },
  'POST /v1/storage/buckets': { bucket_name: 'their-other-bucket' },
  'POST /v1/storage/buckets/{bucket_name}/keys': { name: 'stolen' },
  'POST /havn/v1/instances/{id}/snapshots': { name: 'stolen' },
  'POST /havn/v1/instances/{id}/snapshots/{snapshot}/rollback': {},
  'POST /havn/v1/instances/{id}/backups': {},
  'PUT /havn/v1/instances/{id}/backup-policy': { enabled: true },
  'POST /v1/vps/{vps_id}/snapshots': { name: 'stolen' },
  'PUT /v1/vps/{vps_id}/backup-policy': { enabled: true },
  'POST /api/v1/servers/': { name: 'theirs', plan_id: 1, os_id: 3, location: 'us-west' },
  'PUT /api/v1/servers/{server_id}/': { name: 'stolen', hostname: 'stolen', backups_enabled: true },
  'PATCH /api/v1/servers/{server_id}/': { name: 'stolen' },
  'PUT /cloud/v2/virtualServers/{virtualServerId}': { reference: 'stolen' },
  'POST /cloud/v2/virtualServers/{virtualServerId}/reinstall': { operatingSystemId: 'DEBIAN_12_64' },
  'PUT /cloud/v2/virtualServers/{virtualServerId}/credentials': {
    username: 'root',
    password: 'stolen',
    type: 'OPERATING_SYSTEM',
  },
  'POST /cloud/v2/virtualServers/{virtualServerId}/snapshots': { name: 'stolen' },
  'POST /havn/v1/instances/{id}/rebuild': { imageId: 'debian-12' },
  'PUT /havn/v1/instances/{id}/credentials': { type: 'operating_system', username: 'root', password: 'stolen' },
  'POST /havn/v1/instances/{id}/credentials/reveal': { type: 'operating_system', username: 'root' },
}

const dialects = [native(), wayscloud(), vpsorg(), leaseweb()]
const routes = [...healthRoutes(createMetrics()), ...dialects.flatMap(({ routes }) => routes)]
const nameOf = ({ method, path }: { method: string; path: string }) => `${method} ${path}`

async function ownersSnapshot({ call, instance }: Pick<Wire, 'call' | 'instance'>): Promise<{ uuid: string }> {
  const path = `/cloud/v2/virtualServers/${instance.number}/snapshots`
  assert.equal((await call('POST', path, { name: 'owners' })).status, 202)
  return until('the snapshot to be ready', async () => {
    const { body } = await call<{ snapshots: { id: string; state: string }[] }>('GET', path)
    const [one] = body.snapshots
    return one?.state === 'READY' && { uuid: one.id }
  })
}

describe('who may call what', () => {
  test('every route is in the table, and nothing else', () => {
    assert.deepEqual(routes.map(nameOf).sort(), Object.keys(TABLE).sort())
  })

  test('no key, wrong key, read-only key, expired key, key of another account', async (t) => {
    const { apiUrl, keys, instance, call, ...cloud } = await startWire(t)
    const operations = await call<{ items: { id: string }[] }>('GET', `/havn/v1/operations?resourceId=${instance.id}`)
    const ownKeys = await call<{ items: { id: string; name: string }[] }>('GET', '/havn/v1/keys')
    const bucket = await call<{ id: string; name: string }>('POST', '/havn/v1/buckets', { name: 'owners-bucket' })
    const snapshot = await ownersSnapshot({ call, instance })
    const sshKey = await call<{ id: string }>('POST', '/havn/v1/ssh-keys', { name: 'owner', publicKey: SSH_KEY })
    const ofInstance = `/havn/v1/instances/${instance.id}`
    await call('POST', `${ofInstance}/snapshots`, { name: 'kept' })
    await until('the snapshot', async () => {
      const { body } = await call<{ state: string }>('GET', `${ofInstance}/snapshots/kept`)
      return body.state === 'ready'
    })
    const backup = await call<{ backup: { id: string; shortId: string } }>('POST', `${ofInstance}/backups`, {})
    await until('the backup', async () => {
      const { body } = await call<{ state: string }>('GET', `/havn/v1/backups/${backup.body.backup.id}`)
      return body.state === 'completed'
    })
    const proof = `/havn/v1/backups/${backup.body.backup.id}/verify`
    const receipt = await call<{ receipt: { id: string } }>('POST', proof)
    await until('the receipt', async () => {
      const { body } = await call<{ state: string; hasScreenshot: boolean }>(
        'GET',
        `/havn/v1/receipts/${receipt.body.receipt.id}`,
      )
      return body.state !== 'running'
    })
    const idOf = (path: string): string => {
      if (path.includes('/backups/{id}')) return backup.body.backup.id
      if (path.includes('/receipts/')) return receipt.body.receipt.id
      if (path.includes('/ssh-keys/')) return sshKey.body.id
      if (path.includes('/operations/')) return operations.body.items[0]!.id
      if (path.includes('/keys/')) return ownKeys.body.items.find(({ name }) => name === 'storage')!.id
      if (path.includes('/images/')) return 'debian-12'
      if (path.includes('/buckets/')) return bucket.body.id
      if (path.includes('/access-keys/')) return cloud.credentials.s3AccessKeyId
      return path.includes('/incidents/') ? '10001' : instance.id
    }
    const knock = async (route: string, key: string | null): Promise<{ status: number; text: string }> => {
      const [method, path] = route.split(' ') as [string, string]
      const values: Record<string, string> = {
        id: idOf(path),
        vps_id: instance.uuid,
        server_id: String(instance.number),
        virtualServerId: String(instance.number),
        credentialType: 'OPERATING_SYSTEM',
        username: 'root',
        snapshotId: snapshot.uuid,
        region: 'oslo',
        code: 'oslo',
        bucket_name: bucket.body.name,
        key_id: cloud.credentials.s3AccessKeyId,
        snapshot: 'kept',
        snapshot_name: 'kept',
        backup_id: backup.body.backup.shortId,
      }
      const body = BODIES[route]
      const stop = new AbortController()
      const response = await fetch(apiUrl + path.replaceAll(/\{(\w+)\}/g, (_, name) => values[name]!), {
        method,
        headers: {
          ...(key && { 'x-api-key': key, authorization: `Bearer ${key}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        signal: stop.signal,
      })
      if (response.headers.get('content-type') === 'text/event-stream') {
        stop.abort()
        return { status: response.status, text: '' }
      }
      return { status: response.status, text: await response.text() }
    }
    const before = await census(cloud.db)
    for (const [route, [none, wrong, reader, expired, other]] of Object.entries(TABLE)) {
      const told: [string, string | null, number][] = [
        ['no key', null, none],
        ['wrong key', keys.wrong, wrong],
        ['read-only key', keys.reader, reader],
        ['expired key', keys.expired, expired],
        ["another account's key", keys.other, other],
      ]
      for (const [who, key, expected] of told) {
        const { status, text } = await knock(route, key)
        assert.equal(status, expected, `${route} with ${who}: ${text.slice(0, 300)}`)
        // The record of their own calls holds what they asked for.
        if (key === keys.other && !route.includes('/audit')) {
          for (const secret of [
            instance.id,
            instance.uuid,
            instance.ipv4!,
            'owner@',
            'owners-bucket',
            cloud.credentials.s3AccessKeyId,
          ]) {
            assert.ok(!text.includes(secret) || status === 404, `${route} tells another account of ${secret}`)
          }
        }
      }
    }
    const after = await call<typeof instance>('GET', `/havn/v1/instances/${instance.id}`)
    assert.deepEqual(after.body, instance, 'the instance is as it was')
    assert.equal((await census(cloud.db)).account, before.account)
  })

  test('a key of another service opens nothing here, and neither does a proxy on this machine', async (t) => {
    const { apiUrl, keys, call } = await startWire(t)
    for (const path of ['/v1/vps', '/v1/vps/plans', '/havn/v1/instances', '/havn/v1/events']) {
      assert.equal((await call('GET', path, undefined, keys.storage)).status, 403, path)
    }
    const vps = await call<{ apiKey: string }>('POST', '/havn/v1/keys', { name: 'vps', service: 'vps' })
    for (const path of ['/v1/storage/buckets', '/v1/storage/credentials', '/storage/s3', '/havn/v1/buckets']) {
      assert.equal((await call('GET', path, undefined, keys.storage)).status, 200, path)
      assert.equal((await call('GET', path, undefined, vps.body.apiKey)).status, 403, path)
    }
    const metrics = (headers: Record<string, string>) => fetch(`${apiUrl}/metrics`, { headers })
    assert.equal((await metrics({ 'x-forwarded-for': '203.0.113.9' })).status, 401)
    assert.equal((await metrics({ 'x-forwarded-for': '203.0.113.9', 'x-api-key': keys.reader })).status, 403)
    assert.equal((await metrics({ 'x-forwarded-for': '203.0.113.9', 'x-api-key': keys.owner })).status, 200)
  })

  test("an operator's view opens on `all=true` in the native API, and nowhere else", async (t) => {
    const { keys, instance, call } = await startWire(t)
    const theirs = await call<{ instance: { id: string; uuid: string } }>(
      'POST',
      '/havn/v1/instances',
      { name: 'theirs' },
      keys.other,
    )
    const { id, uuid } = theirs.body.instance
    const names = async (path: string, key?: string) =>
      (await call<{ items: { id: string }[] }>('GET', path, undefined, key)).body.items.map((item) => item.id)
    assert.deepEqual(await names('/havn/v1/instances'), [instance.id])
    assert.deepEqual((await names('/havn/v1/instances?all=true')).sort(), [instance.id, id].sort())
    assert.equal((await call('GET', '/havn/v1/instances?all=true', undefined, keys.other)).status, 403)
    assert.equal((await call('GET', `/havn/v1/instances/${id}`)).status, 200)
    assert.equal((await call('GET', `/v1/vps/${uuid}`)).status, 404, 'a provider dialect keeps to the own account')
  })

  test('a revoked key is dead at once', async (t) => {
    const { call } = await startWire(t)
    const { body } = await call<{ key: { id: string }; apiKey: string }>('POST', '/havn/v1/keys', { name: 'short' })
    assert.equal((await call('GET', '/v1/vps', undefined, body.apiKey)).status, 200)
    assert.equal((await call('DELETE', `/havn/v1/keys/${body.key.id}`)).status, 200)
    await until(
      'the key to be refused',
      async () => (await call('GET', '/v1/vps', undefined, body.apiKey)).status === 401,
    )
  })
})
