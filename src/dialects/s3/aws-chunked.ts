/**
 * The framing that clients of S3 put around a body to sign it piece by piece, or to send its checksum behind it:
 * `HEX[;chunk-signature=HEX64]\r\n` data `\r\n`, a chunk of size 0, trailers. Source: Amazon S3 API reference,
 * "Signature Calculations for the Authorization Header: Transferring Payload in Multiple Chunks" and "… Trailing
 * Headers". A state machine that is pushed: data passes through as views of what came in, however it was cut up, and
 * only lines are gathered, up to a limit.
 */
import { createHash, type Hash } from 'node:crypto'
import { EMPTY_SHA256, sign } from '../../lib/sigv4.ts'
import { S3Error } from '../../model/s3-error.ts'
import { type ChunkSigning, isSame } from './sigv4.ts'

export interface ChunkedOptions {
  /** `x-amz-decoded-content-length`. */
  sizeBytes: number
  /** Null: chunks are not signed. */
  signing: ChunkSigning | null
  /** The trailers that must come, in lower case; null: this mode has none. */
  trailers: readonly string[] | null
}

export interface ChunkedDecoder {
  /** The data within; views of `bytes`. */
  push(bytes: Buffer): Buffer[]
  /** After the last byte. The trailers, without the signature. Throws IncompleteBody when more was to come. */
  finish(): ReadonlyMap<string, string>
}

const LINE_MAX_BYTES = 1024
const TRAILER_LINES_MAX = 8
const LF = 0x0a
const CR = 0x0d

type State = 'size' | 'data' | 'data-end' | 'trailer' | 'end'

export function createChunkedDecoder({ sizeBytes, signing, trailers }: ChunkedOptions): ChunkedDecoder {
  let state: State = 'size'
  let line: Buffer[] = []
  let lineBytes = 0
  /** Data bytes of the current chunk that are still to come, and of all chunks that came. */
  let left = 0
  let total = 0
  let previous = signing?.seed ?? ''
  let claimed = ''
  let hash: Hash | null = null
  const found = new Map<string, string>()
  let trailerSignature: string | null = null
  let trailerLines = 0
  let blankLines = 0

  /** The rest of a line, without its end; null when its end has not come. Moves `at` on. */
  function takeLine(bytes: Buffer, at: number): { text: string | null; next: number; hasCr: boolean } {
    const end = bytes.indexOf(LF, at)
    const piece = bytes.subarray(at, end === -1 ? bytes.length : end)
    lineBytes += piece.length
    if (lineBytes > LINE_MAX_BYTES) throw broken('a line of the chunked body is too long')
    if (end === -1) {
      // A copy: the socket's buffer is used again.
      if (piece.length > 0) line.push(Buffer.from(piece))
      return { text: null, next: bytes.length, hasCr: false }
    }
    const whole = line.length === 0 ? piece : Buffer.concat([...line, piece])
    line = []
    lineBytes = 0
    const hasCr = whole.at(-1) === CR
    return { text: whole.toString('latin1', 0, hasCr ? whole.length - 1 : whole.length), next: end + 1, hasCr }
  }

  function beginChunk(text: string): void {
    const match = /^([0-9a-fA-F]{1,16})(?:;chunk-signature=([0-9a-fA-F]{64}))?$/.exec(text)
    if (!match || (match[2] !== undefined) !== (signing !== null)) {
      throw new S3Error('InvalidChunkSizeError', 'The header of a chunk is malformed.')
    }
    left = Number.parseInt(match[1] as string, 16)
    if (left > sizeBytes - total) {
      throw new S3Error('InvalidChunkSizeError', 'The chunks are longer than x-amz-decoded-content-length says.')
    }
    claimed = match[2] ?? ''
    if (left > 0) {
      hash = signing ? createHash('sha256') : null
      state = 'data'
      return
    }
    endChunk(EMPTY_SHA256)
    if (total !== sizeBytes) {
      throw new S3Error(
        'IncompleteBody',
        'You did not provide the number of bytes specified by x-amz-decoded-content-length.',
      )
    }
    state = 'trailer'
  }

  function endChunk(digest: string): void {
    if (!signing) return
    const text = ['AWS4-HMAC-SHA256-PAYLOAD', signing.time, signing.scope, previous, EMPTY_SHA256, digest].join('\n')
    const expected = sign(signing.key, text)
    if (!isSame(expected, claimed)) {
      throw new S3Error('SignatureDoesNotMatch', undefined, {
        elements: { StringToSign: text, SignatureProvided: claimed },
      })
    }
    previous = expected
  }

  function takeTrailer(text: string): void {
    if (text === '') {
      blankLines++
      state = 'end'
      return
    }
    const colon = text.indexOf(':')
    const name = text.slice(0, colon).trim().toLowerCase()
    const value = text.slice(colon + 1).trim()
    if (colon === -1 || trailers === null || ++trailerLines > TRAILER_LINES_MAX)
      throw new S3Error('MalformedTrailerError')
    if (name === 'x-amz-trailer-signature' && signing && trailerSignature === null) {
      trailerSignature = value
      return
    }
    // The signature is the last line.
    if (!trailers.includes(name) || found.has(name) || trailerSignature !== null) {
      throw new S3Error('MalformedTrailerError')
    }
    found.set(name, value)
  }

  /** Go clients write an empty line more behind the trailers: before their signature, or at the very end. */
  function takeAfterEnd(text: string): void {
    const isSignature = signing !== null && trailerSignature === null && /^x-amz-trailer-signature:/i.test(text)
    if (found.size === 0 || blankLines > 1 || (text !== '' && !isSignature)) {
      throw broken('the chunked body goes on after its end')
    }
    if (isSignature) state = 'trailer'
    takeTrailer(text)
  }

  function checkTrailers(): void {
    if (found.size !== (trailers?.length ?? 0)) throw new S3Error('MalformedTrailerError')
    if (!signing || trailers === null) return
    const lines = [...found].map(([name, value]) => `${name}:${value}\n`).join('')
    const digest = createHash('sha256').update(lines, 'latin1').digest('hex')
    const text = ['AWS4-HMAC-SHA256-TRAILER', signing.time, signing.scope, previous, digest].join('\n')
    if (trailerSignature === null) throw new S3Error('MalformedTrailerError')
    if (isSame(sign(signing.key, text), trailerSignature)) return
    throw new S3Error('SignatureDoesNotMatch', undefined, {
      elements: { StringToSign: text, SignatureProvided: trailerSignature },
    })
  }

  return {
    push(bytes) {
      const data: Buffer[] = []
      let at = 0
      while (at < bytes.length) {
        if (state === 'data') {
          const piece = bytes.subarray(at, at + left)
          at += piece.length
          left -= piece.length
          total += piece.length
          hash?.update(piece)
          data.push(piece)
          if (left > 0) continue
          endChunk(hash?.digest('hex') ?? '')
          state = 'data-end'
        } else {
          const { text, next, hasCr } = takeLine(bytes, at)
          at = next
          if (text === null) break
          if (state === 'trailer') takeTrailer(text)
          else if (state === 'end') takeAfterEnd(text)
          else if (!hasCr) throw broken('a line of the chunked body does not end with CR and LF')
          else if (state === 'size') beginChunk(text)
          else if (text === '') state = 'size'
          else throw broken('a chunk is longer than its header says')
        }
      }
      return data
    },
    finish() {
      // Half a line behind trailers may have become their signature; behind a body without any it is too much.
      if (lineBytes > 0 && state === 'end' && found.size === 0) throw broken('the chunked body goes on after its end')
      if (state !== 'end' || lineBytes > 0) throw new S3Error('IncompleteBody')
      checkTrailers()
      return found
    },
  }
}

const broken = (why: string) => new S3Error('InvalidRequest', `The body is not valid aws-chunked: ${why}.`)
