/** Access keys of the S3 protocol: making, showing, revoking. What signatures are checked with: signers.ts. */
import { randomBytes } from 'node:crypto'
import { randomSecret, seal, unseal } from '../lib/secrets.ts'
import { CloudError, invalidField } from '../model/errors.ts'
import type { AccountId } from '../model/ids.ts'
import * as accessKeys from '../store/access-keys.ts'
import * as accounts from '../store/accounts.ts'
import * as buckets from '../store/buckets.ts'
import { atomically, type Db } from '../store/db.ts'
import { allow, type Ctx } from './ctx.ts'

export type { AccessKey } from '../store/access-keys.ts'

/** A key with the secret that proves whoever holds it. */
export interface KeyPair {
  accessKeyId: string
  secretAccessKey: string
}

export interface CreateInput {
  name: string
  isReadOnly?: boolean
  /** Names of the only buckets it opens; they must be the account's. */
  buckets?: readonly string[]
}

const KEYS_MAX = 1000 // of one account: nobody can look after more, and every list of them is one answer

export async function create(ctx: Ctx, input: CreateInput): Promise<accessKeys.AccessKey & KeyPair> {
  allow(ctx, 'storage:write')
  const { accountId } = ctx.caller
  return atomically(ctx.db, async (tx) => {
    await accounts.lock(tx, accountId)
    if ((await accessKeys.list(tx, { accountId })).length >= KEYS_MAX) {
      throw new CloudError('quota_exceeded', `an account has at most ${KEYS_MAX} access keys: revoke one`)
    }
    for (const name of input.buckets ?? []) await ownBucket(tx, accountId, name)
    return make(tx, ctx.settings.masterKey, accountId, input)
  })
}

async function ownBucket(db: Db, accountId: AccountId, name: string): Promise<void> {
  const bucket = await buckets.find(db, name)
  if (bucket?.accountId !== accountId) throw invalidField('buckets', `you have no bucket ${JSON.stringify(name)}`, name)
}

/** Also how an account gets its first one. */
export async function make(
  tx: Db,
  masterKey: Buffer,
  accountId: AccountId,
  { name, isReadOnly = false, buckets }: CreateInput,
): Promise<accessKeys.AccessKey & KeyPair> {
  const pair = newKeyPair()
  const key = await accessKeys.insert(tx, {
    accessKeyId: pair.accessKeyId,
    accountId,
    name,
    secretSealed: seal(masterKey, pair.secretAccessKey),
    isReadOnly,
    buckets: buckets ?? null,
  })
  return { ...key, ...pair }
}

/** As long as clients expect them: 20 characters, 40 characters. */
const newKeyPair = (): KeyPair => ({
  accessKeyId: `HAVN${randomBytes(8).toString('hex').toUpperCase()}`,
  secretAccessKey: newSecret(),
})

/** 238 bits in letters and digits: what begins with a hyphen is an option to every program it is given to. */
function newSecret(): string {
  for (;;) {
    const text = randomSecret(60).replaceAll(/[-_]/g, '')
    if (text.length >= 40) return text.slice(0, 40)
  }
}

export async function list(ctx: Ctx, { ofBucket }: { ofBucket?: string } = {}): Promise<accessKeys.AccessKey[]> {
  allow(ctx, 'storage:read')
  return accessKeys.list(ctx.db, { accountId: ctx.caller.accountId, ...(ofBucket !== undefined && { ofBucket }) })
}

/** With its secret again: it is sealed, not hashed. So only who could make a key may see one. */
export async function show(ctx: Ctx, accessKeyId: string): Promise<accessKeys.AccessKey & KeyPair> {
  allow(ctx, 'storage:write')
  const { secretSealed, ...key } = await accessKeys.get(ctx.db, ctx.caller.accountId, accessKeyId)
  return { ...key, secretAccessKey: unseal(ctx.settings.masterKey, secretSealed) }
}

/** The account's first key that may everything, made when there is none. */
export async function main(ctx: Ctx): Promise<KeyPair> {
  allow(ctx, 'storage:write')
  const { accountId } = ctx.caller
  const known = await accessKeys.findFull(ctx.db, accountId)
  if (known) return opened(ctx, known)
  return atomically(ctx.db, async (tx) => {
    // Two that ask at once get the same key.
    await accounts.lock(tx, accountId)
    const meanwhile = await accessKeys.findFull(tx, accountId)
    return meanwhile ? opened(ctx, meanwhile) : make(tx, ctx.settings.masterKey, accountId, { name: 'storage' })
  })
}

const opened = (ctx: Ctx, key: { accessKeyId: string; secretSealed: Buffer }): KeyPair => ({
  accessKeyId: key.accessKeyId,
  secretAccessKey: unseal(ctx.settings.masterKey, key.secretSealed),
})

/** At once and for good. With `ofBucket` only a key that was made for that bucket is found. */
export async function revoke(
  ctx: Ctx,
  accessKeyId: string,
  { ofBucket }: { ofBucket?: string } = {},
): Promise<accessKeys.AccessKey> {
  allow(ctx, 'storage:write')
  const where = { accountId: ctx.caller.accountId, ...(ofBucket !== undefined && { ofBucket }) }
  return accessKeys.revoke(ctx.db, where, accessKeyId)
}
