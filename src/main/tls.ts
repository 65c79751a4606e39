/** The certificate of the S3 server's TLS side, as its files have it now. */
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { CloudError, describeError } from '../model/errors.ts'
import type { StorageConfig } from './config.ts'

export interface Certificate {
  cert: Buffer
  key: Buffer
}

/** Throws `invalid` with the setting to look at when a file cannot be read or the two do not belong together. */
export function readCertificate({ certFile, keyFile }: NonNullable<StorageConfig['tls']>): Certificate {
  const certificate = { cert: read(certFile, 'HAVN_S3_TLS_CERT'), key: read(keyFile, 'HAVN_S3_TLS_KEY') }
  try {
    createSecureContext(certificate)
  } catch (cause) {
    const why = describeError(cause)
    throw new CloudError('invalid', `${certFile} and ${keyFile} are no certificate and its key in PEM: ${why}`, {
      cause,
    })
  }
  return certificate
}

function read(file: string, setting: string): Buffer {
  try {
    return readFileSync(file)
  } catch (cause) {
    throw new CloudError('invalid', `${setting}: cannot read ${file}`, { cause })
  }
}
