/**
 * The curl lines of WAYSCloud's published page, as they are printed there; only host, key and id are put in. They are
 * run by curl, and what they answer has the fields, and where it promises one the values, that the page shows.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { untilState, type Wire, wireOfSuite } from '../wire.ts'

const KEY = 'wayscloud_vps_abc12_YOUR_SECRET'
const LINES = {
  list: `curl https://api.wayscloud.services/v1/vps \\
  -H "X-API-Key: ${KEY}"`,
  create: `curl -X POST https://api.wayscloud.services/v1/vps \\
  -H "X-API-Key: ${KEY}" \\
  -H "Content-Type: application/json" \\
  -d '{
  "hostname": "web01.example.com",
  "plan_code": "vps-4gb-2cpu",
  "region": "oslo",
  "os_template": "ubuntu-22.04",
  "display_name": "Production Web Server",
  "ssh_keys": [
    "ssh-ed25519 AAAA... user@laptop"
  ]
}'`,
  plans: `curl https://api.wayscloud.services/v1/vps/plans/ \\
  -H "X-API-Key: ${KEY}"`,
  templates: `curl https://api.wayscloud.services/v1/vps/os-templates \\
  -H "X-API-Key: ${KEY}"`,
  regions: `curl https://api.wayscloud.services/v1/vps/regions \\
  -H "X-API-Key: ${KEY}"`,
  get: `curl https://api.wayscloud.services/v1/vps/{vps_id} \\
  -H "X-API-Key: ${KEY}"`,
  status: `curl https://api.wayscloud.services/v1/vps/{vps_id}/status \\
  -H "X-API-Key: ${KEY}"`,
  start: `curl -X POST https://api.wayscloud.services/v1/vps/{vps_id}/start \\
  -H "X-API-Key: ${KEY}"`,
  stop: `curl -X POST https://api.wayscloud.services/v1/vps/{vps_id}/stop \\
  -H "X-API-Key: ${KEY}"`,
  reboot: `curl -X POST https://api.wayscloud.services/v1/vps/{vps_id}/reboot \\
  -H "X-API-Key: ${KEY}"`,
}
const SSH_KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3Q5rT8nN3yYkqV0o1mXb2c4d5e6f7g8h9i0jKLMNOP'

// biome-ignore lint/suspicious/noExplicitAny: what comes is what is looked at
type Json = any

describe('the curl lines of the published page', () => {
  const suite = wireOfSuite()
  let wire: Wire
  let key: string
  before(async () => {
    wire = suite()
    const made = await wire.call<{ apiKey: string }>('POST', '/havn/v1/keys', { name: 'vps', service: 'vps' })
    key = made.body.apiKey
  })

  async function run(line: string, id = wire.instance.uuid): Promise<{ status: number; json: Json }> {
    const command = line
      .replaceAll('https://api.wayscloud.services', wire.apiUrl)
      .replaceAll(KEY, key)
      .replaceAll('{vps_id}', id)
      .replace('ssh-ed25519 AAAA... user@laptop', `${SSH_KEY} user@laptop`)
    const { stdout } = await promisify(execFile)('sh', ['-c', `${command} -s -w '\\n%{http_code}'`])
    const at = stdout.lastIndexOf('\n')
    return { status: Number(stdout.slice(at + 1)), json: JSON.parse(stdout.slice(0, at)) }
  }
  const has = (object: Json, types: Record<string, string>) => {
    for (const [field, type] of Object.entries(types)) assert.equal(typeof object[field], type, field)
  }

  test('List VPS', async () => {
    const { status, json } = await run(LINES.list)
    assert.equal(status, 200)
    const found = json.instances.find(({ id }: Json) => id === wire.instance.uuid)
    assert.deepEqual([found.hostname, found.display_name, found.status], ['web', 'web', 'running'])
    has(found, { ipv4_address: 'string' })
    assert.equal(json.total, json.instances.length)
    assert.deepEqual(json.vps_instances, json.instances)
  })

  test('Create VPS', async () => {
    const { status, json } = await run(LINES.create)
    assert.equal(status, 201, JSON.stringify(json))
    assert.equal(json.hostname, 'web01.example.com')
    assert.equal(json.status, 'provisioning')
    assert.match(json.id, /^[0-9a-f-]{36}$/)
    has(json, { ipv4: 'string', ipv6: 'string' })
    assert.equal(json.ipv4_address, json.ipv4)
    assert.equal(json.display_name, 'Production Web Server')
    assert.ok(!('ssh_keys' in json))
    await untilState(wire, json.id, 'running')
  })

  test('List plans', async () => {
    const { status, json } = await run(LINES.plans)
    assert.equal(status, 200)
    const shown = { vcpus: 1, ram_gb: 2, storage_gb: 40, bandwidth_tb: 2, price: 99, currency: 'NOK' }
    assert.deepEqual(pick(json[0], { plan_code: '', name: '', ...shown }), {
      plan_code: 'vps-2gb-1cpu',
      name: '2 GB RAM, 1 vCPU',
      ...shown,
    })
    assert.deepEqual(
      json.map(({ plan_code }: Json) => plan_code),
      ['vps-2gb-1cpu', 'vps-4gb-2cpu', 'vps-8gb-4cpu'],
    )
  })

  test('List OS templates', async () => {
    const { json } = await run(LINES.templates)
    const shown = [
      { id: 'ubuntu-24.04', name: 'Ubuntu 24.04 LTS', family: 'ubuntu', version: '24.04', is_windows: false },
      { id: 'debian-12', name: 'Debian 12', family: 'debian', version: '12', is_windows: false },
      { id: 'rocky-9', name: 'Rocky Linux 9', family: 'rocky', version: '9', is_windows: false },
      { id: 'windows-server-2025', name: 'Windows Server 2025', family: 'windows', version: '2025', is_windows: true },
    ]
    for (const template of shown) {
      assert.deepEqual(
        pick(
          json.find(({ id }: Json) => id === template.id),
          template,
        ),
        template,
      )
    }
  })

  test('List regions', async () => {
    const { json } = await run(LINES.regions)
    assert.deepEqual(
      json.map(({ code: _, ...region }: Json) => region),
      [
        { id: 'oslo', name: 'Oslo, Norway', country: 'NO', available: true },
        { id: 'stockholm', name: 'Stockholm, Sweden', country: 'SE', available: true },
        { id: 'frankfurt', name: 'Frankfurt, Germany', country: 'DE', available: true },
      ],
    )
  })

  test('Get VPS, Get status', async () => {
    const { json } = await run(LINES.get)
    has(json, {
      id: 'string',
      hostname: 'string',
      display_name: 'string',
      status: 'string',
      plan_code: 'string',
      region: 'string',
      os_template: 'string',
      ipv4_address: 'string',
      ipv6_address: 'string',
      vcpus: 'number',
      memory_gb: 'number',
      disk_gb: 'number',
      created_at: 'string',
    })
    assert.match(json.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    const status = await run(LINES.status)
    assert.equal(status.json.status, 'running')
    has(status.json, { uptime_seconds: 'number' })
    for (const field of [
      'cpu_usage_percent',
      'memory_usage_percent',
      'disk_usage_percent',
      'network_in_bytes',
      'network_out_bytes',
    ]) {
      assert.ok(status.json[field] === null || typeof status.json[field] === 'number', field)
    }
  })

  test('Reboot VPS, Stop VPS, Start VPS', async () => {
    const answers = async (line: string, action: string, phrase: string) => {
      const { status, json } = await run(line)
      assert.deepEqual([status, json], [200, { success: true, action, message: `VPS is ${phrase}` }])
    }
    const { id } = wire.instance
    await answers(LINES.reboot, 'reboot', 'rebooting')
    await untilState(wire, id, 'running')
    await answers(LINES.stop, 'stop', 'stopping')
    await untilState(wire, id, 'stopped')
    const off = await run(LINES.status)
    assert.deepEqual(
      [off.json.status, off.json.uptime_seconds, off.json.cpu_usage_percent, off.json.power_state],
      ['stopped', 0, 0, 'off'],
    )
    const refused = await run(LINES.stop)
    assert.equal(refused.status, 409)
    assert.equal(typeof refused.json.detail, 'string')
    await answers(LINES.start, 'start', 'starting')
    await untilState(wire, id, 'running')
  })

  const pick = (object: Json, like: object) =>
    Object.fromEntries(Object.keys(like).map((field) => [field, object[field]]))
})
