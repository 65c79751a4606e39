/**
 * What a request line is about. The raw target is read byte by byte: a key is opaque, so `//`, `/./` and `/../` are
 * parts of it and WHATWG URL, which normalises them, has no place here. Each `%XX` is decoded exactly once.
 */
import { KEY_MAX_BYTES } from '../../model/object.ts'
import { S3Error } from '../../model/s3-error.ts'

export interface Target {
  /** Null: the service itself. As sent, not yet known to be a valid name. */
  bucket: string | null
  /** Null: the bucket itself. */
  key: string | null
  /** The path as sent, without the query. */
  rawPath: string
  /** The path with its escapes decoded: what a signature is made over, encoded anew. */
  path: string
  query: Query
  style: 'path' | 'host' | 'website'
}

export interface Query {
  /** In the order sent, decoded. */
  items: readonly (readonly [name: string, value: string])[]
  /** As sent, without the question mark. */
  raw: string
  has(name: string): boolean
  /** The first one's value. */
  get(name: string): string | undefined
}

export interface Domains {
  /** Base domains of the virtual-hosted style. */
  s3: readonly string[]
  /** Base domain of static websites. */
  website: string | null
}

const QUERY_ITEMS_MAX = 200 // the longest real one, a presigned URL with metadata, has some thirty

/** Throws InvalidURI, InvalidArgument (query) or KeyTooLongError. `host` is the Host header, with or without port. */
export function parseTarget(raw: string, host: string | undefined, domains: Domains): Target {
  const target = originForm(raw)
  const mark = target.indexOf('?')
  const rawPath = mark === -1 ? target : target.slice(0, mark)
  const path = decode(rawPath, 'InvalidURI')
  const query = parseQuery(mark === -1 ? '' : target.slice(mark + 1))
  const where = hostOf(host, domains)
  const base = { rawPath, path, query, style: where.style }
  if (where.bucket !== null) return { ...base, bucket: where.bucket, key: keyOf(path.slice(1)) }
  const slash = path.indexOf('/', 1)
  const bucket = slash === -1 ? path.slice(1) : path.slice(1, slash)
  if (bucket === '') {
    if (path !== '/') throw new S3Error('InvalidURI') // `//key`: a key in no bucket
    return { ...base, bucket: null, key: null }
  }
  return { ...base, bucket, key: slash === -1 ? null : keyOf(path.slice(slash + 1)) }
}

function keyOf(key: string): string | null {
  if (key === '') return null
  const bytes = Buffer.byteLength(key)
  if (bytes <= KEY_MAX_BYTES) return key
  throw new S3Error('KeyTooLongError', undefined, {
    elements: { Size: String(bytes), MaxSizeAllowed: String(KEY_MAX_BYTES) },
  })
}

/** RFC 9112, section 3.2: a proxy may send `http://host/path`. */
function originForm(raw: string): string {
  if (raw.startsWith('/')) return raw
  const absolute = /^https?:\/\/[^/?]*/i.exec(raw)
  if (!absolute) throw new S3Error('InvalidURI')
  const rest = raw.slice(absolute[0].length)
  return rest.startsWith('/') ? rest : `/${rest}`
}

/** The longest base domain wins; a host that is a base domain itself, or none we know, means path style. */
function hostOf(header: string | undefined, domains: Domains): { style: Target['style']; bucket: string | null } {
  const host = (header ?? '').replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase()
  const bases = [...domains.s3.map((base) => [base, 'host'] as const), [domains.website, 'website'] as const]
  let best: { base: string; style: 'host' | 'website' } | null = null
  for (const [base, style] of bases) {
    if (base === null || (host !== base && !host.endsWith(`.${base}`))) continue
    if (best === null || base.length > best.base.length) best = { base, style }
  }
  if (best === null || host === best.base) return { style: 'path', bucket: null }
  return { style: best.style, bucket: host.slice(0, -best.base.length - 1) }
}

export function parseQuery(raw: string): Query {
  const parts = raw === '' ? [] : raw.split('&')
  if (parts.length > QUERY_ITEMS_MAX) throw new S3Error('InvalidArgument', 'The query has too many parameters.')
  const items = parts
    .filter((part) => part !== '')
    .map((part) => {
      const equals = part.indexOf('=')
      const [name, value] = equals === -1 ? [part, ''] : [part.slice(0, equals), part.slice(equals + 1)]
      return [decodeForm(name), decodeForm(value)] as const
    })
  return {
    items,
    raw,
    has: (name) => items.some(([other]) => other === name),
    get: (name) => items.find(([other]) => other === name)?.[1],
  }
}

/** In a query a plus is a space, as HTML forms write it; in a path it is a plus. */
const decodeForm = (text: string): string => decode(text.replaceAll('+', ' '), 'InvalidArgument')

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const PLAIN = /^[\x01-\x24\x26-\x7f]*$/ // ASCII without NUL and without %

/**
 * `text` holds one byte per character, as Node.js gives it. Throws for an incomplete escape, for what is no UTF-8 and
 * for NUL, which no database text can hold.
 */
export function decode(text: string, code: 'InvalidURI' | 'InvalidArgument'): string {
  if (PLAIN.test(text)) return text
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) throw new S3Error(code)
  const unescaped = text.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  if (unescaped.includes('\0')) throw new S3Error(code)
  try {
    return utf8.decode(Buffer.from(unescaped, 'latin1'))
  } catch (cause) {
    throw new S3Error(code, undefined, { cause })
  }
}
