/**
 * The curl samples of Leaseweb's published page, unchanged but for host, key and id, and what they answer: the page's
 * shapes. The page folds what it shows; docs/dialects/leaseweb.md says how it unfolds.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'
import { until, untilState, wireOfSuite } from '../wire.ts'

const HOST = 'https://api.leaseweb.com'
const KEY = 'REPLACE_KEY_VALUE'
const ID = '123242'
const SNAPSHOT_ID = '8083e330-9888-4ae6-8f11-d372c5a50e63'
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const SERVER_JOB = /^cs01\.[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$/

const curl = (method: string, path: string) => `curl --request ${method} \\
  --url ${path.includes('?') ? `'${HOST}${path}'` : HOST + path} \\
  --header 'x-lsw-auth: ${KEY}'`
const S = '/cloud/v2/virtualServers'
const LINES = {
  list: curl('GET', `${S}?limit=SOME_INTEGER_VALUE&offset=SOME_INTEGER_VALUE`),
  inspect: curl('GET', `${S}/${ID}`),
  powerOn: curl('POST', `${S}/${ID}/powerOn`),
  powerOff: curl('POST', `${S}/${ID}/powerOff`),
  reboot: curl('POST', `${S}/${ID}/reboot`),
  templates: curl('GET', `${S}/%7BvirtualServerId%7D/templates`),
  credentials: curl(
    'GET',
    `${S}/${ID}/credentials/%7BcredentialType%7D?limit=SOME_INTEGER_VALUE&offset=SOME_INTEGER_VALUE`,
  ),
  credential: curl('GET', `${S}/${ID}/credentials/%7BcredentialType%7D/%7Busername%7D`),
  traffic: curl(
    'GET',
    `${S}/${ID}/metrics/datatraffic?granularity=SOME_STRING_VALUE&aggregation=SOME_STRING_VALUE&from=SOME_DATE_VALUE&to=SOME_DATE_VALUE`,
  ),
  snapshots: curl('GET', `${S}/${ID}/snapshots?limit=SOME_INTEGER_VALUE&offset=SOME_INTEGER_VALUE`),
  snapshot: curl('GET', `${S}/${ID}/snapshots/${SNAPSHOT_ID}`),
  deleteSnapshot: curl('DELETE', `${S}/${ID}/snapshots/${SNAPSHOT_ID}`),
  restoreSnapshot: curl('POST', `${S}/${ID}/snapshots/%7BsnapshotId%7D/restore`),
}
/** The page shows these with their bodies alone. */
const BODIES = {
  update: { reference: 'My reference' },
  reinstall: { operatingSystemId: 'CENTOS_7_64_PLESK' },
  credentials: { username: 'root', password: 'my_secret_password', type: 'OPERATING_SYSTEM' },
  snapshot: { name: 'Snapshot 1' },
}

// biome-ignore lint/suspicious/noExplicitAny: what comes is what is looked at
type Json = any

describe('the samples of the published page', () => {
  const wire = wireOfSuite()

  async function run(line: string, values: Record<string, string> = {}): Promise<{ status: number; json: Json }> {
    let command = line.replaceAll(HOST, wire().apiUrl).replaceAll(KEY, wire().ownerKey)
    for (const [word, value] of Object.entries({
      [ID]: String(wire().instance.number),
      '%7BvirtualServerId%7D': String(wire().instance.number),
      ...values,
    })) {
      command = command.replaceAll(word, value)
    }
    const { stdout } = await promisify(execFile)('sh', ['-c', `${command} -s -w '\\n%{http_code}'`])
    const at = stdout.lastIndexOf('\n')
    return { status: Number(stdout.slice(at + 1)), json: at > 0 ? JSON.parse(stdout.slice(0, at)) : null }
  }
  const withBody = (method: string, path: string, body: object) =>
    run(`${curl(method, path)} --header 'content-type: application/json' --data '${JSON.stringify(body)}'`)

  const expected = () => {
    const { number, ipv4, ipv6 } = wire().instance
    return {
      id: String(number),
      reference: null,
      dataCenter: 'OSL-01',
      cloudServerId: null,
      state: 'RUNNING',
      firewallState: 'DISABLED',
      template: 'Debian 12 (64-bit)',
      serviceOffering: 'S',
      sla: 'Bronze',
      hardware: { cpu: { cores: 1 }, memory: { unit: 'MB', amount: 2048 }, storage: { unit: 'GB', amount: 40 } },
      iso: null,
      ips: [
        { ip: ipv4, version: 4, type: 'PUBLIC' },
        { ip: ipv6, version: 6, type: 'PUBLIC' },
      ],
    }
  }

  test('list virtual servers, inspect a virtual server', async () => {
    const { status, json } = await run(LINES.list, {
      'limit=SOME_INTEGER_VALUE': 'limit=10',
      'offset=SOME_INTEGER_VALUE': 'offset=0',
    })
    assert.equal(status, 200, JSON.stringify(json))
    assert.deepEqual(json._metadata, { totalCount: 1, offset: 0, limit: 10 })
    assert.equal(json.virtualServers.length, 1)
    const inspected = await run(LINES.inspect)
    assert.deepEqual([inspected.status, inspected.json], [200, json.virtualServers[0]])
    const { contract, customerId, ...server } = inspected.json
    assert.deepEqual(server, expected())
    assert.match(customerId, /^\d+$/)
    const { id, startsAt, endsAt, ...price } = contract
    assert.match(id, /^\d+$/)
    for (const date of [startsAt, endsAt]) assert.match(date, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0000$/)
    assert.equal(startsAt.slice(0, 19), wire().instance.createdAt.slice(0, 19))
    assert.ok(endsAt > startsAt)
    assert.deepEqual(price, { billingCycle: 1, billingFrequency: 'MONTH', pricePerFrequency: 99, currency: 'NOK' })
  })

  test('list virtual servers with the placeholders still in it', async () => {
    const { status, json } = await run(LINES.list)
    assert.deepEqual([status, json.errorCode], [400, 'APP00900'])
    assert.deepEqual(Object.keys(json.errorDetails), ['limit', 'offset'])
  })

  test('update a virtual server', async () => {
    const { status, json } = await withBody('PUT', `${S}/${ID}`, BODIES.update)
    assert.deepEqual([status, json.reference, json.id], [200, 'My reference', String(wire().instance.number)])
    assert.deepEqual((await run(LINES.inspect)).json, json)
    const cleared = await withBody('PUT', `${S}/${ID}`, { reference: '' })
    assert.deepEqual([cleared.status, cleared.json.reference], [200, null])
  })

  test('power off, power on, reboot', async () => {
    const { id } = wire().instance
    const states: string[] = []
    const look = async () => {
      const { state } = (await run(LINES.inspect)).json
      if (states.at(-1) !== state) states.push(state)
      return state
    }
    const isAccepted = async (action: 'powerOn' | 'powerOff' | 'reboot') => {
      const { status, json } = await run(LINES[action])
      assert.equal(status, 202, JSON.stringify(json))
      const { id: job, createdAt, ...rest } = json
      assert.match(job, SERVER_JOB)
      assert.match(createdAt, TIME)
      assert.deepEqual(rest, { name: `virtualServers.${action}`, status: 'PENDING' })
      const operation = await wire().call<Json>('GET', `/havn/v1/operations/${job.slice('cs01.'.length)}`)
      assert.deepEqual([operation.status, operation.body.resourceId], [200, id])
      await look()
    }
    await isAccepted('powerOff')
    await until('it is stopped', async () => (await look()) === 'STOPPED')
    await isAccepted('powerOn')
    await until('it runs', async () => (await look()) === 'RUNNING')
    // A look may come after a state that does not last; test/flows/dialects.test.ts has them all.
    assert.match(states.join(' '), /^(STOPPING )?STOPPED (STARTING )?RUNNING$/)
    states.length = 0
    await isAccepted('reboot')
    await until('it runs again', async () => (await look()) === 'RUNNING')
    assert.match(states.join(' '), /^(STOPPING )?(STARTING )?RUNNING$/)
  })

  test('what already is as wished is accepted and done', async () => {
    const again = await run(LINES.powerOn)
    assert.deepEqual([again.status, again.json.name, again.json.status], [202, 'virtualServers.powerOn', 'COMPLETED'])
    assert.match(again.json.id, SERVER_JOB)
    assert.equal((await run(LINES.inspect)).json.state, 'RUNNING')
    const { number, id } = wire().instance
    await run(LINES.powerOff)
    await untilState(wire(), id, 'stopped')
    assert.deepEqual(
      [(await run(LINES.powerOff)).json.status, (await run(LINES.inspect)).json.state],
      ['COMPLETED', 'STOPPED'],
    )
    const started = await run(LINES.reboot)
    assert.deepEqual([started.status, started.json.name], [202, 'virtualServers.reboot'], `server ${number}`)
    await untilState(wire(), id, 'running')
  })

  test('list templates', async () => {
    const { status, json } = await run(LINES.templates)
    assert.equal(status, 200)
    // Windows needs more than this server has.
    assert.deepEqual(json._metadata, { totalCount: 6, offset: 0, limit: 10 })
    assert.deepEqual(json.templates[1], { id: 'DEBIAN_12_64', name: 'Debian 12 (64-bit)' })
    assert.deepEqual(
      json.templates.map(({ id }: Json) => id),
      ['MICRO_1_64', 'DEBIAN_12_64', 'UBUNTU_24_04_64', 'UBUNTU_22_04_64', 'ROCKY_LINUX_9_64', 'ALMALINUX_9_64'],
    )
    const second = await run(LINES.templates.replace('/templates', '/templates\\?limit=2\\&offset=1'))
    assert.deepEqual(second.json._metadata, { totalCount: 6, offset: 1, limit: 2 })
    assert.deepEqual(second.json.templates, json.templates.slice(1, 3))
  })

  const page = { 'limit=SOME_INTEGER_VALUE': 'limit=10', 'offset=SOME_INTEGER_VALUE': 'offset=0' }

  test('update credentials, list credentials, inspect user credentials', async () => {
    const words = { '%7BcredentialType%7D': 'OPERATING_SYSTEM', '%7Busername%7D': 'root' }
    assert.deepEqual((await run(LINES.credentials, { ...words, ...page })).json, {
      credentials: [],
      _metadata: { totalCount: 0, offset: 0, limit: 10 },
    })
    assert.equal((await run(LINES.credential, words)).status, 404)
    assert.deepEqual(await withBody('PUT', `${S}/${ID}/credentials`, BODIES.credentials), { status: 204, json: null })
    assert.deepEqual(await run(LINES.credentials, { ...words, ...page }), {
      status: 200,
      json: {
        credentials: [{ type: 'OPERATING_SYSTEM', username: 'root' }],
        _metadata: { totalCount: 1, offset: 0, limit: 10 },
      },
    })
    assert.deepEqual(await run(LINES.credential, words), {
      status: 200,
      json: { type: 'OPERATING_SYSTEM', username: 'root', password: 'my_secret_password' },
    })
    const placeholder = await run(LINES.credentials, page)
    assert.deepEqual([placeholder.status, Object.keys(placeholder.json.errorDetails)], [400, ['credentialType']])
  })

  test('reinstall', async () => {
    const none = await withBody('POST', `${S}/${ID}/reinstall`, BODIES.reinstall)
    assert.deepEqual([none.status, Object.keys(none.json.errorDetails)], [400, ['operatingSystemId']])
    const before = (await run(LINES.inspect)).json
    const words = { '%7BcredentialType%7D': 'OPERATING_SYSTEM', '%7Busername%7D': 'root' }
    // Time to look at it meanwhile.
    wire().simulator.fault({ verb: 'ensureStopped', when: 'before', delayMs: 2_000 })
    const { status, json } = await withBody('POST', `${S}/${ID}/reinstall`, { operatingSystemId: 'UBUNTU_22_04_64' })
    assert.equal(status, 202, JSON.stringify(json))
    assert.match(json.id, SERVER_JOB)
    assert.deepEqual([json.name, json.status], ['virtualServers.reinstall', 'PENDING'])
    assert.equal((await run(LINES.inspect)).json.state, 'STOPPING')
    const busy = await run(LINES.powerOff)
    assert.deepEqual([busy.status, busy.json.errorCode], [403, '403'])
    await untilState(wire(), wire().instance.id, 'running')
    assert.deepEqual((await run(LINES.inspect)).json, { ...before, template: 'Ubuntu 22.04 LTS (64-bit)' })
    const { password } = (await run(LINES.credential, words)).json
    assert.match(password, /^[\w-]{20}$/)
  })

  test('inspect datatraffic metrics', async () => {
    const placeholders = await run(LINES.traffic)
    assert.deepEqual(
      [placeholders.status, Object.keys(placeholders.json.errorDetails)],
      [400, ['granularity', 'aggregation', 'from', 'to']],
    )
    const { status, json } = await run(LINES.traffic, {
      'granularity=SOME_STRING_VALUE': 'granularity=DAY',
      'aggregation=SOME_STRING_VALUE': 'aggregation=SUM',
      'from=SOME_DATE_VALUE': 'from=2024-02-01',
      'to=SOME_DATE_VALUE': 'to=2024-02-03T00:00:00Z',
    })
    assert.equal(status, 200, JSON.stringify(json))
    // Before it was made it moved nothing.
    const values = ['01', '02'].map((day) => ({ timestamp: `2024-02-${day}T23:59:59+00:00`, value: 0 }))
    assert.deepEqual(json, {
      _metadata: {
        from: '2024-02-01T00:00:00+00:00',
        to: '2024-02-03T00:00:00+00:00',
        granularity: 'DAY',
        aggregation: 'SUM',
      },
      metrics: { DATATRAFFIC_UP: { unit: 'B', values }, DATATRAFFIC_DOWN: { unit: 'B', values } },
    })
    const usual = await run(LINES.traffic.replace(/\?[^']*/, ''))
    const { from, granularity, aggregation } = usual.json._metadata
    assert.deepEqual([granularity, aggregation], ['NONE', 'SUM'])
    assert.match(from, /^\d{4}-\d\d-01T00:00:00\+00:00$/)
  })

  test('create, list, get, restore, delete a snapshot', async () => {
    const jobOf = async (answer: Promise<{ status: number; json: Json }>, name: string) => {
      const { status, json } = await answer
      assert.equal(status, 202, JSON.stringify(json))
      const { id, createdAt, ...rest } = json
      assert.match(id, UUID)
      assert.match(createdAt, TIME)
      assert.deepEqual(rest, { name: `virtualServer.${name}`, status: 'PENDING' })
      return id
    }
    const list = async () => (await run(LINES.snapshots, page)).json
    const job = await jobOf(withBody('POST', `${S}/${ID}/snapshots`, BODIES.snapshot), 'createVMSnapshot')
    const [made] = (await list()).snapshots
    assert.notEqual(made.id, job)
    assert.deepEqual([made.name, Object.keys(made)], ['Snapshot 1', ['id', 'name', 'state', 'created_at']])
    assert.match(made.created_at, TIME)
    const words = { [SNAPSHOT_ID]: made.id, '%7BsnapshotId%7D': made.id }
    const isReady = () =>
      until('the snapshot is ready', async () => (await run(LINES.snapshot, words)).json.state === 'READY')
    await isReady()
    assert.deepEqual(await list(), {
      snapshots: [{ ...made, state: 'READY' }],
      _metadata: { totalCount: 1, offset: 0, limit: 10 },
    })
    await jobOf(run(LINES.restoreSnapshot, words), 'restoreVMSnapshot')
    assert.match((await run(LINES.snapshot, words)).json.state, /^(REVERTING|READY)$/)
    await isReady()
    assert.equal((await run(LINES.inspect)).json.state, 'RUNNING')
    await jobOf(run(LINES.deleteSnapshot, words), 'deleteVMSnapshot')
    await until('the snapshot is gone', async () => (await run(LINES.snapshot, words)).status === 404)
    assert.deepEqual((await list()).snapshots, [])
    assert.equal((await run(LINES.snapshot)).json.errorMessage, `Resource '${SNAPSHOT_ID}' was not found`)
  })

  test('the sample id is somebody else’s', async () => {
    const { status, json } = await run(LINES.inspect, { [ID]: ID })
    assert.equal(status, 404)
    const { correlationId, userMessage, ...error } = json
    assert.match(correlationId, UUID)
    assert.equal(typeof userMessage, 'string')
    assert.deepEqual(error, {
      errorCode: 404,
      errorMessage: `Resource '${ID}' was not found`,
      reference: 'https://www.leaseweb.com/contact',
    })
  })
})
