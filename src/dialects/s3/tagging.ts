/** Tags of buckets and objects as XML (S3 API, "Tagging"). */
import { S3Error } from '../../model/s3-error.ts'
import { type Tags, tagsOf } from '../../model/tags.ts'
import * as bucketSettings from '../../services/buckets/settings.ts'
import * as objectSettings from '../../services/object-settings.ts'
import type { BucketOperation, ObjectCall, ObjectOperation } from './operation.ts'
import { objectRef, versionHeader } from './version.ts'
import { group, leaf, resultXml } from './xml.ts'
import { allowOnly, childrenOf, getChild, getText, parseXml } from './xml-parse.ts'

export const taggingOperations: readonly (BucketOperation | ObjectOperation)[] = [
  {
    name: 'GetBucketTagging',
    on: 'bucket',
    method: 'GET',
    query: ['tagging'],
    action: 's3:GetBucketTagging',
    async run({ bucket: { name, settings } }) {
      if (!settings.tags) throw new S3Error('NoSuchTagSet', undefined, { elements: { BucketName: name } })
      return { xml: presentTags(settings.tags) }
    },
  },
  {
    name: 'PutBucketTagging',
    on: 'bucket',
    method: 'PUT',
    query: ['tagging'],
    action: 's3:PutBucketTagging',
    body: 'document',
    async run(call) {
      await bucketSettings.put(call.ctx, call.bucket, 'tags', parseTags(await call.document(), 'bucket'))
      return { status: 204 }
    },
  },
  {
    name: 'DeleteBucketTagging',
    on: 'bucket',
    method: 'DELETE',
    query: ['tagging'],
    action: 's3:PutBucketTagging',
    async run({ ctx, bucket }) {
      await bucketSettings.remove(ctx, bucket, 'tags')
      return { status: 204 }
    },
  },
  {
    name: 'GetObjectTagging',
    on: 'object',
    method: 'GET',
    query: ['tagging'],
    action: 'itself',
    async run(call) {
      const action = isOfVersion(call) ? 's3:GetObjectVersionTagging' : 's3:GetObjectTagging'
      const { tags, versionId } = await objectSettings.get(call.ctx, objectRef(call), action)
      return { xml: presentTags(tags), headers: versionHeader(call.bucket, versionId) }
    },
  },
  {
    name: 'PutObjectTagging',
    on: 'object',
    method: 'PUT',
    query: ['tagging'],
    action: 'itself',
    body: 'document',
    async run(call) {
      const action = isOfVersion(call) ? 's3:PutObjectVersionTagging' : 's3:PutObjectTagging'
      const tags = parseTags(await call.document(), 'object')
      const versionId = await objectSettings.putTags(call.ctx, objectRef(call), tags, action)
      return { status: 200, headers: versionHeader(call.bucket, versionId) }
    },
  },
  {
    name: 'DeleteObjectTagging',
    on: 'object',
    method: 'DELETE',
    query: ['tagging'],
    action: 'itself',
    async run(call) {
      const action = isOfVersion(call) ? 's3:DeleteObjectVersionTagging' : 's3:DeleteObjectTagging'
      const versionId = await objectSettings.putTags(call.ctx, objectRef(call), {}, action)
      return { status: 204, headers: versionHeader(call.bucket, versionId) }
    },
  },
]

const isOfVersion = (call: ObjectCall) => call.query('versionId') !== undefined

const presentTags = (tags: Tags): string =>
  resultXml('Tagging', [
    group(
      'TagSet',
      Object.entries(tags).map(([key, value]) => group('Tag', [leaf('Key', key), leaf('Value', value)])),
    ),
  ])

/** Also for the `tagging` field of a form. Throws MalformedXML, InvalidTag, BadRequest. */
export function parseTags(document: Uint8Array, of: 'bucket' | 'object'): Tags {
  const root = parseXml(document, 'Tagging')
  allowOnly(root, ['TagSet'])
  const set = getChild(root, 'TagSet')
  allowOnly(set, ['Tag'])
  return tagsOf(
    childrenOf(set, 'Tag').map((tag) => {
      allowOnly(tag, ['Key', 'Value'])
      return [getText(tag, 'Key'), getText(tag, 'Value')] as const
    }),
    of,
  )
}
