/**
 * What PutObject, CreateMultipartUpload, CopyObject and a form say about the object besides its bytes. Values stay byte
 * for byte (latin1), because that is how they go out again.
 */
import { RETENTION_MODES, type Retention } from '../../model/object-lock.ts'
import type { ObjectWish } from '../../model/object-wish.ts'
import { S3Error } from '../../model/s3-error.ts'
import { tagsOfHeader } from '../../model/tags.ts'
import { aclOfHeaders } from './acl.ts'

/** A call, or a form's fields under the names of headers. */
export interface HeaderSource {
  header(name: string): string | undefined
  headersUnder(prefix: string): Readonly<Record<string, string>>
}

const KEPT = ['content-type', 'cache-control', 'content-disposition', 'content-language', 'expires'] as const
const METADATA_MAX_BYTES = 2 * 1024 // S3 user guide, "Working with object metadata"
const REDIRECT_MAX_BYTES = 2 * 1024
const STORAGE_CLASSES = [
  'STANDARD',
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'GLACIER',
  'GLACIER_IR',
  'DEEP_ARCHIVE',
]

/** Throws InvalidArgument, InvalidTag, InvalidStorageClass, MetadataTooLarge … */
export function readObjectHeaders(source: HeaderSource): ObjectWish {
  const header = (name: string) => source.header(name)
  const tagging = header('x-amz-tagging')
  return {
    headers: keptHeaders(header),
    metadata: readMetadata(source),
    storageClass: readStorageClass(header('x-amz-storage-class')),
    tags: tagging === undefined ? undefined : tagsOfHeader(tagging),
    acl: aclOfHeaders(header),
    ...readLockHeaders(header),
  }
}

function keptHeaders(header: HeaderSource['header']): Record<string, string> {
  const kept: Record<string, string> = { 'content-type': 'binary/octet-stream' }
  for (const name of KEPT) {
    const value = header(name)
    if (value) kept[name] = sendable(name, value)
  }
  const encoding = contentEncodingOf(header('content-encoding'))
  if (encoding) kept['content-encoding'] = sendable('content-encoding', encoding)
  const redirect = header('x-amz-website-redirect-location')
  if (redirect !== undefined) kept['x-amz-website-redirect-location'] = checkedRedirect(redirect)
  return kept
}

/** Without `aws-chunked`, which only says how the body travelled. */
const contentEncodingOf = (value: string | undefined): string | undefined =>
  value
    ?.split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding !== '' && coding.toLowerCase() !== 'aws-chunked')
    .join(',')

function checkedRedirect(location: string): string {
  if (!/^(?:\/|https?:\/\/)/.test(location) || location.length > REDIRECT_MAX_BYTES) {
    throw new S3Error(
      'InvalidArgument',
      "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.",
      { elements: { ArgumentName: 'x-amz-website-redirect-location', ArgumentValue: location } },
    )
  }
  return sendable('x-amz-website-redirect-location', location)
}

/** What came in a URL or a form is any text, and it is to go out in a header (RFC 9110, section 5). */
function sendable(name: string, value: string): string {
  if (/^[\w!#$%&'*+.^`|~-]+$/.test(name) && /^[\t\x20-\x7e\x80-\xff]*$/.test(value)) return value
  throw new S3Error('InvalidArgument', 'This is no name or no value of a header.', {
    elements: { ArgumentName: name, ArgumentValue: value },
  })
}

function readMetadata({ headersUnder }: HeaderSource): Readonly<Record<string, string>> {
  const metadata = headersUnder('x-amz-meta-')
  for (const [name, value] of Object.entries(metadata)) sendable(`x-amz-meta-${name}`, value)
  const bytes = Object.entries(metadata).reduce((sum, [name, value]) => sum + name.length + value.length, 0)
  if (bytes > METADATA_MAX_BYTES) {
    throw new S3Error('MetadataTooLarge', undefined, {
      elements: { Size: String(bytes), MaxSizeAllowed: String(METADATA_MAX_BYTES) },
    })
  }
  return metadata
}

function readStorageClass(name = 'STANDARD'): string {
  if (name === 'REDUCED_REDUNDANCY') return 'STANDARD'
  if (!STORAGE_CLASSES.includes(name)) throw new S3Error('InvalidStorageClass')
  return name
}

/** The lock headers alone; undefined = not there. That the day is still to come is judged by the service. */
export function readLockHeaders(header: HeaderSource['header']): Pick<ObjectWish, 'retention' | 'legalHold'> {
  const [mode, until, hold] = ['mode', 'retain-until-date', 'legal-hold'].map((name) =>
    header(`x-amz-object-lock-${name}`),
  )
  return { retention: retentionOf(mode, until), legalHold: legalHoldOf(hold) }
}

function retentionOf(mode: string | undefined, until: string | undefined): Retention | undefined {
  if (mode === undefined && until === undefined) return undefined
  if (mode === undefined || until === undefined) {
    throw new S3Error(
      'InvalidArgument',
      'x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied',
    )
  }
  const known = RETENTION_MODES.find((name) => name === mode)
  if (!known) throw new S3Error('InvalidArgument', 'Unknown wormMode directive.')
  const time = parseInstant(until)
  if (time === null) {
    throw new S3Error('InvalidArgument', 'The retain until date must be provided in ISO 8601 format')
  }
  return { mode: known, until: time }
}

function legalHoldOf(hold: string | undefined): boolean | undefined {
  if (hold === undefined) return undefined
  if (hold !== 'ON' && hold !== 'OFF') {
    throw new S3Error('InvalidArgument', "Legal Hold must be either of 'ON' or 'OFF'")
  }
  return hold === 'ON'
}

const INSTANT = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?$/

/** ISO 8601, without a zone in UTC; null when it is not. */
export function parseInstant(text: string): Date | null {
  if (!INSTANT.test(text)) return null
  const hasZone = text.length === 10 || /(?:Z|[+-]\d\d:?\d\d)$/.test(text.slice(10))
  const time = new Date(hasZone ? text : `${text}Z`)
  return Number.isNaN(time.getTime()) ? null : time
}
