/**
 * What a request's headers say its body must add up to: Content-MD5 and the checksums of S3 (user guide, "Checking
 * object integrity"). Only headers count: SDKs put the checksum of nothing into the query of presigned URLs.
 */
import { CHECKSUM_ALGORITHMS, CHECKSUM_BYTES, type ChecksumAlgorithm, type IncomingBody } from '../../model/object.ts'
import { S3Error } from '../../model/s3-error.ts'
import type { RequestHeaders } from './headers.ts'

export const checksumHeader = (algorithm: ChecksumAlgorithm): string => `x-amz-checksum-${algorithm.toLowerCase()}`

const BY_HEADER = new Map(CHECKSUM_ALGORITHMS.map((algorithm) => [checksumHeader(algorithm), algorithm]))
/** Not values: what the other headers of that prefix say. */
const ABOUT = new Set(['x-amz-checksum-algorithm', 'x-amz-checksum-mode', 'x-amz-checksum-type'])

/** `trailers`: the names that `x-amz-trailer` announced. Throws InvalidDigest or InvalidRequest. */
export function readExpected(
  headers: RequestHeaders,
  trailers: readonly string[],
): Pick<IncomingBody['expected'], 'md5' | 'checksum'> {
  const md5 = readMd5(headers.get('content-md5'))
  const checksum = readChecksum(headers, trailers)
  const named = headers.get('x-amz-sdk-checksum-algorithm')
  if (named !== undefined) {
    const algorithm = algorithmOf(named)
    if (checksum?.algorithm !== algorithm) {
      throw new S3Error(
        'InvalidRequest',
        'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.',
      )
    }
  }
  return { ...(md5 && { md5 }), ...(checksum && { checksum }) }
}

/** In any letter case. Throws InvalidRequest. */
export function algorithmOf(text: string): ChecksumAlgorithm {
  const found = CHECKSUM_ALGORITHMS.find((algorithm) => algorithm === text.trim().toUpperCase())
  if (found) return found
  throw new S3Error(
    'InvalidRequest',
    `Checksum algorithm provided is unsupported. Please try again with any of the valid types: [${CHECKSUM_ALGORITHMS.join(', ')}]`,
  )
}

/** `name` in lower case. Throws InvalidRequest when it is not base64 of as many bytes as the algorithm has. */
export function checksumValue(name: string, text: string): { algorithm: ChecksumAlgorithm; value: Buffer } {
  const algorithm = BY_HEADER.get(name)
  if (!algorithm)
    throw new S3Error('InvalidRequest', 'The algorithm type you specified in x-amz-checksum- header is invalid.')
  const value = strictBase64(text, CHECKSUM_BYTES[algorithm])
  if (value) return { algorithm, value }
  throw new S3Error('InvalidRequest', `Value for ${name} header is invalid.`)
}

function readMd5(text: string | undefined): Buffer | null {
  if (text === undefined) return null
  const value = strictBase64(text, 16)
  if (value) return value
  throw new S3Error('InvalidDigest', undefined, { elements: { 'Content-MD5': text } })
}

function readChecksum(
  headers: RequestHeaders,
  trailers: readonly string[],
): IncomingBody['expected']['checksum'] | null {
  const given = Object.keys(headers.under('x-amz-checksum-'))
    .map((rest) => `x-amz-checksum-${rest}`)
    .filter((name) => !ABOUT.has(name))
  const other = trailers.find((name) => !BY_HEADER.has(name))
  if (other !== undefined) {
    throw new S3Error('InvalidRequest', 'The value specified in the x-amz-trailer header is not supported')
  }
  if (given.length + trailers.length > 1) {
    throw new S3Error(
      'InvalidRequest',
      'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.',
    )
  }
  const [name] = given
  if (name !== undefined) return checksumValue(name, headers.get(name) as string)
  const [trailer] = trailers
  return trailer === undefined ? null : { algorithm: BY_HEADER.get(trailer) as ChecksumAlgorithm, value: null }
}

/** Node's decoder skips what it does not know; here the text must be what encoding gives back. */
function strictBase64(text: string, bytes: number): Buffer | null {
  const value = Buffer.from(text.trim(), 'base64')
  return value.length === bytes && value.toString('base64') === text.trim() ? value : null
}
