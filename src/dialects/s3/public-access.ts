/** The public access block and ownership of objects, as XML. */
import type { BucketSettings } from '../../model/bucket.ts'
import { S3Error } from '../../model/s3-error.ts'
import * as settings from '../../services/buckets/settings.ts'
import type { BucketOperation } from './operation.ts'
import { group, leaf, resultXml } from './xml.ts'
import {
  allowOnly,
  booleanOf,
  findChild,
  getChild,
  getText,
  malformed,
  parseXml,
  type XmlElement,
} from './xml-parse.ts'

type Ownership = NonNullable<BucketSettings['ownership']>
const OWNERSHIPS: readonly Ownership[] = ['BucketOwnerEnforced', 'BucketOwnerPreferred', 'ObjectWriter']

export const publicAccessOperations: readonly BucketOperation[] = [
  {
    name: 'GetPublicAccessBlock',
    on: 'bucket',
    method: 'GET',
    query: ['publicAccessBlock'],
    action: 's3:GetBucketPublicAccessBlock',
    async run({ bucket }) {
      const block = bucket.settings.publicAccessBlock
      if (!block) {
        throw new S3Error('NoSuchPublicAccessBlockConfiguration', undefined, { elements: { BucketName: bucket.name } })
      }
      return {
        xml: resultXml('PublicAccessBlockConfiguration', [
          leaf('BlockPublicAcls', block.blockPublicAcls),
          leaf('IgnorePublicAcls', block.ignorePublicAcls),
          leaf('BlockPublicPolicy', block.blockPublicPolicy),
          leaf('RestrictPublicBuckets', block.restrictPublicBuckets),
        ]),
      }
    },
  },
  {
    name: 'PutPublicAccessBlock',
    on: 'bucket',
    method: 'PUT',
    query: ['publicAccessBlock'],
    action: 's3:PutBucketPublicAccessBlock',
    body: 'document',
    async run(call) {
      const root = parseXml(await call.document(), 'PublicAccessBlockConfiguration')
      allowOnly(root, ['BlockPublicAcls', 'IgnorePublicAcls', 'BlockPublicPolicy', 'RestrictPublicBuckets'])
      await settings.put(call.ctx, call.bucket, 'publicAccessBlock', {
        blockPublicAcls: flag(root, 'BlockPublicAcls'),
        ignorePublicAcls: flag(root, 'IgnorePublicAcls'),
        blockPublicPolicy: flag(root, 'BlockPublicPolicy'),
        restrictPublicBuckets: flag(root, 'RestrictPublicBuckets'),
      })
      return { status: 200 }
    },
  },
  {
    name: 'DeletePublicAccessBlock',
    on: 'bucket',
    method: 'DELETE',
    query: ['publicAccessBlock'],
    action: 's3:PutBucketPublicAccessBlock',
    async run({ ctx, bucket }) {
      await settings.remove(ctx, bucket, 'publicAccessBlock')
      return { status: 204 }
    },
  },
  {
    name: 'GetBucketOwnershipControls',
    on: 'bucket',
    method: 'GET',
    query: ['ownershipControls'],
    action: 's3:GetBucketOwnershipControls',
    async run({ bucket }) {
      const { ownership } = bucket.settings
      if (!ownership) {
        throw new S3Error('OwnershipControlsNotFoundError', undefined, { elements: { BucketName: bucket.name } })
      }
      return { xml: resultXml('OwnershipControls', [group('Rule', [leaf('ObjectOwnership', ownership)])]) }
    },
  },
  {
    name: 'PutBucketOwnershipControls',
    on: 'bucket',
    method: 'PUT',
    query: ['ownershipControls'],
    action: 's3:PutBucketOwnershipControls',
    body: 'document',
    async run(call) {
      const root = parseXml(await call.document(), 'OwnershipControls')
      allowOnly(root, ['Rule'])
      const rule = getChild(root, 'Rule')
      allowOnly(rule, ['ObjectOwnership'])
      const text = getText(rule, 'ObjectOwnership').trim()
      const ownership = OWNERSHIPS.find((known) => known === text)
      if (!ownership) throw malformed(`${text} is no ownership`)
      await settings.putOwnership(call.ctx, call.bucket, ownership)
      return { status: 200 }
    },
  },
  {
    name: 'DeleteBucketOwnershipControls',
    on: 'bucket',
    method: 'DELETE',
    query: ['ownershipControls'],
    action: 's3:DeleteBucketOwnershipControls',
    async run({ ctx, bucket }) {
      await settings.remove(ctx, bucket, 'ownership')
      return { status: 204 }
    },
  },
]

function flag(root: XmlElement, name: string): boolean {
  const child = findChild(root, name)
  return child !== undefined && booleanOf(child)
}
