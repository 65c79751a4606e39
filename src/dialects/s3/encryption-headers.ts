/** The headers of encryption at rest: SSE-S3 and SSE-C (S3 user guide, "Protecting data with encryption"). */
import { createHash } from 'node:crypto'
import type { Encryption } from '../../model/object.ts'
import { S3Error } from '../../model/s3-error.ts'
import type { EncryptionWish } from '../../services/buckets/encryption.ts'
import type { S3Ctx } from '../../services/s3-ctx.ts'
import type { HeaderSource } from './object-headers.ts'

type Call = HeaderSource & { ctx: S3Ctx }

/** For what is being written. Throws InvalidArgument, InvalidRequest, InvalidEncryptionAlgorithmError, NotImplemented. */
export function readEncryption(call: Call): EncryptionWish {
  const named = call.header('x-amz-server-side-encryption')
  const key = readCustomerKey(call)
  if (named !== undefined && key) {
    throw new S3Error(
      'InvalidArgument',
      'Server Side Encryption with Customer provided key is incompatible with the encryption method specified',
      {
        elements: { ArgumentName: 'x-amz-server-side-encryption', ArgumentValue: named },
      },
    )
  }
  for (const name of ['aws-kms-key-id', 'context']) {
    if (call.header(`x-amz-server-side-encryption-${name}`) !== undefined) throw new S3Error('NotImplemented')
  }
  if (key) return { by: 'customer', key }
  if (named === undefined) return undefined
  if (named === 'AES256') return { by: 'master' }
  if (/^aws:kms/.test(named)) throw new S3Error('NotImplemented', 'This service has no key management service.')
  throw new S3Error('InvalidEncryptionAlgorithmError')
}

/** SSE-C's three headers; `of` = `copy-source-` for the key of what is copied. Undefined when there are none. */
export function readCustomerKey({ ctx, header }: Call, of: '' | 'copy-source-' = ''): Buffer | undefined {
  const prefix = `x-amz-${of}server-side-encryption-customer-`
  const [algorithm, key, md5] = ['algorithm', 'key', 'key-md5'].map((name) => header(prefix + name))
  if (algorithm === undefined && key === undefined && md5 === undefined) return undefined
  if (algorithm === undefined || key === undefined || md5 === undefined) {
    throw new S3Error(
      'InvalidArgument',
      'Requests specifying Server Side Encryption with Customer provided keys must provide the algorithm, an appropriate secret key and its MD5.',
    )
  }
  if (!ctx.request.isSecure && !ctx.settings.allowCustomerKeysOverHttp) {
    throw new S3Error(
      'InvalidRequest',
      'Requests specifying Server Side Encryption with Customer provided keys must be made over a secure connection.',
    )
  }
  if (algorithm !== 'AES256') throw new S3Error('InvalidEncryptionAlgorithmError')
  const bytes = Buffer.from(key, 'base64')
  if (bytes.length !== 32 || bytes.toString('base64') !== key) {
    throw new S3Error('InvalidArgument', 'The secret key was invalid for the specified algorithm.', {
      elements: { ArgumentName: `${prefix}key` },
    })
  }
  if (createHash('md5').update(bytes).digest('base64') !== md5) {
    throw new S3Error(
      'InvalidArgument',
      'The calculated MD5 hash of the key did not match the hash that was provided.',
      {
        elements: { ArgumentName: `${prefix}key-MD5` },
      },
    )
  }
  return bytes
}

/** What an answer says of it. */
export function encryptionHeaders(encryption: Encryption | null): Record<string, string> {
  if (encryption === null) return {}
  if (encryption.by === 'master') return { 'x-amz-server-side-encryption': 'AES256' }
  return {
    'x-amz-server-side-encryption-customer-algorithm': 'AES256',
    'x-amz-server-side-encryption-customer-key-md5': encryption.keyMd5,
  }
}
