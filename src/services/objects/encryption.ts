/** Which key encrypts or opens an object. */
import type { Bucket } from '../../model/bucket.ts'
import type { Encryption } from '../../model/object.ts'
import { S3Error } from '../../model/s3-error.ts'
import { type BodyKey, customerEncryption, isCustomerKey } from '../object-bodies/encryption.ts'
import type { S3Ctx } from '../s3-ctx.ts'

/** What a request says about encryption at rest. */
export type EncryptionWish =
  /** Whatever the bucket does by default. */
  | { by: 'default' }
  /** SSE-S3. */
  | { by: 'master' }
  /** SSE-C: the client's key, 32 bytes, that we do not keep. */
  | { by: 'customer'; key: Buffer }

export interface Sealing {
  encryption: Encryption | null
  key: BodyKey | null
}

/** For a new object. Throws InvalidRequest when a customer's key came in the open. */
export function sealingFor(ctx: S3Ctx, bucket: Bucket, wish: EncryptionWish): Sealing {
  if (wish.by === 'customer') {
    refuseInTheOpen(ctx)
    return { encryption: customerEncryption(wish.key), key: { by: 'customer', key: wish.key } }
  }
  if (wish.by === 'default' && !bucket.settings.encryption) return { encryption: null, key: null }
  return { encryption: { by: 'master' }, key: { by: 'master', key: ctx.settings.masterKey } }
}

/**
 * What opens an object; null when it is not encrypted. `customerKey`: what the request gave. Throws InvalidRequest
 * (missing, or not wanted) and AccessDenied (another).
 */
export function openingFor(ctx: S3Ctx, encryption: Encryption | null, customerKey: Buffer | null): BodyKey | null {
  if (encryption?.by !== 'customer') {
    if (customerKey) throw new S3Error('InvalidRequest', 'The encryption parameters are not applicable to this object.')
    return encryption && { by: 'master', key: ctx.settings.masterKey }
  }
  if (!customerKey) {
    throw new S3Error(
      'InvalidRequest',
      'The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.',
    )
  }
  refuseInTheOpen(ctx)
  if (!isCustomerKey(encryption, customerKey)) throw new S3Error('AccessDenied')
  return { by: 'customer', key: customerKey }
}

function refuseInTheOpen({ request, settings }: S3Ctx): void {
  if (request.isSecure || settings.allowCustomerKeysOverHttp) return
  throw new S3Error(
    'InvalidRequest',
    'Requests specifying Server Side Encryption with Customer provided keys must be made over a secure connection.',
  )
}
