/**
 * A request's body as `x-amz-content-sha256` and its headers describe it: plain or in chunks, signed or not, its length
 * and its checksum announced or behind it. What handlers get is the bytes within, and what they must add up to.
 */
import { UNSIGNED_PAYLOAD } from '../../lib/sigv4.ts'
import type { ChecksumAlgorithm, IncomingBody } from '../../model/object.ts'
import { S3Error } from '../../model/s3-error.ts'
import { createChunkedDecoder } from './aws-chunked.ts'
import { checksumValue, readExpected } from './checksum-headers.ts'
import type { RequestHeaders } from './headers.ts'
import type { ChunkSigning } from './sigv4.ts'

export interface Payload {
  /** Of the body within. Null: there is none, and nothing says how long one would be. */
  sizeBytes: number | null
  framing: 'plain' | 'chunked'
  signing: ChunkSigning | null
  trailers: readonly string[] | null
  expected: IncomingBody['expected']
}

export interface PayloadRequest {
  headers: RequestHeaders
  /** As verified; null for a request without a signature. */
  payloadHash: string | null
  chunks: ChunkSigning | null
  /** `object`: checksum headers are about another thing than this body. */
  checksumOf: 'body' | 'object'
}

/** Throws for headers that contradict one another or that nobody knows. Reads nothing. */
export function readPayload({ headers, payloadHash, chunks, checksumOf }: PayloadRequest): Payload {
  const mode = payloadHash ?? headers.get('x-amz-content-sha256') ?? UNSIGNED_PAYLOAD
  const { isChunked, isSigned, hasTrailer, sha256 } = modeOf(mode)
  if (isSigned && chunks === null) throw new S3Error('AccessDenied', 'Signed chunks need a signed request.')
  const announced = listOf(headers.get('x-amz-trailer'))
  if (announced.length > 0 && !hasTrailer) {
    throw new S3Error('InvalidRequest', 'x-amz-trailer needs an x-amz-content-sha256 that ends with -TRAILER.')
  }
  const expected = checksumOf === 'body' ? readExpected(headers, announced) : {}
  return {
    sizeBytes: sizeOf(headers, isChunked),
    framing: isChunked ? 'chunked' : 'plain',
    signing: isSigned ? chunks : null,
    trailers: hasTrailer ? announced : null,
    expected: { ...expected, ...(sha256 && { sha256 }) },
  }
}

/** The body's bytes out of those on the wire. Throws MissingContentLength when nobody knows how many there are. */
export function openBody(payload: Payload, source: AsyncIterable<Buffer>): IncomingBody {
  const { sizeBytes, expected } = payload
  if (sizeBytes === null) throw new S3Error('MissingContentLength')
  let trailer: { algorithm: ChecksumAlgorithm; value: Buffer } | null = null
  const bytes =
    payload.framing === 'plain'
      ? exactly(source, sizeBytes)
      : unframed(source, { ...payload, sizeBytes }, (found) => {
          trailer = found
        })
  return { bytes, sizeBytes, expected, trailer: () => trailer }
}

interface Mode {
  isChunked: boolean
  isSigned: boolean
  hasTrailer: boolean
  sha256?: Buffer
}

function modeOf(mode: string): Mode {
  switch (mode) {
    case UNSIGNED_PAYLOAD:
      return { isChunked: false, isSigned: false, hasTrailer: false }
    case 'STREAMING-UNSIGNED-PAYLOAD-TRAILER':
      return { isChunked: true, isSigned: false, hasTrailer: true }
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD':
      return { isChunked: true, isSigned: true, hasTrailer: false }
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER':
      return { isChunked: true, isSigned: true, hasTrailer: true }
  }
  if (/^[0-9a-fA-F]{64}$/.test(mode)) {
    return { isChunked: false, isSigned: false, hasTrailer: false, sha256: Buffer.from(mode, 'hex') }
  }
  if (mode.startsWith('STREAMING-AWS4-ECDSA-')) throw new S3Error('NotImplemented', 'SigV4A is not supported.')
  throw new S3Error(
    'InvalidArgument',
    'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.',
    { elements: { ArgumentName: 'x-amz-content-sha256', ArgumentValue: mode } },
  )
}

const listOf = (text: string | undefined): string[] =>
  (text ?? '')
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '')

function sizeOf(headers: RequestHeaders, isChunked: boolean): number | null {
  const decoded = lengthOf(headers.get('x-amz-decoded-content-length'), 'x-amz-decoded-content-length')
  const onWire = lengthOf(headers.get('content-length'), 'Content-Length')
  if (isChunked || onWire === null) return decoded
  return onWire
}

function lengthOf(text: string | undefined, name: string): number | null {
  if (text === undefined) return null
  const length = /^\d{1,19}$/.test(text) ? Number(text) : Number.NaN
  if (Number.isSafeInteger(length)) return length
  if (Number.isNaN(length)) throw new S3Error('InvalidArgument', `${name} is not a length.`)
  throw new S3Error('EntityTooLarge')
}

/** Node sees to Content-Length; a body without one is held to what x-amz-decoded-content-length says. */
async function* exactly(source: AsyncIterable<Buffer>, sizeBytes: number): AsyncGenerator<Buffer> {
  let total = 0
  for await (const chunk of source) {
    total += chunk.length
    if (total > sizeBytes) throw new S3Error('IncompleteBody', 'The body is longer than its headers say.')
    yield chunk
  }
  if (total < sizeBytes) throw new S3Error('IncompleteBody')
}

async function* unframed(
  source: AsyncIterable<Buffer>,
  { sizeBytes, signing, trailers }: Payload & { sizeBytes: number },
  onTrailer: (found: { algorithm: ChecksumAlgorithm; value: Buffer }) => void,
): AsyncGenerator<Buffer> {
  const decoder = createChunkedDecoder({ sizeBytes, signing, trailers })
  for await (const chunk of source) yield* decoder.push(chunk)
  for (const [name, value] of decoder.finish()) onTrailer(checksumValue(name, value))
}
