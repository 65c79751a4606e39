/** Accounts and what they log in with. */
import { hashPassword, randomSecret } from '../lib/secrets.ts'
import { notFound } from '../model/errors.ts'
import type { AccountId } from '../model/ids.ts'
import * as accounts from '../store/accounts.ts'
import { atomically, type Db } from '../store/db.ts'
import * as instances from '../store/instances.ts'
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
  /** Minor units; null = unlimited, which is the default. */
  creditMinor?: number | null
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
  { email, name, isOperator = false, creditMinor = null }: CreateInput,
): Promise<{ accountId: AccountId; credentials: Credentials }> {
  const consolePassword = randomSecret(15)
  const consolePasswordHash = await hashPassword(consolePassword)
  return atomically(db, async (tx) => {
    const account = await accounts.insert(tx, {
      email: email.trim(),
      name: name?.trim() || email.trim(),
      isOperator,
      creditMinor,
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

export interface Credit {
  /** Minor units; null = unlimited. */
  creditMinor: number | null
  /** What the account's instances cost a month. */
  committedMinor: number
}

/** Of the caller's own account, or of another for an operator. */
export async function credit(ctx: Ctx, ref?: string): Promise<Credit> {
  allow(ctx, ref === undefined ? 'account:read' : 'operator')
  return creditOf(ctx.db, ref === undefined ? ctx.caller.accountId : await idOf(ctx, ref))
}

/** Less than what is committed takes nothing away: it only refuses what would come next. */
export async function setCredit(ctx: Ctx, ref: string, creditMinor: number | null): Promise<Credit> {
  allow(ctx, 'operator')
  const id = await idOf(ctx, ref)
  await accounts.setCredit(ctx.db, id, creditMinor)
  return creditOf(ctx.db, id)
}

async function idOf(ctx: Ctx, ref: string): Promise<AccountId> {
  const account = await accounts.find(ctx.db, ref)
  if (!account) throw notFound('account', ref)
  return account.id
}

const creditOf = async (db: Db, id: AccountId): Promise<Credit> => ({
  creditMinor: await accounts.credit(db, id),
  committedMinor: await instances.monthlyPrice(db, id),
})
