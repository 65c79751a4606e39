/** What Leaseweb's API must refuse: bodies, queries, ids that are none. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Instance } from '../../../src/dialects/native/contract/instances.ts'
import { newIdentity } from '../../../src/model/ids.ts'
import { census, wireOfSuite } from '../wire.ts'
import { isError, type Json, S, serverPath } from './leaseweb.ts'

describe('wrong input', () => {
  const wire = wireOfSuite()
  const refused = async (method: string, path: string, body?: unknown, fields?: string[]) => {
    const answer = await wire().call<Json>(method, path, body)
    isError(answer, 400)
    assert.deepEqual(Object.keys(answer.body.errorDetails), fields, `${method} ${path} ${JSON.stringify(body)}`)
    for (const texts of Object.values<string[]>(answer.body.errorDetails)) {
      assert.ok(texts.length > 0 && texts.every((text) => /[.!?]$/.test(text)), JSON.stringify(texts))
    }
  }

  test('bodies', async () => {
    const server = serverPath(wire())
    const before = await census(wire().db)
    const wrong: [method: string, path: string, body: unknown, fields: string[]][] = [
      ['PUT', '', undefined, ['reference']],
      ['PUT', '', {}, ['reference']],
      ['PUT', '', { reference: null }, ['reference']],
      ['PUT', '', { reference: 7 }, ['reference']],
      ['PUT', '', { reference: 'x'.repeat(256) }, ['reference']],
      ['PUT', '', ['reference'], ['body']],
      ['PUT', '', 'text', ['body']],
      ['POST', '/reinstall', undefined, ['operatingSystemId']],
      ['POST', '/reinstall', { operatingSystemId: 12 }, ['operatingSystemId']],
      ['POST', '/reinstall', { operatingSystemId: 'BEOS_5' }, ['operatingSystemId']],
      ['POST', '/reinstall', { operatingSystemId: 'debian-12' }, ['operatingSystemId']],
      ['POST', '/reinstall', { operatingSystemId: 'WINDOWS_SERVER_2025_64' }, ['operatingSystemId']],
      ['PUT', '/credentials', undefined, ['username', 'password', 'type']],
      ['PUT', '/credentials', { username: '', password: '', type: 'ROOT' }, ['username', 'password', 'type']],
      ['PUT', '/credentials', { username: 'a\nb', password: 'x', type: 'OPERATING_SYSTEM' }, ['username']],
      ['PUT', '/credentials', { username: 'root', password: 5, type: 'OPERATING_SYSTEM' }, ['password']],
      ['PUT', '/credentials', { username: 'root', password: 'x'.repeat(1025), type: 'CONTROL_PANEL' }, ['password']],
      ['PUT', '/credentials', { username: 'root', password: 'x', type: 'operating_system' }, ['type']],
      ['POST', '/snapshots', undefined, ['name']],
      ...['', ' a', '1a', 'a-b', 'a_b', 'a\n', 'ä', 'a'.repeat(256), 'a/b', "a'; --", null, 5, ['a']].map(
        (name): [string, string, unknown, string[]] => ['POST', '/snapshots', { name }, ['name']],
      ),
    ]
    for (const [method, path, body, fields] of wrong) await refused(method, server + path, body, fields)
    const unreadable = await fetch(`${wire().apiUrl}${server}/snapshots`, {
      method: 'POST',
      headers: { 'x-lsw-auth': wire().ownerKey, 'content-type': 'application/json' },
      body: '{"name":',
    })
    isError({ status: unreadable.status, headers: unreadable.headers, body: await unreadable.json() }, 400)
    assert.deepEqual(await census(wire().db), before)
    const { body } = await wire().call<Instance>('GET', `/havn/v1/instances/${wire().instance.id}`)
    assert.deepEqual(body, wire().instance, 'nothing was changed')
  })

  test('queries', async () => {
    const server = serverPath(wire())
    const lists = [S, `${server}/templates`, `${server}/snapshots`, `${server}/credentials/OPERATING_SYSTEM`]
    for (const path of lists) {
      for (const limit of ['0', '-1', 'x', '1.5', '1e2', '1001', '9'.repeat(30), '%20', '']) {
        await refused('GET', `${path}?limit=${limit}`, undefined, ['limit'])
      }
      for (const offset of ['-1', 'x', '0.5', '9'.repeat(30), '']) {
        await refused('GET', `${path}?offset=${offset}`, undefined, ['offset'])
      }
      await refused('GET', `${path}?limit=1&limit=2`, undefined, ['limit'])
      assert.equal((await wire().call('GET', `${path}?limit=1000&offset=999999999999999`)).status, 200)
    }
    const traffic = `${server}/metrics/datatraffic`
    const span = 'from=2024-02-01&to=2024-02-02'
    for (const [query, fields] of [
      ['granularity=1h', ['granularity']],
      ['granularity=WEEK', ['granularity']],
      ['granularity=day', ['granularity']],
      ['aggregation=AVG', ['aggregation']],
      ['from=yesterday', ['from']],
      ['from=2024-02-30', ['from']],
      ['to=2024-13-01', ['to']],
      ['from=2024-02-02&to=2024-02-01', ['to']],
      ['from=2024-02-02&to=2024-02-02', ['to']],
      ['from=0001-01-01&to=2024-02-02', ['from']],
      ['from=1971-01-01&to=2024-02-02&granularity=5MIN', ['granularity']],
    ] as [string, string[]][]) {
      await refused('GET', `${traffic}?${query}`, undefined, fields)
    }
    for (const query of [
      span,
      `${span}&granularity=HOUR`,
      'from=2024-02-01T00:00:00+00:00&to=2024-03-01',
      'from=2999-01-01&to=2999-02-01',
    ]) {
      assert.equal((await wire().call('GET', `${traffic}?${query}`)).status, 200, query)
    }
    await refused('GET', `${server}/credentials/ROOT`, undefined, ['credentialType'])
    await refused('GET', `${server}/credentials/operating_system/root`, undefined, ['credentialType'])
  })

  test('ids that are none, unknown, or another account’s', async () => {
    const before = await census(wire().db)
    const { uuid, id, name, number } = wire().instance
    const nobody = newIdentity('snapshot').uuid
    const theirs = await wire().call<{ instance: Instance }>(
      'POST',
      '/havn/v1/instances',
      { name: String(number + 7) },
      wire().keys.other,
    )
    const foreign = theirs.body.instance.number
    for (const bad of [
      '0',
      '999999',
      String(foreign),
      uuid,
      id,
      name,
      `0${number}`,
      `+${number}`,
      `${number}.0`,
      '1e4',
      '-1',
      '9'.repeat(40),
      '..%2f..',
      '%00',
      '%zz',
      'x'.repeat(4096),
      `${number}%20`,
    ]) {
      for (const [method, rest, body] of [
        ['GET', '', undefined],
        ['PUT', '', { reference: 'mine' }],
        ['POST', '/powerOff', undefined],
        ['POST', '/reinstall', { operatingSystemId: 'DEBIAN_12_64' }],
        ['GET', '/templates', undefined],
        ['GET', '/credentials/OPERATING_SYSTEM/root', undefined],
        ['PUT', '/credentials', { username: 'root', password: 'x', type: 'OPERATING_SYSTEM' }],
        ['GET', '/metrics/datatraffic', undefined],
        ['GET', '/snapshots', undefined],
        ['POST', '/snapshots', { name: 'mine' }],
        ['POST', `/snapshots/${nobody}/restore`, undefined],
        // Nor does a bad request tell whether there is one.
        ['PUT', '', { reference: 5 }],
        ['POST', '/reinstall', undefined],
        ['GET', '/templates?limit=0', undefined],
        ['GET', '/credentials/nonsense', undefined],
        ['PUT', '/credentials', {}],
        ['GET', '/metrics/datatraffic?granularity=1h', undefined],
        ['GET', '/snapshots?offset=-1', undefined],
        ['POST', '/snapshots', { name: '1' }],
      ] as const) {
        isError(await wire().call<Json>(method, `${S}/${bad}${rest}`, body), 404)
      }
    }
    const server = serverPath(wire())
    for (const bad of [nobody, 'x', '1', 'Snapshot%201', nobody.toUpperCase(), '%00']) {
      for (const [method, rest] of [
        ['GET', ''],
        ['DELETE', ''],
        ['POST', '/restore'],
      ] as const) {
        const answer = await wire().call<Json>(method, `${server}/snapshots/${bad}${rest}`)
        isError(answer, 404)
        if (bad === 'x') assert.equal(answer.body.errorMessage, "Resource 'x' was not found")
      }
    }
    for (const path of [
      '/cloud',
      '/cloud/v2',
      '/cloud/v2/virtualservers',
      `${server}/nothing`,
      `${server}/powerOn/x`,
    ]) {
      isError(await wire().call<Json>('GET', path), 404)
    }
    const method = await wire().call<Json>('DELETE', server)
    isError(method, 405)
    assert.deepEqual([method.body.errorCode, method.headers.get('allow')], ['405', 'GET, PUT, HEAD, OPTIONS'])
    const { instance, operation, strand, ip_address, event, ...after } = await census(wire().db)
    const { instance: _i, operation: _o, strand: _s, ip_address: _a, event: _e, ...rest } = before
    assert.deepEqual(after, rest)
    const seen = await wire().call<Instance>(
      'GET',
      `/havn/v1/instances/${theirs.body.instance.id}`,
      undefined,
      wire().keys.other,
    )
    assert.deepEqual([seen.body.reference, seen.body.image.id], [null, theirs.body.instance.image.id])
    assert.ok(instance && operation && strand && ip_address && event)
  })
})
