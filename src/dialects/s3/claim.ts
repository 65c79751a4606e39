/**
 * What a request says about who sent it: the Authorization header or the query of a presigned URL, taken apart and
 * checked for all that can be checked without the key. Source: Amazon S3 API reference, "Authenticating Requests".
 */
import { ALGORITHM, amzTime, type Scope, UNSIGNED_PAYLOAD } from '../../lib/sigv4.ts'
import { S3Error, type S3ErrorCode, type S3ErrorDetails } from '../../model/s3-error.ts'
import type { RequestHeaders } from './headers.ts'
import type { Query } from './target.ts'

export interface Claim {
  accessKeyId: string
  scope: Scope
  /** Lower case, in the order given. */
  signedHeaders: readonly string[]
  /** As sent, not yet known to be hexadecimal. */
  signature: string
  /** As in `x-amz-date`. */
  time: string
  /** What stands for the body in the canonical request. */
  payloadHash: string
  isPresigned: boolean
}

const SKEW_MAX_MS = 15 * 60_000
const EXPIRES_MAX_SECONDS = 604_800 // seven days, fixed by the S3 API

/** Null: anonymous. `regions`: those we answer to, ours first. */
export function readClaim(
  headers: RequestHeaders,
  query: Query,
  { regions, now }: { regions: readonly string[]; now: Date },
): Claim | null {
  const authorization = headers.get('authorization')
  const isPresigned = query.has('X-Amz-Algorithm') || query.has('X-Amz-Signature') || query.has('X-Amz-Credential')
  if (query.has('AWSAccessKeyId') || authorization?.startsWith('AWS ')) throw oldSignature()
  if (authorization === undefined && !isPresigned) return null
  if (authorization !== undefined && isPresigned) {
    throw new S3Error(
      'InvalidArgument',
      'Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified',
    )
  }
  const claim =
    authorization === undefined
      ? fromQuery(headers, query, regions, now)
      : fromHeader(headers, authorization, regions, now)
  const token = headers.get('x-amz-security-token') ?? query.get('X-Amz-Security-Token')
  if (token !== undefined) throw new S3Error('InvalidToken')
  refuseUnsigned(headers, claim.signedHeaders)
  return claim
}

const oldSignature = () =>
  new S3Error(
    'InvalidRequest',
    'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.',
  )

type Details = Pick<S3ErrorDetails, 'elements' | 'headers'>

const headerMalformed = (why: string, details: Details = {}) =>
  new S3Error('AuthorizationHeaderMalformed', `The authorization header is malformed; ${why}`, details)

function fromHeader(headers: RequestHeaders, text: string, regions: readonly string[], now: Date): Claim {
  const space = text.indexOf(' ')
  const algorithm = space === -1 ? text : text.slice(0, space)
  if (algorithm === 'AWS4-ECDSA-P256-SHA256') throw new S3Error('NotImplemented', 'SigV4A is not supported.')
  if (algorithm !== ALGORITHM) throw new S3Error('InvalidArgument', 'Unsupported Authorization Type')
  const fields = new Map<string, string>()
  for (const field of text.slice(space + 1).split(',')) {
    const equals = field.indexOf('=')
    const name = field.slice(0, equals).trim()
    if (equals === -1 || fields.has(name)) throw headerMalformed('its fields cannot be told apart.')
    fields.set(name, field.slice(equals + 1).trim())
  }
  const [credential, signedHeaders, signature] = ['Credential', 'SignedHeaders', 'Signature'].map((name) => {
    const value = fields.get(name)
    if (!value) throw headerMalformed(`the ${name} field is missing.`)
    return value
  }) as [string, string, string]
  const time = timeOf(headers)
  const { accessKeyId, scope } = readCredential(credential, regions, headerMalformed)
  refuseSkew(time, now)
  if (scope.date !== time.slice(0, 8)) {
    throw headerMalformed(`the date of the credential, "${scope.date}", is not that of the request.`)
  }
  const payloadHash = headers.get('x-amz-content-sha256')
  if (payloadHash === undefined) {
    throw new S3Error('InvalidRequest', 'Missing required header for this request: x-amz-content-sha256')
  }
  return {
    accessKeyId,
    scope,
    signedHeaders: namesOf(signedHeaders, (why) => headerMalformed(why)),
    signature,
    time,
    payloadHash,
    isPresigned: false,
  }
}

const queryMalformed = (why: string, details: Details = {}) =>
  new S3Error('AuthorizationQueryParametersError', why, details)

function fromQuery(headers: RequestHeaders, query: Query, regions: readonly string[], now: Date): Claim {
  const need = (name: string): string => {
    const value = query.get(`X-Amz-${name}`)
    if (value) return value
    throw queryMalformed(
      'Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.',
    )
  }
  const algorithm = need('Algorithm')
  if (algorithm === 'AWS4-ECDSA-P256-SHA256') throw new S3Error('NotImplemented', 'SigV4A is not supported.')
  if (algorithm !== ALGORITHM) throw queryMalformed('X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"')
  const [credential, time, expires, names, signature] = [
    need('Credential'),
    need('Date'),
    need('Expires'),
    need('SignedHeaders'),
    need('Signature'),
  ]
  const signedAt = parseTime(time)
  if (signedAt === null) throw queryMalformed("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
  const { accessKeyId, scope } = readCredential(credential, regions, (why, details) =>
    queryMalformed(`Error parsing the X-Amz-Credential parameter; ${why}`, details),
  )
  if (scope.date !== time.slice(0, 8)) {
    throw queryMalformed(`Invalid credential date "${scope.date}". This date is not the same as X-Amz-Date.`)
  }
  const seconds = /^\d{1,9}$/.test(expires) ? Number(expires) : null
  if (seconds === null) throw queryMalformed('X-Amz-Expires should be a number')
  if (seconds < 1) throw queryMalformed('X-Amz-Expires must be at least 1 second')
  if (seconds > EXPIRES_MAX_SECONDS) {
    throw queryMalformed('X-Amz-Expires must be less than a week (in seconds); that is, less than 604800')
  }
  const expiresAt = new Date(signedAt.getTime() + seconds * 1000)
  if (now > expiresAt) {
    throw new S3Error('AccessDenied', 'Request has expired', {
      elements: { 'X-Amz-Expires': expires, Expires: expiresAt.toISOString(), ServerTime: now.toISOString() },
    })
  }
  if (signedAt.getTime() - now.getTime() > SKEW_MAX_MS) {
    throw new S3Error('AccessDenied', 'Request is not valid yet', { elements: { ServerTime: now.toISOString() } })
  }
  return {
    accessKeyId,
    scope,
    signedHeaders: namesOf(names, queryMalformed),
    signature,
    time,
    payloadHash: query.get('X-Amz-Content-Sha256') ?? headers.get('x-amz-content-sha256') ?? UNSIGNED_PAYLOAD,
    isPresigned: true,
  }
}

/** Date, region, service and terminator, from behind: an access key id may hold slashes. */
export function readCredential(
  text: string,
  regions: readonly string[],
  malformed: (why: string, details?: Details) => S3Error,
): { accessKeyId: string; scope: Scope } {
  const parts = text.split('/')
  const [date, region, service, terminator] = parts.slice(-4)
  const accessKeyId = parts.slice(0, -4).join('/')
  if (!accessKeyId || date === undefined || region === undefined) {
    throw malformed('the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".')
  }
  if (!/^\d{8}$/.test(date))
    throw malformed(`incorrect date format "${date}". This date must be in the format "yyyyMMdd".`)
  if (terminator !== 'aws4_request') {
    throw malformed(`incorrect terminal "${terminator}". This endpoint belongs to "aws4_request".`)
  }
  if (service !== 's3') throw malformed(`incorrect service "${service}". This endpoint belongs to "s3".`)
  if (!regions.includes(region)) {
    const ours = regions[0] as string
    // SDKs sign anew for the region they read: in the document or, as HEAD has none, in the header.
    const details = { elements: { Region: ours }, headers: { 'x-amz-bucket-region': ours } }
    throw malformed(`the region '${region}' is wrong; expecting '${ours}'`, details)
  }
  return { accessKeyId, scope: { date, region, service } }
}

function namesOf(text: string, malformed: (why: string) => S3Error): string[] {
  const names = text.toLowerCase().split(';')
  if (names.includes('')) throw malformed('the list of signed headers is mal-formed.')
  return names
}

const refuse = (code: S3ErrorCode, message: string) => new S3Error(code, message)

function refuseUnsigned(headers: RequestHeaders, signed: readonly string[]): void {
  const present = [...headers.names()].filter((name) => name === 'host' || name.startsWith('x-amz-'))
  const unsigned = present.filter((name) => !signed.includes(name))
  if (!signed.includes('host') && !unsigned.includes('host')) unsigned.unshift('host')
  if (unsigned.length === 0) return
  throw new S3Error('AccessDenied', 'There were headers present in the request which were not signed', {
    elements: { HeadersNotSigned: unsigned.join(', ') },
  })
}

/** `x-amz-date`, or `Date` put into the same form. */
function timeOf(headers: RequestHeaders): string {
  const given = headers.get('x-amz-date')
  if (given !== undefined && parseTime(given)) return given
  const date = given === undefined ? headers.get('date') : undefined
  const at = date === undefined ? null : (parseTime(date) ?? new Date(date))
  if (at !== null && !Number.isNaN(at.getTime())) return amzTime(at)
  throw refuse('AccessDenied', 'AWS authentication requires a valid Date or x-amz-date header')
}

function refuseSkew(time: string, now: Date): void {
  if (Math.abs((parseTime(time) as Date).getTime() - now.getTime()) <= SKEW_MAX_MS) return
  throw new S3Error('RequestTimeTooSkewed', undefined, {
    elements: { RequestTime: time, ServerTime: now.toISOString(), MaxAllowedSkewMilliseconds: String(SKEW_MAX_MS) },
  })
}

export function parseTime(text: string): Date | null {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text)
  if (!match) return null
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  const at = new Date(Date.UTC(year, month - 1, day, hour, minute, second))
  // Date.UTC takes the 31st of February for the 3rd of March.
  return amzTime(at) === text ? at : null
}
