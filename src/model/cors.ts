/** Cross-origin rules of a bucket (S3 API, "PutBucketCors"; Fetch standard, "CORS protocol"). */
import { matchesWildcard } from './wildcard.ts'

export interface CorsRule {
  id?: string
  /** With at most one `*`. */
  allowedOrigins: readonly string[]
  allowedMethods: readonly string[]
  /** With at most one `*`; any letter case. */
  allowedHeaders: readonly string[]
  exposeHeaders: readonly string[]
  maxAgeSeconds?: number
}

export const CORS_METHODS = ['GET', 'PUT', 'POST', 'DELETE', 'HEAD'] as const
export const CORS_RULES_MAX = 100 // S3 API, "PutBucketCors"

export interface Preflight {
  origin: string
  /** Of the request that is to come. */
  method: string
  /** The header of that name, as it came; undefined = none. */
  requestHeaders: string | undefined
}
export type CorsHeaders = Readonly<Record<string, string>>

const VARY = 'Origin, Access-Control-Request-Headers, Access-Control-Request-Method'

/** What a preflight is answered with; null = no rule allows it. */
export function answerPreflight(rules: readonly CorsRule[], preflight: Preflight): CorsHeaders | null {
  const names = (preflight.requestHeaders ?? '')
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '')
  const rule = rules.find(
    (rule) =>
      fits(rule, preflight.origin, preflight.method) &&
      names.every((name) => rule.allowedHeaders.some((pattern) => matchesWildcard(pattern.toLowerCase(), name, null))),
  )
  if (!rule) return null
  return {
    ...originHeaders(rule, preflight.origin),
    'access-control-allow-methods': rule.allowedMethods.join(', '),
    ...(names.length > 0 && { 'access-control-allow-headers': names.join(', ') }),
    ...(rule.exposeHeaders.length > 0 && { 'access-control-expose-headers': rule.exposeHeaders.join(', ') }),
    ...(rule.maxAgeSeconds !== undefined && { 'access-control-max-age': String(rule.maxAgeSeconds) }),
  }
}

/** What the answer to a request from a page carries, an error's too; nothing when no rule fits. */
export function corsHeaders(rules: readonly CorsRule[], origin: string, method: string): CorsHeaders {
  const rule = rules.find((rule) => fits(rule, origin, method))
  if (!rule) return {}
  return {
    ...originHeaders(rule, origin),
    'access-control-allow-methods': rule.allowedMethods.join(', '),
    ...(rule.exposeHeaders.length > 0 && { 'access-control-expose-headers': rule.exposeHeaders.join(', ') }),
  }
}

const fits = (rule: CorsRule, origin: string, method: string): boolean =>
  rule.allowedMethods.includes(method) && rule.allowedOrigins.some((pattern) => matchesWildcard(pattern, origin, null))

/** The first pattern that fits decides, so that a rule which just says `*` lets nobody send credentials. */
function originHeaders(rule: CorsRule, origin: string): CorsHeaders {
  const pattern = rule.allowedOrigins.find((pattern) => matchesWildcard(pattern, origin, null))
  if (pattern === '*') return { 'access-control-allow-origin': '*', vary: VARY }
  return { 'access-control-allow-origin': origin, 'access-control-allow-credentials': 'true', vary: VARY }
}
