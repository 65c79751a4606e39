/**
 * Who calls. Each dialect says where its clients put the key; here the texts are read and turned into a principal by one
 * look-up. A principal is remembered for two seconds at most, and not at all unless somebody tells us when keys change.
 */
import { hash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { AccountId, ApiKeyId } from '../../model/ids.ts'
import type { Scope } from '../../model/scopes.ts'

export interface Token {
  text: string
  /** With HTTP Basic: must be the e-mail of the key's account. */
  email?: string
}
export type TokenReader = (headers: IncomingHttpHeaders) => Token | null

export interface Principal {
  accountId: AccountId
  apiKeyId: ApiKeyId
  email: string
  scopes: ReadonlySet<Scope>
}

/** What the room needs of the service `api-keys`, on the pool. */
export interface Access {
  /** Null: no such key, wrong secret, expired, revoked. */
  authenticate(text: string): Promise<Principal | null>
  /** Writes when the key was last used. */
  touch(id: ApiKeyId): Promise<void>
}

const KEY_LENGTH_MAX = 256

const headerReader =
  (name: string): TokenReader =>
  (headers) => {
    const text = headers[name]
    return typeof text === 'string' && text !== '' ? { text } : null
  }
export const apiKeyHeader = headerReader('x-api-key')
export const leasewebHeader = headerReader('x-lsw-auth')

/** RFC 6750, section 2.1. */
export const bearer: TokenReader = ({ authorization }) => {
  const match = /^Bearer +(\S+) *$/i.exec(authorization ?? '')
  return match ? { text: match[1]! } : null
}

/** RFC 7617: the user is the account's e-mail, the password is the key. */
export const basic: TokenReader = ({ authorization }) => {
  const match = /^Basic +([A-Za-z0-9+/]+={0,2}) *$/i.exec(authorization ?? '')
  if (!match) return null
  const text = Buffer.from(match[1]!, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  return colon < 0 ? null : { email: text.slice(0, colon), text: text.slice(colon + 1) }
}

const REMEMBER_MS = 2_000 // a revoked key works no longer than this, should its notice get lost
const REMEMBERED_MAX = 10_000
const TOUCH_EVERY_MS = 60_000

export interface AuthOptions {
  access: Access
  /** Calls back whenever any key changed; absent: nothing is remembered. */
  onKeyChange?: ((listener: () => void) => void) | undefined
  onError(error: unknown): void
}

/** Returns the principal of the first token that is known, or null. */
export function createAuthenticator({ access, onKeyChange, onError }: AuthOptions) {
  const known = new Map<string, { principal: Principal; until: number }>()
  const touched = new Map<ApiKeyId, number>()
  let changes = 0
  onKeyChange?.(() => {
    changes++
    known.clear()
  })

  async function find(text: string): Promise<Principal | null> {
    if (text.length > KEY_LENGTH_MAX || text.includes('\0')) return null
    if (!onKeyChange) return access.authenticate(text)
    const digest = hash('sha256', text, 'base64')
    const hit = known.get(digest)
    if (hit && hit.until > performance.now()) return hit.principal
    const before = changes
    const principal = await access.authenticate(text)
    known.delete(digest)
    // A change that came in while we looked may concern what we read.
    if (principal && before === changes) {
      if (known.size >= REMEMBERED_MAX) known.clear()
      known.set(digest, { principal, until: performance.now() + REMEMBER_MS })
    }
    return principal
  }

  /** Off the request's path: nobody waits for it and its failure harms nobody. */
  function noteUse(id: ApiKeyId): void {
    const at = performance.now()
    const last = touched.get(id)
    if (last !== undefined && at - last < TOUCH_EVERY_MS) return
    if (touched.size >= REMEMBERED_MAX) touched.clear()
    touched.set(id, at)
    access.touch(id).catch(onError)
  }

  return async function authenticate(tokens: readonly Token[]): Promise<Principal | null> {
    for (const { text, email } of tokens) {
      const principal = await find(text)
      if (!principal || (email !== undefined && email.toLowerCase() !== principal.email.toLowerCase())) continue
      noteUse(principal.apiKeyId)
      return principal
    }
    return null
  }
}
