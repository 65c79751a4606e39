/**
 * What makes a link to a backup's image open it: a signature over the backup's short id and the moment it ends, with a
 * key that follows from the installation's master key. Whoever has the link needs nothing else, so it ends soon.
 */
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'

export interface LinkClaim {
  shortId: string
  /** Seconds since 1970 of the cloud's clock. */
  expires: number
}

/** 64 hex digits. */
export const signLink = (masterKey: Buffer, claim: LinkClaim): string => signatureOf(masterKey, claim).toString('hex')

/** `expires` and `signature` are as the link has them. Null: nobody signed that. */
export function verifyLink(
  masterKey: Buffer,
  { shortId, expires, signature }: { shortId: string; expires: string; signature: string },
): LinkClaim | null {
  if (!/^\d{1,12}$/.test(expires) || !/^[0-9a-f]{64}$/.test(signature)) return null
  const claim = { shortId, expires: Number(expires) }
  return timingSafeEqual(signatureOf(masterKey, claim), Buffer.from(signature, 'hex')) ? claim : null
}

function signatureOf(masterKey: Buffer, { shortId, expires }: LinkClaim): Buffer {
  const key = Buffer.from(hkdfSync('sha256', masterKey, Buffer.alloc(0), 'havn backup download v1', 32))
  return createHmac('sha256', key).update(`${shortId}\n${expires}`).digest()
}
