/**
 * Bodies: JSON of at most 1 MiB, read by our own parser because clients are odd (an empty body with a JSON content type,
 * no content type at all, `null` for nothing) and because what it lets in is what services and SQL see: no NUL
 * (PostgreSQL's text cannot hold it), no lone surrogates, no keys that reach for a prototype, no bottomless nesting.
 */
import { malformedBody, RequestError } from './errors.ts'

export const BODY_BYTES_MAX = 1024 * 1024
const DEPTH_MAX = 64
const JSON_TYPES = /^application\/(json|[a-z0-9.+-]+\+json)$/
const FORM_TYPE = 'application/x-www-form-urlencoded'

/** The body as a value; undefined when there is none. Throws `RequestError`. */
export function parseBody(bytes: Buffer, contentType: string | undefined, takesForms: boolean): unknown {
  if (bytes.length === 0) return undefined
  const type = (contentType ?? '').split(';', 1)[0]!.trim().toLowerCase()
  const isForm = takesForms && type === FORM_TYPE
  if (type !== '' && !isForm && !JSON_TYPES.test(type)) {
    throw new RequestError('unsupported_media_type', `send the body as application/json, not ${JSON.stringify(type)}`)
  }
  const text = decode(bytes)
  const value = isForm ? Object.fromEntries(new URLSearchParams(text)) : parseJson(text)
  refuseHarm(value)
  return value
}

/** Unpacking would let a small body become a large one. */
export function refuseEncoding(encoding: string | undefined): void {
  if (encoding === undefined || encoding.toLowerCase() === 'identity') return
  throw new RequestError('unsupported_media_type', 'send the body without Content-Encoding')
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new RequestError('invalid', 'the body is not UTF-8', {
      issues: [{ where: 'body', path: [], code: 'json_invalid', message: 'is not UTF-8' }],
      cause,
    })
  }
}

function parseJson(text: string): unknown {
  if (text.trim() === '') return undefined
  try {
    return JSON.parse(text)
  } catch (error) {
    throw malformedBody('json_invalid', `is not JSON: ${(error as Error).message}`)
  }
}

/** Without recursion: the input decides the depth. */
function refuseHarm(root: unknown): void {
  const rest: { value: unknown; depth: number }[] = [{ value: root, depth: 0 }]
  for (let at = rest.pop(); at; at = rest.pop()) {
    const { value, depth } = at
    if (typeof value === 'string') refuseText(value)
    if (typeof value !== 'object' || value === null) continue
    if (depth >= DEPTH_MAX) throw malformedBody('too_deep', `is nested deeper than ${DEPTH_MAX} levels`)
    for (const [key, member] of Object.entries(value)) {
      if (key === '__proto__' || (key === 'constructor' && isObjectWith(member, 'prototype'))) {
        throw malformedBody('forbidden_key', `must not have the key ${JSON.stringify(key)}`)
      }
      refuseText(key)
      rest.push({ value: member, depth: depth + 1 })
    }
  }
}

const isObjectWith = (value: unknown, key: string): boolean =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, key)

function refuseText(text: string): void {
  if (text.includes('\0') || !text.isWellFormed()) {
    throw malformedBody('invalid_text', 'holds text with a NUL or half a surrogate pair')
  }
}
