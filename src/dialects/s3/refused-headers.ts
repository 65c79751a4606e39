/**
 * Headers that say what a write means, and that nobody here understands. To ignore one would be to answer success for
 * something that was not done: a condition not looked at, a part stored as the whole, a permission not given.
 */
import { S3Error } from '../../model/s3-error.ts'
import type { Words } from './call.ts'

/** RFC 9110, 13.1 and 14.5: of a write they are no part of the S3 API. */
const OF_READS = ['if-modified-since', 'if-unmodified-since', 'content-range']

/** All there are of a family; the others are words of another time or of another service. */
const FAMILIES: Readonly<Record<string, readonly string[]>> = {
  'x-amz-grant-': ['read', 'write', 'read-acp', 'write-acp', 'full-control'],
  'x-amz-object-lock-': ['mode', 'retain-until-date', 'legal-hold'],
  'x-amz-server-side-encryption-': [
    'aws-kms-key-id',
    'context',
    'bucket-key-enabled',
    'customer-algorithm',
    'customer-key',
    'customer-key-md5',
  ],
}

/** Throws NotImplemented. */
export function refuseUnknownHeaders(method: string, { header, headersUnder }: Words): void {
  if (method === 'GET' || method === 'HEAD') return
  const ofReads = OF_READS.find((name) => header(name) !== undefined)
  if (ofReads !== undefined) throw notImplemented(ofReads)
  for (const [prefix, known] of Object.entries(FAMILIES)) {
    const unknown = Object.keys(headersUnder(prefix)).find((name) => !known.includes(name))
    if (unknown !== undefined) throw notImplemented(prefix + unknown)
  }
}

const notImplemented = (name: string) => new S3Error('NotImplemented', undefined, { elements: { Header: name } })
