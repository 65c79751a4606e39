/** DeleteObject and DeleteObjects (S3 API reference). */
import { MIB } from '../../model/object.ts'
import { S3Error } from '../../model/s3-error.ts'
import { type Removal, type Removed, remove, removeMany } from '../../services/objects/delete.ts'
import type { BucketOperation, ObjectOperation, Operation, ServiceCall } from './operation.ts'
import { objectRef } from './version.ts'
import { group, leaf, resultXml, type Xml } from './xml.ts'
import { allowOnly, booleanOf, childrenOf, findChild, findText, getText, malformed, parseXml } from './xml-parse.ts'

const DELETE_OBJECTS_KEYS_MAX = 1000 // fixed by the S3 DeleteObjects API

const deleteObject: ObjectOperation = {
  name: 'DeleteObject',
  method: 'DELETE',
  on: 'object',
  action: 'itself',
  checksRevision: true,
  async run(call) {
    refuseOtherConditions(call)
    const { bucket, key, versionId } = objectRef(call)
    const removed = await remove(call.ctx, bucket, { key, versionId, ifMatch: call.header('if-match') })
    return {
      status: 204,
      headers: {
        'x-amz-version-id': removed.versionId,
        'x-amz-delete-marker': removed.isMarker ? 'true' : undefined,
      },
    }
  },
}

/** Those of directory buckets: a delete must not happen because a condition was not understood. */
function refuseOtherConditions({ header }: ServiceCall): void {
  const other = ['x-amz-if-match-last-modified-time', 'x-amz-if-match-size'].find((name) => header(name) !== undefined)
  if (other) throw new S3Error('NotImplemented', `The condition ${other} is not implemented.`)
}

const deleteObjects: BucketOperation = {
  name: 'DeleteObjects',
  method: 'POST',
  query: ['delete'],
  on: 'bucket',
  action: 'itself', // each key for itself
  body: 'document',
  documentMaxBytes: 2 * MIB,
  async run(call) {
    const { removals, isQuiet } = parseDelete(await call.document())
    const results = await removeMany(call.ctx, call.bucket, removals)
    const entries = results.map((result, index) => {
      const removal = removals[index] as Removal
      if (result instanceof S3Error) return presentError(removal, result)
      return isQuiet ? ('' as Xml) : presentDeleted(removal, result)
    })
    return { xml: resultXml('DeleteResult', entries) }
  },
}

export const objectDeleteOperations: readonly Operation[] = [deleteObject, deleteObjects]

function parseDelete(bytes: Uint8Array): { removals: Removal[]; isQuiet: boolean } {
  const root = parseXml(bytes, 'Delete')
  allowOnly(root, ['Object', 'Quiet'])
  const objects = childrenOf(root, 'Object')
  if (objects.length === 0 || objects.length > DELETE_OBJECTS_KEYS_MAX) {
    throw malformed(`${objects.length} objects to delete`)
  }
  const quiet = findChild(root, 'Quiet')
  return {
    isQuiet: quiet !== undefined && booleanOf(quiet),
    removals: objects.map((object) => {
      if (findChild(object, 'LastModifiedTime') || findChild(object, 'Size')) {
        throw new S3Error('NotImplemented', 'The conditions LastModifiedTime and Size are not implemented.')
      }
      allowOnly(object, ['Key', 'VersionId', 'ETag'])
      const key = getText(object, 'Key')
      if (key === '' || key.includes('\0')) throw malformed('a key that no object has')
      return {
        key,
        // Some clients write an empty element where they mean none.
        versionId: findText(object, 'VersionId') || undefined,
        ifMatch: findText(object, 'ETag'),
      }
    }),
  }
}

const presentDeleted = ({ key, versionId }: Removal, { versionId: id, isMarker }: Removed): Xml =>
  group('Deleted', [
    leaf('Key', key),
    leaf('VersionId', versionId),
    leaf('DeleteMarker', isMarker || undefined),
    leaf('DeleteMarkerVersionId', isMarker ? id : undefined),
  ])

const presentError = ({ key, versionId }: Removal, error: S3Error): Xml =>
  group('Error', [
    leaf('Key', key),
    leaf('VersionId', versionId),
    leaf('Code', error.s3Code),
    leaf('Message', error.message),
  ])
