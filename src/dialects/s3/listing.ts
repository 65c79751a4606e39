/** ListObjects, ListObjectsV2 and ListObjectVersions (S3 API reference). */
import type { AccountId } from '../../model/ids.ts'
import { S3Error } from '../../model/s3-error.ts'
import { type Owner, ownersOf } from '../../services/buckets/owners.ts'
import * as listing from '../../services/object-listing.ts'
import type { BucketCall, BucketOperation } from './operation.ts'
import { type KeyWriter, keyWriter, limitOf, textOrNull } from './paging.ts'
import { group, leaf, resultXml, type Xml } from './xml.ts'

export const listObjects: BucketOperation = {
  name: 'ListObjects',
  method: 'GET',
  on: 'bucket',
  action: 's3:ListBucket',
  async run(call) {
    const wish = readWish(call)
    const marker = call.query('marker') ?? ''
    const page = await listing.objects(call.ctx, call.bucket, { ...wish, afterKey: marker || null })
    const owner = await ownersOf(call.ctx, accountsOf(page.rows))
    const keys = keyWriter(call)
    return {
      xml: resultXml('ListBucketResult', [
        leaf('Name', call.bucket.name),
        keys.leaf('Prefix', wish.prefix),
        keys.leaf('Marker', marker),
        leaf('MaxKeys', wish.limit),
        keys.leaf('Delimiter', wish.delimiter),
        keys.encodingType,
        leaf('IsTruncated', page.next !== null),
        // Without a delimiter the last key says the same, and clients expect to read it there.
        keys.leaf('NextMarker', wish.delimiter === null ? null : page.next?.key),
        ...page.rows.map((row) => contents(row, keys, owner(row.accountId))),
        ...commonPrefixes(page.commonPrefixes, keys),
      ]),
    }
  },
}

export const listObjectsV2: BucketOperation = {
  name: 'ListObjectsV2',
  method: 'GET',
  query: ['list-type'],
  on: 'bucket',
  action: 's3:ListBucket',
  async run(call) {
    const { ctx, bucket } = call
    if (call.query('list-type') !== '2') throw invalid('list-type', call.query('list-type'), 'Invalid List Type')
    const wish = readWish(call)
    const token = call.query('continuation-token')
    const startAfter = textOrNull(call, 'start-after')
    const afterKey = token === undefined ? startAfter : listing.keyOfToken(ctx, bucket, token)
    const page = await listing.objects(ctx, bucket, { ...wish, afterKey })
    const isOwned = call.query('fetch-owner') === 'true'
    const owner = isOwned ? await ownersOf(ctx, accountsOf(page.rows)) : () => null
    const keys = keyWriter(call)
    return {
      xml: resultXml('ListBucketResult', [
        leaf('Name', bucket.name),
        keys.leaf('Prefix', wish.prefix),
        leaf('ContinuationToken', token),
        keys.leaf('StartAfter', startAfter),
        leaf('MaxKeys', wish.limit),
        leaf('KeyCount', page.rows.length + page.commonPrefixes.length),
        keys.leaf('Delimiter', wish.delimiter),
        keys.encodingType,
        leaf('IsTruncated', page.next !== null),
        leaf('NextContinuationToken', page.next && listing.continuationToken(ctx, bucket, page.next.key)),
        ...page.rows.map((row) => contents(row, keys, owner(row.accountId))),
        ...commonPrefixes(page.commonPrefixes, keys),
      ]),
    }
  },
}

export const listObjectVersions: BucketOperation = {
  name: 'ListObjectVersions',
  method: 'GET',
  query: ['versions'],
  on: 'bucket',
  action: 's3:ListBucketVersions',
  async run(call) {
    const wish = readWish(call)
    const afterKey = textOrNull(call, 'key-marker')
    const afterVersionId = textOrNull(call, 'version-id-marker')
    if (afterVersionId !== null && afterKey === null) {
      const message = 'A version-id marker cannot be specified without a key marker.'
      throw invalid('version-id-marker', afterVersionId, message)
    }
    const page = await listing.versions(call.ctx, call.bucket, { ...wish, afterKey, afterVersionId })
    const owner = await ownersOf(call.ctx, accountsOf(page.rows))
    const keys = keyWriter(call)
    return {
      xml: resultXml('ListVersionsResult', [
        leaf('Name', call.bucket.name),
        keys.leaf('Prefix', wish.prefix),
        keys.leaf('KeyMarker', afterKey ?? ''),
        leaf('VersionIdMarker', afterVersionId ?? ''),
        leaf('MaxKeys', wish.limit),
        keys.leaf('Delimiter', wish.delimiter),
        keys.encodingType,
        leaf('IsTruncated', page.next !== null),
        keys.leaf('NextKeyMarker', page.next?.key),
        leaf('NextVersionIdMarker', page.next?.row?.versionId),
        ...page.rows.map((row) => version(row, keys, owner(row.accountId))),
        ...commonPrefixes(page.commonPrefixes, keys),
      ]),
    }
  },
}

type Row = Awaited<ReturnType<typeof listing.versions>>['rows'][number]

function readWish(call: BucketCall) {
  return {
    prefix: call.query('prefix') ?? '',
    delimiter: textOrNull(call, 'delimiter'),
    limit: limitOf(call, 'max-keys', listing.LISTED_MAX),
  }
}

const accountsOf = (rows: readonly Row[]): AccountId[] => rows.map(({ accountId }) => accountId)

const contents = (row: Row, keys: KeyWriter, owner: Owner | null): Xml =>
  group('Contents', [
    keys.leaf('Key', row.key),
    leaf('LastModified', row.modifiedAt),
    ...facts(row),
    ...(owner ? [ownerXml('Owner', owner)] : []),
    leaf('StorageClass', row.storageClass),
  ])

function version(row: Row, keys: KeyWriter, owner: Owner): Xml {
  const head = [
    keys.leaf('Key', row.key),
    leaf('VersionId', row.versionId),
    leaf('IsLatest', row.isLatest),
    leaf('LastModified', row.modifiedAt),
  ]
  if (row.isDeleteMarker) return group('DeleteMarker', [...head, ownerXml('Owner', owner)])
  return group('Version', [...head, ...facts(row), leaf('StorageClass', row.storageClass), ownerXml('Owner', owner)])
}

const facts = (row: Row): Xml[] => [
  leaf('ETag', `"${row.etag}"`),
  leaf('ChecksumAlgorithm', row.checksumAlgorithm),
  leaf('ChecksumType', row.checksumType),
  leaf('Size', row.sizeBytes),
]

export const ownerXml = (name: 'Owner' | 'Initiator', { canonicalId, displayName }: Owner): Xml =>
  group(name, [leaf('ID', canonicalId), leaf('DisplayName', displayName)])

export const commonPrefixes = (prefixes: readonly string[], keys: KeyWriter): Xml[] =>
  prefixes.map((prefix) => group('CommonPrefixes', [keys.leaf('Prefix', prefix)]))

const invalid = (name: string, value: string | undefined, message: string): S3Error =>
  new S3Error('InvalidArgument', message, { elements: { ArgumentName: name, ArgumentValue: value ?? '' } })
