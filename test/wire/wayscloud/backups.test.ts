/**
 * The curl lines of WAYSCloud's published page about snapshots and backups, as they are printed there; only host, key
 * and ids are put in. Then what its clients call them, and every refusal.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { until, untilState, type Wire, wireOfSuite } from '../wire.ts'

const KEY = 'wayscloud_vps_abc12_YOUR_SECRET'
const VPS = 'https://api.wayscloud.services/v1/vps/{vps_id}'
const H = `-H "X-API-Key: ${KEY}"`
const LINES = {
  snapshots: `curl ${VPS}/snapshots \\
  ${H}`,
  createSnapshot: `curl -X POST ${VPS}/snapshots \\
  ${H} \\
  -H "Content-Type: application/json" \\
  -d '{"name": "before-upgrade", "description": "Snapshot before OS upgrade"}'`,
  deleteSnapshot: `curl -X DELETE ${VPS}/snapshots/before-upgrade \\
  ${H}`,
  rollback: `curl -X POST ${VPS}/snapshots/before-upgrade/rollback \\
  ${H}`,
  backups: `curl ${VPS}/backups \\
  ${H}`,
  createBackup: `curl -X POST ${VPS}/backups \\
  ${H}`,
  deleteBackup: `curl -X DELETE ${VPS}/backups/bk-a1b2c3d4 \\
  ${H}`,
  restore: `curl -X POST ${VPS}/backups/bk-a1b2c3d4/restore \\
  ${H}`,
  download: `curl ${VPS}/backups/bk-a1b2c3d4/download \\
  ${H}`,
  policy: `curl ${VPS}/backup-policy \\
  ${H}`,
  setPolicy: `curl -X PUT ${VPS}/backup-policy \\
  ${H} \\
  -H "Content-Type: application/json" \\
  -d '{"enabled": true, "frequency": "daily", "time": "02:00", "retention_days": 14}'`,
  usage: `curl ${VPS}/backup-usage \\
  ${H}`,
}

// biome-ignore lint/suspicious/noExplicitAny: what comes is what is looked at
type Json = any
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/

describe('snapshots and backups in the words of WAYSCloud', () => {
  const suite = wireOfSuite()
  let wire: Wire
  let key: string
  let backupId = 'bk-a1b2c3d4'
  before(async () => {
    wire = suite()
    const made = await wire.call<{ apiKey: string }>('POST', '/havn/v1/keys', { name: 'vps', service: 'vps' })
    key = made.body.apiKey
  })

  async function run(line: string): Promise<{ status: number; json: Json }> {
    const command = line
      .replaceAll('https://api.wayscloud.services', wire.apiUrl)
      .replaceAll(KEY, key)
      .replaceAll('{vps_id}', wire.instance.uuid)
      .replaceAll('bk-a1b2c3d4', backupId)
    const { stdout } = await promisify(execFile)('sh', ['-c', `${command} -s -w '\\n%{http_code}'`])
    const at = stdout.lastIndexOf('\n')
    return { status: Number(stdout.slice(at + 1)), json: JSON.parse(stdout.slice(0, at)) }
  }
  const at = (path: string) => `/v1/vps/${wire.instance.uuid}/${path}`
  const call = async (method: string, path: string, body?: unknown, as = key) => {
    const { status, body: json } = await wire.call<Json>(method, at(path), body, as)
    return [status, json] as const
  }
  async function refuses(status: number, method: string, path: string, body?: unknown, as = key): Promise<Json> {
    const [found, json] = await call(method, path, body, as)
    assert.equal(found, status, `${method} ${path}: ${JSON.stringify(json)}`)
    if (status !== 422) assert.equal(typeof json.detail, 'string')
    return json.detail
  }
  async function power(action: 'start' | 'stop', state: 'running' | 'stopped'): Promise<void> {
    assert.equal((await call('POST', action))[0], 200)
    await untilState(wire, wire.instance.id, state)
  }

  test('snapshots need a stopped VPS', async () => {
    await refuses(409, 'POST', 'snapshots', { name: 'early' })
    assert.deepEqual((await run(LINES.snapshots)).json, { snapshots: [], total: 0, max_snapshots: 10 })
    await power('stop', 'stopped')
  })

  test('create, list, roll back, delete: done when they answer', async () => {
    wire.simulator.write(wire.instance.id as `inst_${string}`, 'then')
    assert.deepEqual(await run(LINES.createSnapshot), {
      status: 200,
      json: { status: 'created', snapshot_name: 'before-upgrade' },
    })
    const { json } = await run(LINES.snapshots)
    const [{ created_at, size_bytes, ...item }] = json.snapshots
    assert.match(created_at, TIME)
    assert.equal(size_bytes, 4)
    assert.deepEqual(item, {
      name: 'before-upgrade',
      description: 'Snapshot before OS upgrade',
      snapshot_name: 'before-upgrade',
      status: 'completed',
    })
    wire.simulator.write(wire.instance.id as `inst_${string}`, 'now')
    const back = await run(LINES.rollback)
    assert.deepEqual([back.status, back.json.status, back.json.snapshot_name], [200, 'rolling_back', 'before-upgrade'])
    assert.equal(typeof back.json.message, 'string')
    assert.equal(wire.simulator.read(wire.instance.id as `inst_${string}`), 'then')
    const [, vps] = await call('GET', '')
    assert.deepEqual([vps.status, vps.snapshot_supported], ['stopped', true])
    assert.deepEqual(await run(LINES.deleteSnapshot), {
      status: 200,
      json: { status: 'deleted', snapshot_name: 'before-upgrade' },
    })
    assert.equal((await run(LINES.snapshots)).json.total, 0)
    await refuses(404, 'DELETE', 'snapshots/before-upgrade')
    await refuses(404, 'POST', 'snapshots/before-upgrade/rollback')
  })

  test('a repeat with the same key waits like the first, and answers the same', async () => {
    const headers = { 'x-api-key': key, 'content-type': 'application/json', 'idempotency-key': 'once' }
    const body = JSON.stringify({ name: 'once' })
    const url = `${wire.apiUrl}${at('snapshots')}`
    const answers = await Promise.all([1, 2].map(() => fetch(url, { method: 'POST', headers, body })))
    answers.push(await fetch(url, { method: 'POST', headers, body }))
    for (const answer of answers) {
      assert.deepEqual([answer.status, await answer.json()], [200, { status: 'created', snapshot_name: 'once' }])
    }
    const replays = answers.map((answer) => answer.headers.get('idempotent-replayed'))
    assert.deepEqual(replays.filter(Boolean), ['true', 'true'])
    assert.equal((await call('DELETE', 'snapshots/once'))[0], 200)
  })

  test('names: both spellings of the field, cleaned, found again as they were written', async () => {
    assert.deepEqual(await call('POST', 'snapshots', { snapshot_name: 'før oppgradering!', description: null }), [
      200,
      { status: 'created', snapshot_name: 'f_r_oppgradering_' },
    ])
    await refuses(409, 'POST', 'snapshots', { name: 'f_r_oppgradering_' })
    assert.deepEqual(await call('DELETE', `snapshots/${encodeURIComponent('før oppgradering!')}`), [
      200,
      { status: 'deleted', snapshot_name: 'f_r_oppgradering_' },
    ])
    // A number is a name here, not the number of another snapshot.
    assert.equal((await call('POST', 'snapshots', { name: '10001' }))[0], 200)
    assert.deepEqual((await call('DELETE', 'snapshots/10001'))[1].snapshot_name, '10001')
    for (const body of [{}, { name: '' }, { name: 'x'.repeat(65) }, { name: 7 }, { description: 'nameless' }]) {
      const detail = await refuses(422, 'POST', 'snapshots', body)
      assert.equal(detail[0].loc[0], 'body')
    }
    assert.equal((await refuses(422, 'POST', 'snapshots', {}))[0].type, 'missing')
  })

  test('ten at most', { timeout: 120_000 }, async () => {
    for (let count = 0; count < 10; count++) {
      assert.equal((await call('POST', 'snapshots', { name: `s${count}` }))[0], 200)
    }
    await refuses(409, 'POST', 'snapshots', { name: 's10' })
    assert.equal((await call('GET', 'snapshots'))[1].total, 10)
    await refuses(404, 'GET', 'snapshots', undefined, wire.keys.other)
    await refuses(404, 'DELETE', 'snapshots/s1', undefined, wire.keys.other)
    await power('start', 'running')
    await refuses(409, 'POST', 'snapshots/s1/rollback')
    assert.equal((await call('DELETE', 'snapshots/s1'))[0], 200, 'in any state')
  })

  test('what could not be done is not answered as done', async () => {
    await power('stop', 'stopped')
    const { CloudError } = await import('../../../src/model/errors.ts')
    wire.simulator.fault({
      verb: 'rollbackToSnapshot',
      when: 'before',
      error: new CloudError('conflict', 'the disk is damaged'),
    })
    assert.equal(await refuses(409, 'POST', 'snapshots/s2/rollback'), 'the disk is damaged')
    const { snapshots } = (await call('GET', 'snapshots'))[1]
    assert.equal(snapshots.find(({ name }: Json) => name === 's2').status, 'completed')
    await power('start', 'running')
  })

  test('a backup of a running VPS: started, then completed', { timeout: 120_000 }, async () => {
    assert.deepEqual((await run(LINES.usage)).json, {
      total_backups: 0,
      total_size_bytes: 0,
      total_size_human: '0.0 B',
      total_size_gb: 0,
    })
    const started = await run(LINES.createBackup)
    assert.deepEqual([started.status, started.json.status], [200, 'started'])
    backupId = started.json.backup_id
    assert.match(backupId, /^bk-[a-z0-9]{8}$/)
    const item = await until('the backup is completed', async () => {
      const { json } = await run(LINES.backups)
      const found = json.backups.find(({ id }: Json) => id === backupId)
      assert.ok(['creating', 'completed'].includes(found.status), found.status)
      return found.status === 'completed' && found
    })
    assert.equal(item.type, 'manual')
    assert.ok(item.size_bytes > 0)
    assert.match(item.created_at, TIME)
    assert.equal(Date.parse(item.expires_at) - Date.parse(item.created_at), 14 * 86_400_000)
    assert.deepEqual(
      [item.backup_id, item.backup_type, item.started_at, item.verified_at],
      [backupId, 'manual', item.created_at, null],
    )
    const usage = (await run(LINES.usage)).json
    assert.equal(usage.total_backups, 1)
    assert.ok(usage.total_size_bytes > 0)
    assert.match(usage.total_size_human, /^\d+\.\d (B|KB)$/)
  })

  test('download: a link that opens for anybody, for an hour', async () => {
    const { status, json } = await run(LINES.download)
    assert.equal(status, 200, JSON.stringify(json))
    const leftMs = Date.parse(json.expires_at) - Date.now()
    assert.ok(leftMs > 3_500_000 && leftMs <= 3_600_000, json.expires_at)
    const answer = await fetch(json.download_url)
    const image = Buffer.from(await answer.arrayBuffer())
    assert.equal(image.length, json.size_bytes)
    assert.equal(image.subarray(0, 4).toString('latin1'), 'QFI\xfb')
    const given = { 'x-api-key': key }
    const linked = await fetch(`${wire.apiUrl}${at(`backups/${backupId}/download`)}`, { headers: given })
    assert.equal(linked.headers.get('cache-control'), 'no-store')
    const native = `/havn/v1/backups/${backupId}/download`
    assert.equal((await wire.call('GET', native)).status, 200)
    const { body } = await wire.call<Json>('GET', '/havn/v1/audit?limit=2')
    const paths = body.items.map((row: Json) => [row.path, row.status])
    assert.deepEqual(
      paths,
      [native, at(`backups/${backupId}/download`)].map((path) => [path, 200]),
      'on record',
    )
  })

  test('restore needs a stopped VPS, and start waits for it', { timeout: 120_000 }, async () => {
    assert.equal((await run(LINES.restore)).status, 409)
    await power('stop', 'stopped')
    wire.simulator.write(wire.instance.id as `inst_${string}`, 'worse')
    const { status, json } = await run(LINES.restore)
    assert.deepEqual([status, json.status, json.backup_id], [200, 'restoring', backupId])
    assert.equal(typeof json.message, 'string')
    const early = await call('POST', 'start')
    if (early[0] !== 409) assert.equal(early[0], 200) // it was that fast
    await until('it is done', async () => {
      const { body } = await wire.call<Json>('GET', `/havn/v1/operations?resourceId=${wire.instance.id}&open=true`)
      return body.total === 0
    })
    assert.equal(wire.simulator.read(wire.instance.id as `inst_${string}`), 'then')
    assert.equal((await call('GET', 'snapshots'))[1].total, 0, 'they lay in the old disk')
  })

  test('policy: both vocabularies, merged, and what is nonsense', async () => {
    const none = { enabled: false, frequency: 'daily', time: '02:00', retention_days: 14, next_backup_at: null }
    assert.deepEqual((await run(LINES.policy)).json, { ...none, policy: null })
    const { json } = await run(LINES.setPolicy)
    assert.match(json.next_backup_at, /T02:00:00Z$/)
    assert.equal(json.policy.time_of_day, '02:00')
    const [, weekly] = await call('PUT', 'backup-policy', { frequency: 'weekly', day_of_week: 6, time_of_day: '03:30' })
    assert.deepEqual(
      [weekly.enabled, weekly.day_of_week, weekly.time, weekly.policy.day_of_week, weekly.policy.time_of_day],
      [true, 'sunday', '03:30', 6, '03:30'],
    )
    assert.equal(new Date(weekly.next_backup_at).getUTCDay(), 0)
    const [, named] = await call('PUT', 'backup-policy', { day_of_week: 'Tuesday', retention_days: 30 })
    assert.deepEqual([named.day_of_week, named.policy.day_of_week, named.retention_days], ['tuesday', 1, 30])
    for (const body of [
      { frequency: 'hourly' },
      { day_of_week: 7 },
      { day_of_week: 'someday' },
      { time: '24:00' },
      { time_of_day: '2:00' },
      { retention_days: 90 },
      { retention_days: '14' },
      { enabled: 'yes' },
    ]) {
      await refuses(422, 'PUT', 'backup-policy', body)
    }
    const [{ loc, msg }] = await refuses(422, 'PUT', 'backup-policy', { day_of_week: 'someday' })
    assert.deepEqual([loc, msg], [['body', 'day_of_week'], 'must be the name of a day, or 0 for Monday to 6'])
    assert.equal((await call('GET', 'backup-policy'))[1].retention_days, 30)
    assert.equal((await call('DELETE', 'backup-policy'))[0], 200)
    assert.equal((await call('GET', 'backup-policy'))[1].policy, null)
  })

  test('refusals, and delete', async () => {
    for (const [method, path] of [
      ['DELETE', 'backups/bk-zzzzzzzz'],
      ['POST', 'backups/bk-zzzzzzzz/restore'],
      ['GET', 'backups/bk-zzzzzzzz/download'],
    ] as const) {
      assert.equal(await refuses(404, method, path), 'Backup not found')
      await refuses(404, method, path.replace('bk-zzzzzzzz', backupId), undefined, wire.keys.other)
    }
    const other = await wire.call<{ instance: { uuid: string } }>('POST', '/havn/v1/instances', { name: 'second' })
    const elsewhere = await wire.call(
      'DELETE',
      `/v1/vps/${other.body.instance.uuid}/backups/${backupId}`,
      undefined,
      key,
    )
    assert.equal(elsewhere.status, 404, 'a backup of another VPS is not there')
    assert.deepEqual(await run(LINES.deleteBackup), { status: 200, json: { status: 'deleted', backup_id: backupId } })
    assert.equal((await run(LINES.backups)).json.total, 0)
    await refuses(404, 'DELETE', `backups/${backupId}`)
  })
})
