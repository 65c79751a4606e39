/** Reads a body that is a document whole, within a bound, and holds it to its digests before anybody parses it. */
import { createDigester, type DigestName } from '../../lib/hashing/digests.ts'
import type { ChecksumAlgorithm, IncomingBody } from '../../model/object.ts'
import { S3Error } from '../../model/s3-error.ts'

const DIGEST: Record<ChecksumAlgorithm, DigestName> = {
  CRC32: 'crc32',
  CRC32C: 'crc32c',
  CRC64NVME: 'crc64nvme',
  SHA1: 'sha1',
  SHA256: 'sha256',
}

/** Throws MaxMessageLengthExceeded without reading when the announced size is over `maxBytes`. */
export async function readDocument(body: IncomingBody, maxBytes: number): Promise<Buffer> {
  if ((body.sizeBytes ?? 0) > maxBytes) throw new S3Error('MaxMessageLengthExceeded')
  const chunks: Buffer[] = []
  for await (const chunk of body.bytes) chunks.push(chunk)
  const bytes = Buffer.concat(chunks)
  verify(bytes, body)
  return bytes
}

function verify(bytes: Buffer, { expected, trailer }: IncomingBody): void {
  const { md5, sha256, checksum } = expected
  if (sha256 && !sha256.equals(digest('sha256', bytes))) throw new S3Error('XAmzContentSHA256Mismatch')
  if (md5 && !md5.equals(digest('md5', bytes))) throw new S3Error('BadDigest')
  const wanted = trailer()?.value ?? checksum?.value
  if (!checksum || !wanted || wanted.equals(digest(DIGEST[checksum.algorithm], bytes))) return
  throw new S3Error('BadDigest', `The ${checksum.algorithm} you specified did not match the calculated checksum.`)
}

function digest(name: DigestName, bytes: Buffer): Buffer {
  const digester = createDigester([name])
  digester.update(bytes)
  return digester.digest()[name]
}
