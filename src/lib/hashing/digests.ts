/** The digests of one stream, any set of them at once. */
import { createHash } from 'node:crypto'
import { createCrc } from '../checksums.ts'

export type DigestName = 'md5' | 'sha1' | 'sha256' | 'crc32' | 'crc32c' | 'crc64nvme'
/** Each as its bytes, big-endian. */
export type Digests<N extends DigestName = DigestName> = Record<N, Buffer>

export interface Digester<N extends DigestName> {
  update(bytes: Uint8Array): void
  digest(): Digests<N>
}

export function createDigester<N extends DigestName>(names: readonly N[]): Digester<N> {
  const all = names.map((name) => [name, isCrc(name) ? createCrc(name) : createHash(name)] as const)
  return {
    update(bytes) {
      for (const [, one] of all) one.update(bytes)
    },
    digest: () => Object.fromEntries(all.map(([name, one]) => [name, one.digest()])) as Digests<N>,
  }
}

const isCrc = (name: DigestName) => name === 'crc32' || name === 'crc32c' || name === 'crc64nvme'
