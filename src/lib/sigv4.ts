/**
 * Signature Version 4 as pure functions, for who signs (a client of some S3 cluster) and who verifies (a server of S3).
 * Source: Amazon S3 API reference, "Authenticating Requests (AWS Signature Version 4)".
 *
 * Header values are as Node.js gives and takes them: one character per byte (latin1). That is how they are hashed, so
 * that a client's UTF-8 in a header keeps its bytes.
 */
import { createHash, createHmac, createSecretKey, type KeyObject } from 'node:crypto'

export const ALGORITHM = 'AWS4-HMAC-SHA256'
export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD'
export const EMPTY_SHA256 = createHash('sha256').digest('hex')

/** Names and values as they were before any percent-encoding. */
export type Query = readonly (readonly [name: string, value: string])[]

export interface Scope {
  /** `YYYYMMDD` */
  date: string
  region: string
  service: string
}

export interface CanonicalParts {
  method: string
  /** Percent-encoded, as `encodePath` does it or as the other side sent it. */
  path: string
  query: Query
  /** By lower-case name; a repeated header has all its values, in order. Names that are not signed may be in it. */
  headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** Lower-case and sorted. */
  signedHeaders: readonly string[]
  /** Hex SHA-256 of the body, or one of the words that stand for it. */
  payloadHash: string
}

/** Every byte of the UTF-8 but `A-Za-z0-9-._~` becomes `%XX`. A lone surrogate becomes U+FFFD. */
export function encodeComponent(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

/** The same, but slashes stay. Nothing is normalised: `//` and `/../` are parts of a key. */
export const encodePath = (path: string): string => encodeComponent(path).replaceAll('%2F', '/')

export function canonicalRequest(parts: CanonicalParts): string {
  const headers = parts.signedHeaders.map((name) => `${name}:${canonicalHeader(parts.headers[name])}\n`)
  return [
    parts.method,
    parts.path,
    canonicalQuery(parts.query),
    headers.join(''),
    parts.signedHeaders.join(';'),
    parts.payloadHash,
  ].join('\n')
}

/** Sorted by encoded name, then encoded value; a name without a value gets its `=`; the signature itself stays out. */
export function canonicalQuery(query: Query): string {
  return query
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]): [string, string] => [encodeComponent(name), encodeComponent(value)])
    .sort(([name, value], [otherName, otherValue]) => compare(name, otherName) || compare(value, otherValue))
    .map(([name, value]) => `${name}=${value}`)
    .join('&')
}

export const scopeText = ({ date, region, service }: Scope): string => `${date}/${region}/${service}/aws4_request`

/** `time` as in `x-amz-date`. */
export function stringToSign(canonical: string, time: string, scope: Scope): string {
  const hash = createHash('sha256').update(canonical, 'latin1').digest('hex')
  return [ALGORITHM, time, scopeText(scope), hash].join('\n')
}

/**
 * Depends on the day, region and service only, so it is worth keeping. A key object, because Node.js makes one of every
 * Buffer that it is given as a key, which takes six times as long as the HMAC itself.
 */
export function signingKey(secretAccessKey: string, { date, region, service }: Scope): KeyObject {
  const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest()
  return createSecretKey(hmac(hmac(hmac(hmac(`AWS4${secretAccessKey}`, date), region), service), 'aws4_request'))
}

/** Lower-case hex. */
export const sign = (key: KeyObject, text: string): string => createHmac('sha256', key).update(text).digest('hex')

/** `20260131T235959Z` */
export const amzTime = (at: Date): string => at.toISOString().replace(/[-:]|\.\d{3}/g, '')

function canonicalHeader(value: string | readonly string[] | undefined): string {
  // Not \s: as latin1 it holds 0xA0, which is the second half of some letters in UTF-8.
  const tidy = (one: string) => one.replace(/[ \t]+/g, ' ').replace(/^ | $/g, '')
  return typeof value === 'string' ? tidy(value) : (value ?? []).map(tidy).join(',')
}

// By code unit, which for percent-encoded text is by byte.
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
