/** Which key a body is sealed with, and whether a client that wants to read it brought the right one. */
import type { Bucket } from '../../model/bucket.ts'
import type { Encryption } from '../../model/object.ts'
import { S3Error } from '../../model/s3-error.ts'
import { type BodyKey, customerEncryption, isCustomerKey } from '../object-bodies/encryption.ts'
import type { S3Ctx } from '../s3-ctx.ts'

/** What a request asks for; undefined = nothing, and then the bucket's default holds. */
export type EncryptionWish = { by: 'master' } | { by: 'customer'; key: Buffer } | undefined

export interface Sealing {
  encryption: Encryption | null
  key: BodyKey | null
}

/** For a new body. */
export function sealingOf(ctx: S3Ctx, bucket: Bucket, wish: EncryptionWish): Sealing {
  if (wish?.by === 'customer') {
    return { encryption: customerEncryption(wish.key), key: { by: 'customer', key: wish.key } }
  }
  const isSealed = wish !== undefined || bucket.settings.encryption !== undefined
  return isSealed ? { encryption: { by: 'master' }, key: masterKey(ctx) } : { encryption: null, key: null }
}

/**
 * For a body that is there (or a part of an upload that was begun so). Throws InvalidRequest when a key is missing or
 * of no use, AccessDenied when it is another one.
 */
export function bodyKeyOf(ctx: S3Ctx, encryption: Encryption | null, customerKey: Buffer | undefined): BodyKey | null {
  if (encryption?.by === 'customer') {
    if (!customerKey) {
      throw new S3Error(
        'InvalidRequest',
        'The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.',
      )
    }
    if (!isCustomerKey(encryption, customerKey)) throw new S3Error('AccessDenied')
    return { by: 'customer', key: customerKey }
  }
  if (customerKey) {
    throw new S3Error('InvalidRequest', 'The encryption parameters are not applicable to this object.')
  }
  return encryption ? masterKey(ctx) : null
}

const masterKey = ({ settings }: S3Ctx): BodyKey => ({ by: 'master', key: settings.masterKey })
