/** Reading a body to know it, or to have it anew under another key. */
import type { Digests } from '../../lib/hashing/digests.ts'
import type { ChecksumAlgorithm, IncomingBody } from '../../model/object.ts'
import type { BodyKey } from '../object-bodies/encryption.ts'
import { type ByteRange, readBody, type StoredBody } from '../object-bodies/read.ts'
import { type ReceivedBody, receiveBody } from '../object-bodies/receive.ts'
import { digestOf } from '../object-bodies/verify.ts'
import type { S3Ctx } from '../s3-ctx.ts'

export interface Bytes {
  body: StoredBody
  /** Counted from the beginning of `body`. */
  range: ByteRange
  key: BodyKey | null
}

/** The MD5 and the checksum of bytes that stay where they are. */
export async function digestBytes(
  ctx: S3Ctx,
  { body, range, key }: Bytes,
  algorithm: ChecksumAlgorithm,
): Promise<{ md5: Buffer; checksum: Buffer }> {
  const name = digestOf(algorithm)
  const hasher = ctx.hashing.hasher(['md5', name], range.length)
  try {
    for await (const piece of readBody(ctx.objects, body, range, key)) await hasher.update(piece)
    const digests: Digests = await hasher.digest()
    return { md5: digests.md5, checksum: digests[name] }
  } finally {
    hasher.discard()
  }
}

/** A copy of the bytes, sealed with another key. */
export function moveBytes(
  ctx: S3Ctx,
  { body, range, key }: Bytes,
  options: { key: BodyKey | null; checksums: readonly ChecksumAlgorithm[]; inlineMaxBytes?: number },
): Promise<ReceivedBody> {
  const incoming: IncomingBody = {
    bytes: readBody(ctx.objects, body, range, key),
    sizeBytes: range.length,
    expected: {},
    trailer: () => null,
  }
  return receiveBody(ctx, incoming, { maxBytes: range.length, ...options })
}
