/** What is known of an object from what is known of its parts; no byte is read again. */
import { createHash } from 'node:crypto'
import { combineCrcs } from '../../lib/checksums.ts'
import { createDigester } from '../../lib/hashing/digests.ts'
import type { Checksum, ChecksumAlgorithm, ChecksumType } from '../../model/object.ts'
import { digestOf } from '../object-bodies/verify.ts'

/** Hex MD5 of the MD5s, and how many. */
export function combinedEtag(md5s: readonly Buffer[]): string {
  return `${createHash('md5').update(Buffer.concat(md5s)).digest('hex')}-${md5s.length}`
}

export function combinedChecksum(
  algorithm: ChecksumAlgorithm,
  type: ChecksumType,
  parts: readonly { checksum: Buffer; sizeBytes: number }[],
): Checksum {
  if (type === 'FULL_OBJECT') return { algorithm, type, value: fullObject(algorithm, parts).toString('base64') }
  const name = digestOf(algorithm)
  const digester = createDigester([name])
  for (const { checksum } of parts) digester.update(checksum)
  return { algorithm, type, value: `${digester.digest()[name].toString('base64')}-${parts.length}` }
}

function fullObject(algorithm: ChecksumAlgorithm, parts: readonly { checksum: Buffer; sizeBytes: number }[]): Buffer {
  const name = digestOf(algorithm)
  if (name === 'sha1' || name === 'sha256' || name === 'md5') throw new Error(`${name} values do not combine`)
  const [first, ...rest] = parts
  return rest.reduce(
    (whole, { checksum, sizeBytes }) => combineCrcs(name, whole, checksum, sizeBytes),
    first?.checksum ?? createDigester([name]).digest()[name],
  )
}
