import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ERROR_CODES } from '../../model/errors.ts'
import { INSTANCE_STATES } from '../../model/instance.ts'
import type { Instance } from '../../services/instances.ts'
import type { Stats } from '../../services/stats.ts'
import type { Problem } from '../http/errors.ts'
import { errors } from './errors.ts'
import { presentCreated, presentStatus, statesOf, statusWords } from './present.ts'

const problem = (given: Partial<Problem>): Problem => ({
  code: 'invalid',
  message: 'a message',
  issues: [],
  isMalformed: false,
  resource: null,
  state: null,
  hasCredential: true,
  allowedMethods: [],
  method: 'GET',
  path: '/v1/vps',
  requestId: 'r',
  ...given,
})

test('only what clients may repeat gets a status that they repeat', () => {
  const repeated = [...ERROR_CODES, 'internal' as const].filter((code) =>
    [429, 502, 503, 504].includes(errors(problem({ code })).status),
  )
  assert.deepEqual(repeated, ['rate_limited', 'unavailable'])
})

test('errors say `detail`: a text, or a list for what is malformed', () => {
  const cases: [Partial<Problem>, number, unknown][] = [
    [{ code: 'not_found', resource: { noun: 'instance', id: 'x' } }, 404, 'VPS not found'],
    [{ code: 'not_found' }, 404, 'Not Found'],
    [{ code: 'invalid' }, 400, 'a message'],
    [{ code: 'internal', message: 'secret' }, 500, 'Internal Server Error'],
    [
      { isMalformed: true, issues: [{ where: 'body', path: ['hostname'], code: 'missing', message: 'm', input: {} }] },
      422,
      [{ type: 'missing', loc: ['body', 'hostname'], msg: 'Field required', input: {} }],
    ],
  ]
  for (const [given, status, detail] of cases) {
    const { status: seen, body } = errors(problem(given))
    assert.deepEqual([seen, body], [status, { detail }])
  }
})

test('a filter finds every state that its word stands for', () => {
  const words = statusWords('python-requests/2.31')
  assert.deepEqual(statesOf(words, 'starting'), ['starting', 'rebooting'])
  assert.deepEqual(statesOf(words, 'active'), [])
  assert.deepEqual(statesOf(statusWords('terraform-provider-wayscloud/0.1'), 'active'), ['running'])
  for (const state of INSTANCE_STATES) assert.ok(statesOf(words, words[state]).includes(state))
})

const instance = {
  uuid: '0197a0c0-0000-7000-8000-000000000001',
  number: 10001,
  name: 'Web',
  hostname: 'web',
  state: 'running',
  regionId: 'oslo',
  plan: { id: 'p', name: 'P', priceMonthlyMinor: 9950, currency: 'NOK' },
  image: { id: 'debian-12' },
  vcpus: 1,
  memoryMib: 2048,
  diskGib: 40,
  ipv4: '203.0.113.5',
  ipv6: null,
  createdAt: new Date('2026-03-02T08:15:00.123Z'),
  provisionedAt: null,
} as Instance
const unmeasured: Stats = {
  state: 'running',
  uptimeSeconds: 5,
  measuredAt: null,
  cpuPercent: null,
  memoryUsedBytes: null,
  memoryTotalBytes: null,
  diskUsedBytes: null,
  diskTotalBytes: null,
  networkInBytes: null,
  networkOutBytes: null,
  diskReadBytes: null,
  diskWriteBytes: null,
  diskReadOps: null,
  diskWriteOps: null,
}

test('a created VPS has both spellings of its addresses, and times without fractions', () => {
  const vps = presentCreated(instance, statusWords(undefined))
  assert.deepEqual([vps.ipv4, vps.ipv4_address, vps.ipv6, vps.ipv6_address], ['203.0.113.5', '203.0.113.5', null, null])
  assert.deepEqual([vps.created_at, vps.monthly_price, vps.provider_vm_id], ['2026-03-02T08:15:00Z', 99.5, '10001'])
})

test('usage: null when not measured, zero when stopped, percent when known', () => {
  const words = statusWords(undefined)
  assert.equal(presentStatus(instance, unmeasured, words).cpu_usage_percent, null)
  const off = presentStatus(instance, { ...unmeasured, state: 'stopped', uptimeSeconds: null }, words)
  assert.deepEqual(
    [off.uptime_seconds, off.cpu_usage_percent, off.memory_usage_percent, off.network_in_bytes],
    [0, 0, 0, 0],
  )
  const measured = { ...unmeasured, cpuPercent: 12.34, memoryUsedBytes: 512 * 1024 ** 2, diskUsedBytes: 10 * 1024 ** 3 }
  const known = presentStatus(instance, measured, words)
  assert.deepEqual([known.cpu_usage_percent, known.memory_usage_percent, known.memory_used_mb], [12.3, 25, 512])
  assert.deepEqual([known.disk_usage_percent, known.disk_used_gb, known.disk_total_gb], [25, 10, 40])
})
