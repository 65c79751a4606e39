/** What the wire tests share: a cloud with one running instance, and a key of every kind that may knock. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before } from 'node:test'
import type { Instance } from '../../src/dialects/native/contract/instances.ts'
import { newKeyText } from '../../src/model/api-key.ts'
import { newId } from '../../src/model/ids.ts'
import { type Cloud, type CloudOptions, startCloud } from '../cloud.ts'

export interface Wire extends Cloud {
  instance: Instance
  keys: { owner: string; reader: string; expired: string; other: string; storage: string; wrong: string }
}

// The failed logins of a table of wrong keys are not what the table is about.
const ENV = { HAVN_RATE_FAILED_LOGINS: '100000', HAVN_VERIFY: 'off' }

export async function startWire(t: Parameters<typeof startCloud>[0], options: CloudOptions = {}): Promise<Wire> {
  const cloud = await startCloud(t, { ...options, env: { ...ENV, ...options.env } })
  const key = async (wish: object) => (await cloud.call<{ apiKey: string }>('POST', '/havn/v1/keys', wish)).body.apiKey
  const other = await cloud.call<{ apiKey: string }>('POST', '/havn/v1/accounts', { email: 'other@example.net' })
  assert.equal(other.status, 201)
  const keys = {
    owner: cloud.ownerKey,
    reader: await key({ name: 'reader', readOnly: true }),
    storage: await key({ name: 'storage', service: 'storage' }),
    expired: await expiredKey(cloud),
    other: other.body.apiKey,
    wrong: newKeyText('vps').text,
  }
  const made = await cloud.call<{ instance: Instance }>('POST', '/havn/v1/instances', {
    name: 'web',
    imageId: 'debian-12',
  })
  assert.equal(made.status, 201)
  return { ...cloud, keys, instance: await untilState(cloud, made.body.instance.id, 'running') }
}

/** One cloud for all tests of a `describe`. */
export function wireOfSuite(options: CloudOptions = {}): () => Wire {
  let wire: Wire | undefined
  const ends: (() => Promise<void>)[] = []
  before(async () => {
    wire = await startWire({ after: (end) => void ends.push(end) }, options)
  })
  after(async () => {
    for (const end of ends) await end()
  })
  return () => wire!
}

const LIMIT_MS = 30_000

export async function until<T>(what: string, look: () => Promise<T | null | undefined | false>): Promise<T> {
  const end = performance.now() + LIMIT_MS
  for (;;) {
    const found = await look()
    if (found) return found
    assert.ok(performance.now() < end, `waited ${LIMIT_MS} ms for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

export const untilState = (cloud: Cloud, id: string, state: Instance['state']): Promise<Instance> =>
  until(`${id} to be ${state}`, async () => {
    const { body } = await cloud.call<Instance>('GET', `/havn/v1/instances/${id}`)
    return body.state === state && body
  })

/** No call makes a key that is expired already. */
async function expiredKey({ db, credentials }: Cloud): Promise<string> {
  const { text, keyId } = newKeyText('api')
  const owner = await db
    .selectFrom('account')
    .select('id')
    .where('email', '=', credentials.email)
    .executeTakeFirstOrThrow()
  await db
    .insertInto('api_key')
    .values({
      id: newId('apiKey'),
      account_id: owner.id,
      name: 'expired',
      service: 'api',
      key_id: keyId,
      secret_sha256: createHash('sha256').update(text).digest(),
      scopes: ['instances:read', 'instances:write', 'account:read', 'account:write', 'images:read', 'operator'],
      expires_at: new Date(Date.now() - 1000),
    })
    .execute()
  return text
}

/** Counts of everything a call could have made, to see that it made nothing. */
export async function census(db: Cloud['db']): Promise<Record<string, number>> {
  const tables = [
    'instance',
    'operation',
    'strand',
    'ip_address',
    'api_key',
    'account',
    'idempotency',
    'event',
  ] as const
  const counts = tables.map(async (table) => {
    const { count } = await db
      .selectFrom(table)
      .select((eb) => eb.fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow()
    return [table, count] as const
  })
  return Object.fromEntries(await Promise.all(counts))
}
