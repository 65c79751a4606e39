/** API keys: making, revoking, and finding out who holds one. */
import { timingSafeEqual } from 'node:crypto'
import { sha256 } from '../lib/secrets.ts'
import { newKeyText, parseKeyText } from '../model/api-key.ts'
import { CloudError, invalidField } from '../model/errors.ts'
import type { AccountId, ApiKeyId } from '../model/ids.ts'
import { type KeyService, readOnly, SCOPES_OF_SERVICE, type Scope } from '../model/scopes.ts'
import * as apiKeys from '../store/api-keys.ts'
import type { Db } from '../store/db.ts'
import { allow, type Caller, type Ctx } from './ctx.ts'

export type { ApiKey } from '../store/api-keys.ts'

export interface CreateInput {
  name: string
  service?: KeyService
  /** Default: all that the service allows to this caller. */
  scopes?: readonly Scope[]
  readOnly?: boolean
  expiresAt?: Date
}

/** Nobody can make a key that may do more than the one it is made with. */
export async function create(ctx: Ctx, input: CreateInput): Promise<{ key: apiKeys.ApiKey; apiKey: string }> {
  allow(ctx, 'account:write')
  const service = input.service ?? 'api'
  const ofService = widestScopes(service, ctx.caller.scopes.has('operator'))
  const asked = input.scopes ?? ofService.filter((scope) => ctx.caller.scopes.has(scope))
  const tooMuch = asked.find((scope) => !ofService.includes(scope) || !ctx.caller.scopes.has(scope))
  if (tooMuch) throw invalidField('scopes', `a ${service} key made with this key cannot have the scope ${tooMuch}`)
  const scopes = input.readOnly ? readOnly(asked) : asked
  return makeKey(ctx.db, {
    accountId: ctx.caller.accountId,
    name: input.name,
    service,
    scopes,
    expiresAt: input.expiresAt ?? null,
  })
}

const widestScopes = (service: KeyService, isOperator: boolean): readonly Scope[] =>
  isOperator && (service === 'api' || service === 'pat')
    ? [...SCOPES_OF_SERVICE[service], 'images:write', 'operator']
    : SCOPES_OF_SERVICE[service]

export async function makeKey(
  db: Db,
  input: {
    accountId: AccountId
    name: string
    service: KeyService
    scopes?: readonly Scope[]
    isOperator?: boolean
    expiresAt?: Date | null
  },
): Promise<{ key: apiKeys.ApiKey; apiKey: string }> {
  const { text, keyId } = newKeyText(input.service)
  const key = await apiKeys.insert(db, {
    accountId: input.accountId,
    name: input.name,
    service: input.service,
    keyId,
    secretSha256: sha256(text),
    scopes: input.scopes ?? widestScopes(input.service, input.isOperator ?? false),
    expiresAt: input.expiresAt ?? null,
  })
  return { key, apiKey: text }
}

export async function list(ctx: Ctx): Promise<apiKeys.ApiKey[]> {
  allow(ctx, 'account:read')
  return apiKeys.list(ctx.db, ctx.caller.accountId)
}

export async function revoke(ctx: Ctx, ref: string): Promise<apiKeys.ApiKey> {
  allow(ctx, 'account:write')
  return apiKeys.revoke(ctx.db, ctx.caller.accountId, ref)
}

export interface Principal extends Caller {
  apiKeyId: ApiKeyId
  keyId: string
  service: KeyService
  expiresAt: Date | null
  email: string
}

/** Who holds this key, or null: unknown, revoked, expired and malformed ones look the same from outside. */
export async function authenticate(db: Db, text: string): Promise<Principal | null> {
  const parsed = parseKeyText(text)
  if (!parsed) return null
  const row = await apiKeys.findForLogin(db, parsed.keyId)
  if (!row || row.isExpired || !timingSafeEqual(row.secretSha256, sha256(text))) return null
  if (row.suspendedReason !== null) {
    throw new CloudError('forbidden', `the account is suspended: ${row.suspendedReason}`)
  }
  return {
    accountId: row.accountId,
    apiKeyId: row.id,
    scopes: new Set(row.scopes),
    keyId: parsed.keyId,
    service: row.service,
    expiresAt: row.expiresAt,
    email: row.email,
  }
}

export const touch = apiKeys.touch
