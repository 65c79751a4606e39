/** Accounts and what they log in with. */
import { hashPassword, randomSecret } from '../lib/secrets.ts'
import type { AccountId } from '../model/ids.ts'
import * as accounts from '../store/accounts.ts'
import { atomically, type Db } from '../store/db.ts'
import * as accessKeys from './access-keys.ts'
import { makeKey } from './api-keys.ts'
import { allow, type Ctx, type ServiceSettings } from './ctx.ts'

export type { Account } from '../store/accounts.ts'

/** The fields of `credentials.json`. The secrets in it are shown this once. */
export interface Credentials {
  email: string
  apiKey: string
  consolePassword: string
  s3AccessKeyId: string
  s3SecretAccessKey: string
  apiUrl: string
  s3Url: string
  dnsAddress: string
}

export interface CreateInput {
  email: string
  name?: string
  isOperator?: boolean
}

export async function create(ctx: Ctx, input: CreateInput): Promise<Credentials> {
  allow(ctx, 'operator')
  const { credentials } = await createWithCredentials(ctx.db, ctx.settings, input)
  return credentials
}

/** Also how the first start makes the owner, when there is nobody yet who could ask for it. */
export async function createWithCredentials(
  db: Db,
  settings: ServiceSettings,
  { email, name, isOperator = false }: CreateInput,
): Promise<{ accountId: AccountId; credentials: Credentials }> {
  const consolePassword = randomSecret(15)
  const consolePasswordHash = await hashPassword(consolePassword)
  return atomically(db, async (tx) => {
    const account = await accounts.insert(tx, {
      email: email.trim(),
      name: name?.trim() || email.trim(),
      isOperator,
      creditMinor: null,
      consolePasswordHash,
    })
    const { apiKey } = await makeKey(tx, { accountId: account.id, name: 'first key', service: 'api', isOperator })
    const pair = await accessKeys.make(tx, settings.masterKey, account.id, { name: 'first key' })
    const { apiUrl, s3Url, dnsAddress } = settings
    const credentials = {
      email: account.email,
      apiKey,
      consolePassword,
      s3AccessKeyId: pair.accessKeyId,
      s3SecretAccessKey: pair.secretAccessKey,
      apiUrl,
      s3Url,
      dnsAddress,
    }
    return { accountId: account.id, credentials }
  })
}

export async function list(ctx: Ctx, page: { limit: number; offset: number }) {
  allow(ctx, 'operator')
  return accounts.list(ctx.db, page)
}

/** The caller's own account. */
export async function own(ctx: Ctx): Promise<accounts.Account> {
  allow(ctx, 'account:read')
  return accounts.get(ctx.db, ctx.caller.accountId)
}
