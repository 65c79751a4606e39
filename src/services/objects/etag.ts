/** ETags of bodies that came in one piece. */
import { randomBytes } from 'node:crypto'
import type { Encryption } from '../../model/object.ts'

/** The MD5 of the bytes; of those under a customer's key nothing is told but that they are others than before. */
export const etagOf = ({ md5 }: { md5: Buffer }, encryption: Encryption | null): string =>
  (encryption?.by === 'customer' ? randomBytes(16) : md5).toString('hex')
