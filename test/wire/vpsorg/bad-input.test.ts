/** What VPS.org's API must refuse, field by field. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { wireOfSuite } from '../wire.ts'
import { type Json, made, SERVER, SERVERS } from './vpsorg.ts'

const without = (field: keyof typeof SERVER) =>
  Object.fromEntries(Object.entries(SERVER).filter(([key]) => key !== field))
const REQUIRED = 'This field is required.'
const NULL = 'This field may not be null.'
const INTEGER = 'A valid integer is required.'
const TEXT = 'Not a valid string.'
const LETTERS = 'Enter letters, digits and hyphens only.'

/** And the fields that the answer names, with the text of each; null where the text is our own. */
const BAD_CREATES: [why: string, body: unknown, fields: Record<string, string | null>][] = [
  ['nothing', undefined, { name: REQUIRED, plan_id: REQUIRED, os_id: REQUIRED, location: REQUIRED }],
  ['no name', without('name'), { name: REQUIRED }],
  ['no plan', without('plan_id'), { plan_id: REQUIRED }],
  ['no os', without('os_id'), { os_id: REQUIRED }],
  ['no location', without('location'), { location: REQUIRED }],
  ['null', null, { non_field_errors: 'No data provided' }],
  ['a list', [SERVER], { non_field_errors: null }],
  ['a text', 'web', { non_field_errors: null }],
  ['a null name', { ...SERVER, name: null }, { name: NULL }],
  ['a blank name', { ...SERVER, name: ' ' }, { name: 'This field may not be blank.' }],
  ['a number as name', { ...SERVER, name: 7 }, { name: TEXT }],
  ['a name with a dot', { ...SERVER, name: 'a.b' }, { name: LETTERS }],
  ['a name of hyphens', { ...SERVER, name: '--' }, { name: LETTERS }],
  ['a name with a path', { ...SERVER, name: '../x' }, { name: LETTERS }],
  ['a long name', { ...SERVER, name: 'a'.repeat(64) }, { name: 'Ensure this field has no more than 63 characters.' }],
  ['a text as plan', { ...SERVER, plan_id: 'vps-2gb-1cpu' }, { plan_id: INTEGER }],
  ['a fraction as plan', { ...SERVER, plan_id: 1.5 }, { plan_id: INTEGER }],
  ['true as plan', { ...SERVER, plan_id: true }, { plan_id: INTEGER }],
  ['a null plan', { ...SERVER, plan_id: null }, { plan_id: NULL }],
  ['an unknown plan', { ...SERVER, plan_id: 99 }, { plan_id: 'Invalid pk "99" - object does not exist.' }],
  ['an unknown os', { ...SERVER, os_id: 2 }, { os_id: 'Invalid pk "2" - object does not exist.' }],
  ['a negative os', { ...SERVER, os_id: -1 }, { os_id: 'Invalid pk "-1" - object does not exist.' }],
  ['an os too large for the plan', { ...SERVER, os_id: 8 }, { plan_id: null }],
  ['an unknown location', { ...SERVER, location: 'moon' }, { location: '"moon" is not a valid choice.' }],
  ['a number as location', { ...SERVER, location: 1 }, { location: TEXT }],
  ['a host name that is none', { ...SERVER, hostname: 'a_b' }, { hostname: null }],
  ['an unknown SSH key', { ...SERVER, ssh_key_id: 1 }, { ssh_key_id: 'Invalid pk "1" - object does not exist.' }],
  ['zero as SSH key', { ...SERVER, ssh_key_id: 0 }, { ssh_key_id: 'Invalid pk "0" - object does not exist.' }],
  ['a text as SSH key', { ...SERVER, ssh_key_id: 'ssh-ed25519 AAAA' }, { ssh_key_id: INTEGER }],
  ['a text as flag', { ...SERVER, backups_enabled: 'yes' }, { backups_enabled: 'Must be a valid boolean.' }],
  ['two at once', { ...SERVER, name: 'a b', plan_id: 'x' }, { name: LETTERS, plan_id: INTEGER }],
]

describe('wrong input', () => {
  const wire = wireOfSuite()
  const server = (path = '') => `${SERVERS}${wire().instance.number}/${path}`
  const call = (method: string, path: string, body?: unknown, key?: string | null) =>
    wire().call<Json>(method, path, body, key)

  test('what is no server, or nobody’s, is not found, whatever is done to it', async () => {
    const other = await call('POST', SERVERS, SERVER, wire().keys.other)
    assert.equal(other.status, 201)
    const { number, id, uuid } = wire().instance
    const named = await call('POST', SERVERS, { ...SERVER, name: '777777' })
    assert.equal(named.status, 201)
    const ids = ['999999', '777777', '0', '-1', `0${number}`, `${number}x`, `${number}.0`, '1e3', id, uuid, 'web']
    ids.push('%00', '%F0%9F%92%A9', '9'.repeat(30), 'a'.repeat(600), String(other.body.id), `%20${number}`)
    const before = await made(wire())
    for (const bad of ids) {
      const path = `${SERVERS}${bad}/`
      const body = { name: 'x', hostname: 'x', backups_enabled: true }
      for (const [method, at, sent] of [
        ['GET', path],
        ['PUT', path, body],
        ['PATCH', path, body],
        ['DELETE', path],
        ['POST', `${path}start/`],
        ['POST', `${path}stop/`],
        ['POST', `${path}reboot/`],
      ] as const) {
        const answer = await call(method, at, sent)
        assert.deepEqual([answer.status, answer.body], [404, { detail: 'Not found.' }], `${method} ${at}`)
        assert.equal((await call(method, at, sent, null)).status, 401, `${method} ${at} without a key`)
      }
    }
    assert.deepEqual(await made(wire()), before)
    assert.deepEqual((await call('GET', `${server()}nonsense/`)).body, { detail: 'Not found.' })
    for (const number of ['999999', other.body.id]) {
      for (const [method, sent] of [
        ['PUT', '{}'],
        ['PATCH', '{"name":5}'],
        ['PUT', '{'],
        ['DELETE', '{'],
      ] as const) {
        const answer = await fetch(`${wire().apiUrl}${SERVERS}${number}/`, {
          method,
          headers: { authorization: `Bearer ${wire().ownerKey}`, 'content-type': 'application/json' },
          body: sent,
        })
        assert.deepEqual([answer.status, await answer.json()], [404, { detail: 'Not found.' }], `${method} ${sent}`)
      }
    }
  })

  test('bad creates name the fields and make nothing', async () => {
    const before = await made(wire())
    for (const [why, body, fields] of BAD_CREATES) {
      const answer = await call('POST', SERVERS, body)
      assert.equal(answer.status, 400, `${why}: ${JSON.stringify(answer.body)}`)
      assert.deepEqual(Object.keys(answer.body).sort(), Object.keys(fields).sort(), why)
      for (const [field, text] of Object.entries(fields)) {
        assert.equal(typeof answer.body[field][0], 'string', why)
        if (text !== null) assert.deepEqual(answer.body[field], [text], why)
      }
    }
    assert.deepEqual(await made(wire()), before)
  })

  test('bad updates name the fields and change nothing', async () => {
    const before = await call('GET', server())
    const FULL = { name: 'a', hostname: 'a', backups_enabled: true }
    const bad: [method: string, body: unknown, field: string, text: string | null][] = [
      ['PUT', undefined, 'name', REQUIRED],
      ['PUT', { name: 'a', backups_enabled: true }, 'hostname', REQUIRED],
      ['PUT', { ...FULL, hostname: null }, 'hostname', NULL],
      ['PUT', { ...FULL, backups_enabled: 'maybe' }, 'backups_enabled', 'Must be a valid boolean.'],
      ['PATCH', { name: '' }, 'name', 'This field may not be blank.'],
      ['PATCH', { name: 'a b' }, 'name', LETTERS],
      ['PATCH', { hostname: '-a' }, 'hostname', null],
      ['PATCH', { name: 'good', backups_enabled: 1 }, 'backups_enabled', 'Must be a valid boolean.'],
      ['PATCH', [], 'non_field_errors', null],
    ]
    for (const [method, body, field, text] of bad) {
      const answer = await call(method, server(), body)
      assert.equal(answer.status, 400, JSON.stringify([body, answer.body]))
      if (text === null) assert.ok(answer.body[field].length > 0)
      else assert.deepEqual(answer.body[field], [text])
    }
    assert.deepEqual((await call('GET', server())).body, before.body)
  })
})
