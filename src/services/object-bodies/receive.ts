/**
 * Takes a body in: a small one into memory, any other into one blob, hashed on the way. When this returns, the bytes
 * are what the client said they are and, in a blob, durable; when it throws, nothing is left of them.
 */
import { type ChecksumAlgorithm, INLINE_MAX_BYTES, type IncomingBody } from '../../model/object.ts'
import { S3Error } from '../../model/s3-error.ts'
import type { S3Ctx } from '../s3-ctx.ts'
import { type BodyKey, createSealer } from './encryption.ts'
import { createIntake } from './intake.ts'
import { compareDigests, compareSize, digestOf } from './verify.ts'

export interface ReceiveOptions {
  /** Beyond it: EntityTooLarge, before a byte is read where the size was announced. */
  maxBytes: number
  /** Checksums wanted whether or not the client gave one. */
  checksums?: readonly ChecksumAlgorithm[]
  /** Called with the bytes so far, whenever a buffer is full and at the end; what it throws ends the upload (a quota). */
  check?: (sizeBytes: number) => void | Promise<void>
  /** Encrypts what is kept; null = not. */
  key?: BodyKey | null
  /** Up to here it stays in memory: 16 KiB. -1 = always a blob. */
  inlineMaxBytes?: number
}

export interface ReceivedBody {
  sizeBytes: number
  md5: Buffer
  /** The ones asked for, and the one that the client gave. */
  checksums: Partial<Record<ChecksumAlgorithm, Buffer>>
  /** Exactly one of the two; with a key, encrypted. */
  inline: Buffer | null
  blob: { id: string; storedBytes: number } | null
  wrappedKey: Buffer | null
}

/**
 * Throws S3Error EntityTooLarge, IncompleteBody, BadDigest or XAmzContentSHA256Mismatch; what `body` and `check` throw;
 * and CloudError `unavailable` when the store is full or away.
 */
export async function receiveBody(
  tools: Pick<S3Ctx, 'objects' | 'hashing'>,
  body: IncomingBody,
  options: ReceiveOptions,
): Promise<ReceivedBody> {
  const { maxBytes, inlineMaxBytes = INLINE_MAX_BYTES } = options
  refuseBeyond(maxBytes, body.sizeBytes ?? 0)
  const { checksum, sha256 } = body.expected
  const wanted = new Set([...(options.checksums ?? []), ...(checksum ? [checksum.algorithm] : [])])
  const names = new Set([...wanted].map(digestOf)).add('md5')
  if (sha256) names.add('sha256')
  const sealer = options.key ? createSealer(options.key) : null
  const intake = createIntake(tools, { names: [...names], sizeBytes: body.sizeBytes, inlineMaxBytes, sealer })
  try {
    let sizeBytes = 0
    for await (const chunk of body.bytes) {
      sizeBytes += chunk.length
      refuseBeyond(maxBytes, sizeBytes)
      compareSize(body, sizeBytes, 'so far')
      if (intake.isFullWith(chunk)) await options.check?.(sizeBytes)
      await intake.add(chunk)
    }
    compareSize(body, sizeBytes, 'all')
    await options.check?.(sizeBytes)
    const digests = await intake.end()
    compareDigests(body, digests)
    return {
      sizeBytes,
      md5: digests.md5,
      checksums: Object.fromEntries([...wanted].map((algorithm) => [algorithm, digests[digestOf(algorithm)]])),
      ...(await intake.keep()),
      wrappedKey: sealer?.wrappedKey ?? null,
    }
  } catch (error) {
    await intake.discard()
    throw error
  }
}

function refuseBeyond(maxBytes: number, sizeBytes: number): void {
  if (sizeBytes <= maxBytes) return
  const elements = { ProposedSize: String(sizeBytes), MaxSizeAllowed: String(maxBytes) }
  throw new S3Error('EntityTooLarge', undefined, { elements })
}
