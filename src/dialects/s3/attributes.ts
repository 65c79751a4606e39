/** GetObjectAttributes (S3 API reference). */
import { S3Error } from '../../model/s3-error.ts'
import { type Attributes, attributes } from '../../services/objects/attributes.ts'
import { readCustomerKey } from './encryption-headers.ts'
import { checksumXml } from './multipart.ts'
import type { ObjectCall, ObjectOperation } from './operation.ts'
import { numberOf } from './paging.ts'
import { group, leaf, resultXml, type Xml } from './xml.ts'

const PARTS_SHOWN_MAX = 1000 // S3 API reference, "x-amz-max-parts"

const NAMES = ['ETag', 'Checksum', 'ObjectParts', 'StorageClass', 'ObjectSize'] as const
type Name = (typeof NAMES)[number]

export const getObjectAttributes: ObjectOperation = {
  name: 'GetObjectAttributes',
  method: 'GET',
  query: ['attributes'],
  on: 'object',
  action: 'itself',
  async run(call) {
    const names = readNames(call)
    // They are headers here, and parameters everywhere else.
    const header = { query: (name: string) => call.header(name) }
    const partsAfter = numberOf(header, 'x-amz-part-number-marker', 0)
    const partsMax = Math.min(numberOf(header, 'x-amz-max-parts', PARTS_SHOWN_MAX), PARTS_SHOWN_MAX)
    const place = { bucket: call.bucket, key: call.key, versionId: call.query('versionId') }
    const found = await attributes(call.ctx, place, { customerKey: readCustomerKey(call), partsAfter, partsMax })
    const { version, hasVersions, parts } = found
    const xml: Record<Name, () => Xml[]> = {
      ETag: () => [leaf('ETag', version.etag)], // without quotes, unlike everywhere else
      Checksum: () => (version.checksum ? [group('Checksum', checksumXml(version.checksum))] : []),
      ObjectParts: () => (parts ? [partsXml(found, partsAfter, partsMax)] : []),
      StorageClass: () => [leaf('StorageClass', version.storageClass)],
      ObjectSize: () => [leaf('ObjectSize', version.sizeBytes)],
    }
    return {
      headers: {
        'last-modified': version.modifiedAt.toUTCString(),
        'x-amz-version-id': hasVersions ? version.versionId : undefined,
      },
      xml: resultXml(
        'GetObjectAttributesResponse',
        NAMES.filter((name) => names.has(name)).flatMap((name) => xml[name]()),
      ),
    }
  },
}

function partsXml({ version, parts }: Attributes, after: number, limit: number): Xml {
  const { shown, total, isTruncated } = parts as NonNullable<Attributes['parts']>
  return group('ObjectParts', [
    leaf('PartsCount', total),
    leaf('PartNumberMarker', after),
    leaf('NextPartNumberMarker', shown.at(-1)?.number ?? after),
    leaf('MaxParts', limit),
    leaf('IsTruncated', isTruncated),
    ...shown.map(({ number, sizeBytes, checksum }) =>
      group('Part', [
        leaf('PartNumber', number),
        leaf('Size', sizeBytes),
        ...(version.checksum ? [leaf(`Checksum${version.checksum.algorithm}`, checksum)] : []),
      ]),
    ),
  ])
}

function readNames(call: ObjectCall): ReadonlySet<string> {
  const text = call.header('x-amz-object-attributes') ?? ''
  const names = text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
  const isKnown = (name: string) => (NAMES as readonly string[]).includes(name)
  if (names.length > 0 && names.every(isKnown)) return new Set(names)
  throw new S3Error('InvalidArgument', 'Invalid attribute name specified.', {
    elements: { ArgumentName: 'x-amz-object-attributes', ArgumentValue: text },
  })
}
