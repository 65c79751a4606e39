/** The signing side of Signature Version 4: headers for a request, or a URL that carries its own permission. */
import {
  ALGORITHM,
  amzTime,
  canonicalQuery,
  canonicalRequest,
  encodePath,
  type Query,
  type Scope,
  scopeText,
  sign,
  signingKey,
  stringToSign,
  UNSIGNED_PAYLOAD,
} from './sigv4.ts'

export interface SigningKeys {
  accessKeyId: string
  secretAccessKey: string
  region: string
}

export interface Unsigned {
  method: string
  /** As the Host header says it: with the port, unless it is the scheme's own. */
  host: string
  /** Before percent-encoding, with its leading slash. */
  path: string
  query?: Query
  /** Lower-case names; every one is signed. */
  headers?: Readonly<Record<string, string>>
}

/** The headers to send: those given, `host`, `x-amz-date`, `x-amz-content-sha256` and `authorization`. */
export function signHeaders(
  request: Unsigned,
  payloadHash: string,
  keys: SigningKeys,
  at = new Date(),
): Record<string, string> {
  const time = amzTime(at)
  const headers: Record<string, string> = {
    ...request.headers,
    host: request.host,
    'x-amz-date': time,
    'x-amz-content-sha256': payloadHash,
  }
  const { signature, credential, signedHeaders } = signature4(request, headers, request.query ?? [], {
    payloadHash,
    keys,
    time,
  })
  headers.authorization = `${ALGORITHM} Credential=${credential}, SignedHeaders=${signedHeaders}, Signature=${signature}`
  return headers
}

/** Path and query of a URL that anybody may use for `expiresSeconds` (1 … 604,800), headers as given included. */
export function presign(request: Unsigned, keys: SigningKeys, expiresSeconds: number, at = new Date()): string {
  const time = amzTime(at)
  const headers = { ...request.headers, host: request.host }
  const query: Query = [
    ...(request.query ?? []),
    ['X-Amz-Algorithm', ALGORITHM],
    ['X-Amz-Credential', `${keys.accessKeyId}/${scopeText(scopeAt(time, keys))}`],
    ['X-Amz-Date', time],
    ['X-Amz-Expires', String(expiresSeconds)],
    ['X-Amz-SignedHeaders', Object.keys(headers).sort().join(';')],
  ]
  const { signature } = signature4(request, headers, query, { payloadHash: UNSIGNED_PAYLOAD, keys, time })
  return `${encodePath(request.path)}?${canonicalQuery(query)}&X-Amz-Signature=${signature}`
}

function signature4(
  request: Unsigned,
  headers: Record<string, string>,
  query: Query,
  { payloadHash, keys, time }: { payloadHash: string; keys: SigningKeys; time: string },
) {
  const scope = scopeAt(time, keys)
  const signedHeaders = Object.keys(headers).sort()
  const { method, path } = request
  const canonical = canonicalRequest({ method, path: encodePath(path), query, headers, signedHeaders, payloadHash })
  return {
    signature: sign(signingKey(keys.secretAccessKey, scope), stringToSign(canonical, time, scope)),
    credential: `${keys.accessKeyId}/${scopeText(scope)}`,
    signedHeaders: signedHeaders.join(';'),
  }
}

const scopeAt = (time: string, { region }: SigningKeys): Scope => ({ date: time.slice(0, 8), region, service: 's3' })
