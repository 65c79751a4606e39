/** Is a body what its client said it is? */
import type { DigestName, Digests } from '../../lib/hashing/digests.ts'
import type { ChecksumAlgorithm, IncomingBody } from '../../model/object.ts'
import { S3Error } from '../../model/s3-error.ts'

export const digestOf = (algorithm: ChecksumAlgorithm): DigestName =>
  algorithm.toLowerCase() as Lowercase<ChecksumAlgorithm>

/** Throws IncompleteBody. */
export function compareSize({ sizeBytes }: IncomingBody, came: number, when: 'so far' | 'all'): void {
  if (sizeBytes === null || (when === 'all' ? came === sizeBytes : came <= sizeBytes)) return
  throw new S3Error(
    'IncompleteBody',
    `The body has ${when === 'all' ? '' : 'at least '}${came} bytes, ${sizeBytes} were announced.`,
  )
}

/** After the end of the body. Throws XAmzContentSHA256Mismatch or BadDigest. */
export function compareDigests(body: IncomingBody, digests: Digests): void {
  const { md5, sha256, checksum } = body.expected
  if (sha256 && !sha256.equals(digests.sha256)) {
    const elements = {
      ClientComputedContentSHA256: sha256.toString('hex'),
      S3ComputedContentSHA256: digests.sha256.toString('hex'),
    }
    throw new S3Error('XAmzContentSHA256Mismatch', undefined, { elements })
  }
  if (md5 && !md5.equals(digests.md5)) {
    const elements = { ExpectedDigest: md5.toString('base64'), CalculatedDigest: digests.md5.toString('base64') }
    throw new S3Error('BadDigest', 'The Content-MD5 you specified did not match what we received.', { elements })
  }
  for (const one of [checksum, body.trailer()]) {
    if (!one?.value || one.value.equals(digests[digestOf(one.algorithm)])) continue
    throw new S3Error('BadDigest', `The ${one.algorithm} you specified did not match the calculated checksum.`)
  }
}
