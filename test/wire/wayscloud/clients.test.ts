/** WAYSCloud's clients, as far as they can be played without them: what they send, and what they need to find. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'
import { newId } from '../../../src/model/ids.ts'
import type { Wire } from '../wire.ts'
import { wireOfSuite } from '../wire.ts'

describe('clients of WAYSCloud', () => {
  const wire = wireOfSuite()

  test('the SDK, the CLI and the Terraform provider', async () => {
    const key = await vendorKey(wire())
    const script = join(import.meta.dirname, 'clients.py')
    await promisify(execFile)('/usr/bin/python3', [script, wire().apiUrl, key], { timeout: 120_000 })
  })

  test('the same about storage, and boto3 with the credentials it gives', async () => {
    const { call, apiUrl, keys } = wire()
    const made = await call<{ apiKey: string }>('POST', '/havn/v1/keys', { name: 's', service: 'storage' }, keys.other)
    const script = join(import.meta.dirname, 'storage-clients.py')
    const { AWS_CA_BUNDLE: _, ...env } = process.env
    await promisify(execFile)('/usr/bin/python3', [script, apiUrl, made.body.apiKey], { timeout: 120_000, env })
  })

  test('a key in both headers, and one of the vendor’s in either', async () => {
    const key = await vendorKey(wire())
    for (const headers of [
      { 'x-api-key': key },
      { authorization: `Bearer ${key}` },
      { 'x-api-key': key, authorization: `Bearer ${key}` },
    ]) {
      assert.equal((await fetch(`${wire().apiUrl}/v1/vps`, { headers })).status, 200)
    }
    const wrong = await fetch(`${wire().apiUrl}/v1/vps`, { headers: { 'x-api-key': `${key}x` } })
    assert.deepEqual([wrong.status, await wrong.json()], [401, { detail: 'Invalid or missing API key' }])
  })
})

/** A key of the shape that the vendor hands out, as an import of somebody's keys would leave it. */
async function vendorKey({ db, keys }: Wire): Promise<string> {
  const prefix = createHash('sha256').update(String(Math.random())).digest('hex').slice(0, 10)
  const text = `wayscloud_vps_${prefix}_${'s'.repeat(56)}`
  // Of the other account, which has no instances: what the clients see is what they made.
  const keyId = /^havn_\w+?_([a-z0-9]+)_/.exec(keys.other)![1]!
  const { account_id } = await db
    .selectFrom('api_key')
    .select('account_id')
    .where('key_id', '=', keyId)
    .executeTakeFirstOrThrow()
  await db
    .insertInto('api_key')
    .values({
      id: newId('apiKey'),
      account_id,
      name: 'from the vendor',
      service: 'vps',
      key_id: prefix,
      secret_sha256: createHash('sha256').update(text).digest(),
      scopes: ['instances:read', 'instances:write', 'images:read', 'account:read'],
    })
    .execute()
  return text
}
