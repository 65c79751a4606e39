/**
 * The request samples of VPS.org's published page in every language that it shows them in, unchanged but for host, key
 * and id. They are run by curl, Python's requests, Node's fetch and PHP's curl; what they get has the page's shape.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'
import type { Instance } from '../../../src/dialects/native/contract/instances.ts'
import { until, untilState, wireOfSuite } from '../wire.ts'
import { SAMPLES } from './samples.ts'

const HOST = 'https://admin.vps.org'
const KEY = 'YOUR_API_TOKEN'
const ID = '12345'
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/

// biome-ignore lint/suspicious/noExplicitAny: what comes is what is looked at
type Json = any
interface Answer {
  status: number
  json: Json
}
type Language = 'curl' | 'python' | 'javascript' | 'php'

/** Each sample as it is, and after it what tells us status and body on the last line. */
const RUN: Record<Exclude<Language, 'curl'>, (sample: string) => [command: string, args: string[]]> = {
  python: (sample) => [
    '/usr/bin/python3',
    ['-c', `${sample}\nimport json\nprint("\\n" + json.dumps([response.status_code, response.text]))`],
  ],
  javascript: (sample) => {
    const variable = /^const (\w+) = await response\.json\(\)/m.exec(sample)![1]
    const tail = `console.log('\\n' + JSON.stringify([response.status, JSON.stringify(${variable})]))`
    return [process.execPath, ['--input-type=module', '-e', `${sample}\n${tail}`]]
  },
  php: (sample) => {
    const tail = 'echo "\\n", json_encode([curl_getinfo($ch, CURLINFO_HTTP_CODE), $response]);'
    return ['php', ['-r', `${sample}\n${tail}`]]
  },
}

describe('the samples of the published page', () => {
  const wire = wireOfSuite()

  async function run(language: Language, sample: string, number = 0): Promise<Answer> {
    const text = sample.replaceAll(HOST, wire().apiUrl).replaceAll(KEY, wire().ownerKey).replaceAll(ID, String(number))
    if (language === 'curl') return curl(text)
    const [command, args] = RUN[language](text)
    const { stdout } = await promisify(execFile)(command, args, { timeout: 60_000 })
    const [status, body] = JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as [number, string]
    return { status, json: body ? JSON.parse(body) : null }
  }
  async function curl(text: string): Promise<Answer> {
    const { stdout } = await promisify(execFile)('sh', ['-c', `${text} -s -w '\\n%{http_code}'`])
    const at = stdout.lastIndexOf('\n')
    return { status: Number(stdout.slice(at + 1)), json: at > 0 ? JSON.parse(stdout.slice(0, at)) : null }
  }
  const of = (samples: Partial<Record<Language, string>>) => Object.entries(samples) as [Language, string][]

  /** It may still be on its way from the test before. */
  const inState = (state: 'running' | 'stopped'): Promise<Instance> =>
    until(`the server to be ${state}`, async () => {
      const path = `/havn/v1/instances/${wire().instance.id}`
      const { body } = await wire().call<Instance>('GET', path)
      if (body.state === state) return body
      if (body.state === 'stopped' || body.state === 'running') {
        await wire().call('POST', `${path}/${state === 'running' ? 'start' : 'stop'}`)
      }
      return null
    })

  for (const [language, sample] of of(SAMPLES.list)) {
    test(`list servers: ${language}`, async () => {
      const { status, json } = await run(language, sample)
      assert.equal(status, 200)
      assert.deepEqual(Object.keys(json), ['count', 'results'])
      assert.equal(json.count, json.results.length)
      const { number, ipv4 } = wire().instance
      const { created_at, updated_at, ...found } = json.results.find(({ id }: Json) => id === number)
      assert.match(created_at, TIME)
      assert.match(updated_at, TIME)
      assert.deepEqual(found, {
        id: number,
        name: 'web',
        hostname: 'web',
        status: 'active',
        ip_address: ipv4,
        location: 'us-west',
        plan: { id: 1, name: 'Starter VPS', vcpus: 1, memory: 2048, storage: 40 },
        os: { id: 3, name: 'Debian 12' },
      })
    })
  }

  for (const [language, sample] of of(SAMPLES.create)) {
    test(`create a server: ${language}`, async () => {
      const { status, json } = await run(language, sample)
      assert.equal(status, 201, JSON.stringify(json))
      const { id, created_at, updated_at, message, ...made } = json
      assert.ok(Number.isInteger(id))
      assert.match(created_at, TIME)
      assert.equal(updated_at, created_at)
      assert.match(message, /2-5 minutes/)
      assert.deepEqual(made, {
        name: 'web-server-02',
        hostname: 'web02.example.com',
        status: 'provisioning',
        ip_address: null,
        location: 'us-west',
        plan: { id: 1, name: 'Starter VPS', vcpus: 1, memory: 2048, storage: 40 },
        os: { id: 5, name: 'Ubuntu 22.04 LTS' },
        backups_enabled: true,
      })
      const instance = await untilState(wire(), String(id), 'running')
      const seen = await run('curl', SAMPLES.get.curl, id)
      assert.deepEqual([seen.json.status, seen.json.ip_address], ['active', instance.ipv4])
    })
  }

  for (const [language, sample] of of(SAMPLES.get)) {
    test(`get a server: ${language}`, async () => {
      const { number, ipv4, ipv6 } = wire().instance
      const { status, json } = await run(language, sample, number)
      assert.equal(status, 200)
      const { created_at, updated_at, ...detail } = json
      assert.match(created_at, TIME)
      assert.match(updated_at, TIME)
      assert.deepEqual(detail, {
        id: number,
        name: 'web',
        hostname: 'web',
        status: 'active',
        ip_address: ipv4,
        ipv6_address: ipv6,
        location: 'us-west',
        plan: { id: 1, name: 'Starter VPS', vcpus: 1, memory: 2048, storage: 40, bandwidth: 2048 },
        os: { id: 3, name: 'Debian 12' },
        backups_enabled: false,
        // A simulated machine measures nothing.
        resource_usage: { cpu_percent: null, memory_used: null, disk_used: null, bandwidth_used: null },
      })
    })
  }

  for (const [language, sample] of of(SAMPLES.stop)) {
    test(`stop a server: ${language}`, async () => {
      const { number } = await inState('running')
      const { status, json } = await run(language, sample, number)
      assert.equal(status, 200)
      assert.deepEqual(json, {
        status: 'success',
        message: 'Server is stopping',
        server: { id: number, name: 'web', status: 'stopping' },
      })
    })
  }

  for (const [language, sample] of of(SAMPLES.start)) {
    test(`start a server: ${language}`, async () => {
      const { number } = await inState('stopped')
      const { status, json } = await run(language, sample, number)
      assert.equal(status, 200)
      assert.deepEqual(json, {
        status: 'success',
        message: 'Server is starting',
        server: { id: number, name: 'web', status: 'starting' },
      })
      await inState('running')
    })
  }

  for (const [language, sample] of of(SAMPLES.reboot)) {
    test(`reboot a server: ${language}`, async () => {
      const { number } = await inState('running')
      const { status, json } = await run(language, sample, number)
      assert.equal(status, 200)
      assert.deepEqual(json, {
        status: 'success',
        message: 'Server is rebooting',
        server: { id: number, name: 'web', status: 'rebooting' },
      })
      await inState('running')
    })
  }

  const make = async (name: string) =>
    (await wire().call<{ instance: Instance }>('POST', '/havn/v1/instances', { name })).body.instance.number

  for (const [language, sample] of of(SAMPLES.put)) {
    test(`update a server: ${language}`, async () => {
      const number = await make('to-update')
      const { status, json } = await run(language, sample, number)
      assert.equal(status, 200, JSON.stringify(json))
      const { name, hostname, backups_enabled } = json
      assert.deepEqual([name, hostname, backups_enabled], ['web-server-updated', 'web-updated.example.com', true])
    })
  }

  for (const [language, sample] of of(SAMPLES.patch)) {
    test(`update some of a server: ${language}`, async () => {
      const number = await make('to-patch')
      const { status, json } = await run(language, sample, number)
      assert.equal(status, 200, JSON.stringify(json))
      assert.deepEqual([json.id, json.name, json.hostname], [number, 'new-server-name', 'to-patch'])
    })
  }

  for (const [language, sample] of of(SAMPLES.delete)) {
    test(`delete a server: ${language}`, async () => {
      const number = await make('to-delete')
      assert.deepEqual(await run(language, sample, number), { status: 204, json: null })
      assert.deepEqual(await run(language, sample, number), { status: 404, json: { detail: 'Not found.' } })
      assert.equal((await run('curl', SAMPLES.get.curl, number)).status, 404)
    })
  }
})
