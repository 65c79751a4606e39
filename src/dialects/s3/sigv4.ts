/**
 * Verifies signatures (Signature Version 4): is the request from who it says, and as it was sent? The key is looked up
 * only for a claim that is otherwise in order. Signing keys are kept for a day's scope, because deriving one costs more
 * than all the rest.
 */
import { type KeyObject, timingSafeEqual } from 'node:crypto'
import {
  ALGORITHM,
  canonicalRequest,
  encodePath,
  type Scope,
  scopeText,
  sign,
  signingKey,
  stringToSign,
} from '../../lib/sigv4.ts'
import { S3Error } from '../../model/s3-error.ts'
import type { S3Caller } from '../../services/s3-ctx.ts'
import { type Claim, parseTime, readClaim, readCredential } from './claim.ts'
import type { RequestHeaders } from './headers.ts'
import type { Target } from './target.ts'

export interface KnownKey {
  secretAccessKey: string
  caller: S3Caller
  isSuspended: boolean
}

export interface VerifierOptions {
  /** Those we answer to, ours first. */
  regions: readonly [string, ...string[]]
  /** Null: unknown or revoked. */
  findKey(accessKeyId: string): Promise<KnownKey | null> | KnownKey | null
  now?: () => Date
}

export interface SignedRequest {
  method: string
  target: Pick<Target, 'path' | 'rawPath' | 'query'>
  headers: RequestHeaders
}

/** What later parts of the request are signed with: the chunks of its body. */
export interface ChunkSigning {
  key: KeyObject
  time: string
  scope: string
  /** The signature that the first chunk's follows. */
  seed: string
}

export interface Verified {
  caller: S3Caller
  region: string
  /** The value of `x-amz-content-sha256`, or what stands for it. */
  payloadHash: string
  isPresigned: boolean
  chunks: ChunkSigning
}

export interface PolicyClaim {
  /** Base64, as it stood in the form. */
  policy: string
  algorithm: string
  credential: string
  date: string
  signature: string
}

export interface Verifier {
  /** Null: anonymous. Throws what section "Authenticating Requests" and the list of error codes say. */
  verify(request: SignedRequest): Promise<Verified | null>
  /** Who signed the policy of a form. */
  verifyPolicy(claim: PolicyClaim): Promise<{ caller: S3Caller; region: string }>
}

const KEYS_KEPT_MAX = 2_000

export function createVerifier({ regions, findKey, now = () => new Date() }: VerifierOptions): Verifier {
  const signingKeys = new Map<string, { secret: string; key: KeyObject }>()

  function keyFor(accessKeyId: string, secret: string, scope: Scope): KeyObject {
    const id = `${accessKeyId}/${scope.date}/${scope.region}`
    const kept = signingKeys.get(id)
    if (kept && kept.secret === secret) return kept.key
    if (signingKeys.size >= KEYS_KEPT_MAX) signingKeys.clear()
    const key = signingKey(secret, scope)
    signingKeys.set(id, { secret, key })
    return key
  }

  async function known(accessKeyId: string): Promise<KnownKey> {
    const found = await findKey(accessKeyId)
    if (found) return found
    throw new S3Error('InvalidAccessKeyId', undefined, { elements: { AWSAccessKeyId: accessKeyId } })
  }

  return {
    async verify(request) {
      const claim = readClaim(request.headers, request.target.query, { regions, now: now() })
      if (claim === null) return null
      const { secretAccessKey, caller, isSuspended } = await known(claim.accessKeyId)
      const key = keyFor(claim.accessKeyId, secretAccessKey, claim.scope)
      refuseMismatch(request, claim, key)
      refuseSuspended(isSuspended)
      return {
        caller,
        region: claim.scope.region,
        payloadHash: claim.payloadHash,
        isPresigned: claim.isPresigned,
        chunks: { key, time: claim.time, scope: scopeText(claim.scope), seed: claim.signature },
      }
    },
    async verifyPolicy({ policy, algorithm, credential, date, signature }) {
      if (algorithm !== ALGORITHM) throw new S3Error('InvalidArgument', 'x-amz-algorithm must be AWS4-HMAC-SHA256')
      if (!parseTime(date)) throw new S3Error('InvalidArgument', 'x-amz-date is not a valid time')
      const malformed = (why: string, details = {}) => new S3Error('InvalidArgument', why, details)
      const { accessKeyId, scope } = readCredential(credential, regions, malformed)
      if (scope.date !== date.slice(0, 8)) throw malformed('the date of the credential is not that of x-amz-date')
      const { secretAccessKey, caller, isSuspended } = await known(accessKeyId)
      const key = keyFor(accessKeyId, secretAccessKey, scope)
      if (!isSame(sign(key, policy), signature)) {
        throw new S3Error('SignatureDoesNotMatch', undefined, {
          elements: { AWSAccessKeyId: accessKeyId, StringToSign: policy, SignatureProvided: signature },
        })
      }
      refuseSuspended(isSuspended)
      return { caller, region: scope.region }
    },
  }
}

function refuseSuspended(isSuspended: boolean): void {
  if (isSuspended) throw new S3Error('AccessDenied', 'The account of this access key is suspended.')
}

/**
 * A path has one canonical encoding, and some clients sign the one they sent instead; both say the same about the same
 * request, so either will do.
 */
function refuseMismatch({ method, target, headers }: SignedRequest, claim: Claim, key: KeyObject): void {
  const values = Object.fromEntries(claim.signedHeaders.map((name) => [name, headers.all(name)]))
  const attempt = (path: string) => {
    const canonical = canonicalRequest({
      method,
      path,
      query: target.query.items,
      headers: values,
      signedHeaders: claim.signedHeaders,
      payloadHash: claim.payloadHash,
    })
    const text = stringToSign(canonical, claim.time, claim.scope)
    return { canonical, text, isRight: isSame(sign(key, text), claim.signature) }
  }
  const path = encodePath(target.path)
  const first = attempt(path)
  if (first.isRight || (path !== target.rawPath && attempt(target.rawPath).isRight)) return
  throw new S3Error('SignatureDoesNotMatch', undefined, {
    elements: {
      AWSAccessKeyId: claim.accessKeyId,
      StringToSign: first.text,
      SignatureProvided: claim.signature,
      CanonicalRequest: first.canonical,
    },
  })
}

/** In constant time; `ours` is hexadecimal, `theirs` anything. */
export function isSame(ours: string, theirs: string): boolean {
  const [a, b] = [Buffer.from(ours, 'latin1'), Buffer.from(theirs, 'utf8')]
  return a.length === b.length && timingSafeEqual(a, b)
}
